"""Keywords as a network hears them: imitated (keyword_sounds.py) or Speech Commands.

The coefficients are those of MLPerf Tiny: 49 windows of 30 ms, ten MFCCs of 40 bands.
"""

import itertools
import wave
from pathlib import Path

import keras
import numpy as np
from keyword_sounds import CLASSES, LENGTH, RATE, WORDS, utterance

_CHUNK = 500  # sounds at once


def synthesized(counts, seed):
    """Training, validation and test data of as many sounds each: `(x, y)`.

    The classes are as frequent as each other.
    """
    rng = np.random.default_rng(seed)
    return [_synthesized_part(count, rng) for count in counts]


def _synthesized_part(count, rng):
    y = rng.permutation(np.arange(count) % len(CLASSES))
    return coefficients(utterance(CLASSES[label], rng) for label in y), y


def coefficients(sounds):
    """The MFCCs of sounds of a second each: `(n, 49, 10, 1)`."""
    sounds, found = iter(sounds), []
    while chunk := list(itertools.islice(sounds, _CHUNK)):
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
