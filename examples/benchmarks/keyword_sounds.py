"""Sounds that imitate spoken keywords; no recording is in them.

A word is a row of phones, each with three resonances, a share
of voice, a loudness and a length. Speakers differ in pitch, length of the vocal tract
and speed, utterances in their resonances, start, loudness and noise. As in Speech
Commands (Warden 2018) there are ten words, "unknown" (other words) and silence.
"""

import numpy as np

RATE = 16_000
LENGTH = RATE  # one second
WORDS = {
    "yes": "y e s",
    "no": "n o u",
    "up": "a _ p",
    "down": "_ d a u n",
    "left": "l e f _ t",
    "right": "r a i _ t",
    "on": "o n",
    "off": "o f",
    "stop": "s _ t o _ p",
    "go": "_ g o u",
}
OTHERS = (
    "_ b e r _ d",
    "_ k a _ t",
    "_ d o _ g",
    "f o r",
    "f a i v",
    "s i _ k s",
    "s e v e n",
    "n a i n",
    "z i r o u",
    "h a u s",
    "_ t r i",
    "w a n",
    "l e r n",
    "f o l o u",
    "_ b a _ k w e r _ d",
    "v i z u e l",
)
CLASSES = (*WORDS, "unknown", "silence")
# Three resonances in Hz, the share of voice, the loudness and the length in ms.
PHONES = {
    "a": (730, 1090, 2440, 1.0, 1.0, 130),
    "e": (530, 1840, 2480, 1.0, 0.9, 120),
    "i": (270, 2290, 3010, 1.0, 0.8, 110),
    "o": (570, 840, 2410, 1.0, 0.9, 130),
    "u": (300, 870, 2240, 1.0, 0.7, 100),
    "y": (260, 2200, 3000, 1.0, 0.6, 60),
    "w": (300, 650, 2200, 1.0, 0.6, 60),
    "r": (330, 1200, 1650, 1.0, 0.6, 70),
    "l": (360, 1300, 2700, 1.0, 0.6, 70),
    "n": (250, 1450, 2300, 1.0, 0.4, 80),
    "v": (300, 1200, 3200, 0.6, 0.3, 60),
    "z": (300, 3400, 3900, 0.5, 0.4, 80),
    "s": (3000, 3700, 5200, 0.0, 0.5, 120),
    "f": (1100, 2600, 4200, 0.0, 0.25, 100),
    "h": (600, 1500, 2500, 0.0, 0.2, 60),
    "t": (2500, 3400, 4500, 0.0, 0.6, 30),
    "d": (1700, 2600, 3500, 0.4, 0.6, 30),
    "k": (1500, 1900, 3000, 0.0, 0.6, 35),
    "g": (1400, 2000, 2500, 0.4, 0.6, 35),
    "p": (700, 1100, 2500, 0.0, 0.5, 25),
    "b": (500, 1000, 2200, 0.5, 0.5, 25),
    "_": (500, 1500, 2500, 0.0, 0.0, 50),  # the lips or the tongue are closed
}
_WINDOW, _HOP = 320, 160
_FRAMES = LENGTH // _HOP - 1
_DECIBELS = (-12.0, 12.0)  # of a word above the noise


def utterance(name, rng):
    """A second of sound with a word of that class in it: `(16000,)`."""
    sound = noise(rng)
    if name != "silence":
        phones = WORDS.get(name) or OTHERS[rng.integers(len(OTHERS))]
        word = spoken(phones.split(), rng)
        above = 10 ** (rng.uniform(*_DECIBELS) / 20)
        sound += above * word / np.sqrt(np.mean(word[word != 0] ** 2))
    return (sound * rng.uniform(0.003, 0.03)).astype("float32")


def noise(rng):
    """Noise of a random colour, with a mean square of one."""
    spectrum = np.fft.rfft(rng.normal(size=LENGTH))
    spectrum[1:] /= np.arange(1, len(spectrum)) ** rng.uniform(0.0, 1.0)
    sound = np.fft.irfft(spectrum, LENGTH)
    return sound / sound.std()


def spoken(phones, rng):
    """A word by a speaker of its own, somewhere in the second."""
    table = np.array([PHONES[phone] for phone in phones])
    table[:, :3] *= rng.uniform(0.82, 1.22)  # the vocal tract
    table[:, :3] *= rng.normal(1.0, 0.08, (len(table), 3))
    seconds = table[:, 5] / 1000 * rng.uniform(0.7, 1.4)
    seconds *= np.exp(rng.normal(0.0, 0.2, len(table)))
    ends = np.cumsum(seconds)
    begin = rng.uniform(0.02, max(0.03, 0.98 - ends[-1]))
    times = (np.arange(_FRAMES) + 1) * _HOP / RATE - begin
    tracks = [np.interp(times, ends - seconds / 2, column) for column in table.T[:5]]
    tracks[4] = np.where((times > 0) & (times < ends[-1]), tracks[4], 0.0)
    return shaped(excitation(tracks[3], rng), np.array(tracks[:3]).T, tracks[4])


def excitation(voice, rng):
    """Pulses of the vocal cords mixed with noise, by the share of voice."""
    places = np.arange(LENGTH)
    share = np.interp(places, (np.arange(_FRAMES) + 1) * _HOP, voice)
    pitch = rng.uniform(80, 260) * np.interp(
        places, [0, LENGTH], rng.uniform(0.8, 1.2, 2)
    )
    cycles = np.cumsum(pitch / RATE)
    pulses = np.diff(np.floor(cycles), prepend=0) * np.sqrt(RATE / pitch)
    return share * pulses + (1 - share) * rng.normal(size=LENGTH)


def shaped(source, resonances, loudness):
    """A sound whose spectrum peaks at the resonances of each moment."""
    starts = np.arange(_FRAMES) * _HOP
    windows = source[starts[:, None] + np.arange(_WINDOW)] * np.hanning(_WINDOW)
    hertz = np.fft.rfftfreq(2 * _WINDOW, 1 / RATE)
    width = 60 + 0.06 * resonances[..., None]
    gains = 1 / (1 + ((hertz - resonances[..., None]) / width) ** 2)
    gains = (gains * np.array([1.0, 0.6, 0.35])[:, None]).sum(1) * loudness[:, None]
    pieces = np.fft.irfft(np.fft.rfft(windows, 2 * _WINDOW) * gains)
    sound = np.zeros(LENGTH + 2 * _WINDOW)
    for start, piece in zip(starts, pieces, strict=True):
        sound[start : start + 2 * _WINDOW] += piece
    return sound[:LENGTH]
