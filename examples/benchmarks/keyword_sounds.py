"""Sounds that imitate spoken keywords, and the coefficients that a network hears.

No recording is in them. A word is a row of phones, each with three resonances, a share
of voice, a loudness and a length. Speakers differ in pitch, length of the vocal tract
and speed, utterances in their resonances, start, loudness and noise. As in Speech
Commands (Warden 2018) there are ten words, "unknown" (other words) and silence. The
coefficients are those of MLPerf Tiny: 49 windows of 30 ms, ten MFCCs of 40 mel bands.
"""

import wave
from pathlib import Path

import keras
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
_DECIBELS = (-5.0, 15.0)  # of a word above the noise
_CHUNK = 500


def synthesize(counts, seed):
    """Train, validation and test data, of as many sounds each: `(x, y)` with numbers.

    The classes are as frequent as each other.
    """
    rng = np.random.default_rng(seed)
    return [_part(count, rng) for count in counts]


def _part(count, rng):
    y = rng.permutation(np.arange(count) % len(CLASSES))
    return coefficients(utterance(CLASSES[label], rng) for label in y), y


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


def coefficients(sounds):
    """The MFCCs of each sound of a second: `(n, 49, 10, 1)`, 500 sounds at once."""
    found, chunk = [], []
    for sound in sounds:
        chunk.append(sound)
        if len(chunk) == _CHUNK:
            found.append(mfcc(np.stack(chunk)))
            chunk = []
    if chunk:
        found.append(mfcc(np.stack(chunk)))
    return np.concatenate(found)[..., None]


def mfcc(sounds, bands=40, kept=10):
    """The first MFCCs of windows of 30 ms, 20 ms apart: `(n, 49, 10)` of `(n, 16000)`.

    Logarithms of 40 mel bands from 20 to 4000 Hz, then a DCT of type 2, scaled
    as `tf.signal` does.
    """
    parts = keras.ops.stft(sounds, 480, 320, 512, window="hann", center=False)
    spectra = np.hypot(*map(keras.ops.convert_to_numpy, parts))
    scale = keras.layers.MelSpectrogram().linear_to_mel_weight_matrix(
        bands, 257, RATE, 20.0, 4000.0
    )
    logarithms = np.log(spectra @ keras.ops.convert_to_numpy(scale) + 1e-6)
    angles = np.outer(2 * np.arange(bands) + 1, np.arange(kept)) * np.pi / (2 * bands)
    return (logarithms @ np.cos(angles) * np.sqrt(2 / bands)).astype("float32")


def recorded(folder, seed):
    """Speech Commands of a folder, with its own lists of validation and test files.

    Of other words as many as of a typical keyword are "unknown"; silence is pieces of
    the folder's background noise.
    """
    folder, rng = Path(folder), np.random.default_rng(seed)
    parts = {name: [] for name in ("training", "validation", "testing")}
    listed = {}
    for name in ("validation", "testing"):
        paths = (folder / f"{name}_list.txt").read_text().split()
        listed |= dict.fromkeys(paths, name)
    for path in sorted(folder.glob("[!_]*/*.wav")):
        key = path.relative_to(folder).as_posix()
        parts[listed.get(key, "training")].append(path)
    noises = [read(path) for path in sorted(folder.glob("_background_noise_/*.wav"))]
    return [_recorded_part(paths, noises, rng) for paths in parts.values()]


def _recorded_part(paths, noises, rng):
    known = [path for path in paths if path.parent.name in WORDS]
    others = [path for path in paths if path.parent.name not in WORDS]
    typical = -(-len(known) // len(WORDS))
    chosen = rng.permutation(len(others))[:typical]
    known += [others[number] for number in chosen]
    names = [p.parent.name if p.parent.name in WORDS else "unknown" for p in known]

    def sounds():
        for path in known:
            yield np.pad(read(path)[:LENGTH], (0, LENGTH))[:LENGTH]
        for _ in range(typical):
            piece = noises[rng.integers(len(noises))]
            start = rng.integers(len(piece) - LENGTH + 1)
            yield piece[start : start + LENGTH] * np.float32(rng.uniform())

    y = [CLASSES.index(name) for name in names + ["silence"] * typical]
    return coefficients(sounds()), np.array(y)


def read(path):
    """The samples of a .wav of 16 bits, from -1 to 1."""
    with wave.open(str(path)) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
    return samples / np.float32(32768)
