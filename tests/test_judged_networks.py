"""The networks that benchmarks judge by are the published ones, and read their data."""

import importlib
import json
import pickle
import sys
import wave
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

_BENCHMARKS = Path(__file__).parents[1] / "examples" / "benchmarks"
_MODULES = {path.stem for path in _BENCHMARKS.glob("*.py")} | {"trashnet_mobilenet"}


@pytest.fixture(scope="module")
def load():
    """Imports a script of the benchmarks, which import each other by name."""
    before = list(sys.path)
    sys.path.insert(0, str(_BENCHMARKS))
    yield importlib.import_module
    sys.path[:] = before
    for name in _MODULES & set(sys.modules):
        del sys.modules[name]


@pytest.fixture(scope="module")
def models(load):
    return load("judged_models")


@pytest.fixture(scope="module")
def sounds(load):
    return load("keyword_data")


@pytest.fixture(scope="module")
def texts(load):
    return load("docstring_texts")


@pytest.mark.parametrize("K", [keras, tf_keras])
def test_networks_have_as_many_weights_as_the_published(models, K):
    # MLPerf Tiny v1.0: benchmark/training/image_classification and keyword_spotting.
    assert models.resnet8(10)(K).count_params() == 78_666
    assert models.ds_cnn(K).count_params() == 24_908


@pytest.mark.parametrize("K", [keras, tf_keras])
def test_the_encoder_learns_where_words_are(models, K):
    model = models.text_encoder(K)
    sizes = [w.shape for layer in model.layers for w in layer.trainable_weights]
    assert (64, 64) in [tuple(shape) for shape in sizes]
    words = np.full((1, 64), 7, "int32")
    words[0, :2] = 5, 6
    swapped = words.copy()
    swapped[0, :2] = 6, 5
    assert not np.allclose(model(words), model(swapped), atol=1e-6)


def test_the_resnet_of_recorded_runs_is_as_it_was(load):
    model = load("speed_table").resnet(keras, None, (32, 32, 3))
    assert model.count_params() == 78_714
    assert sum(len(layer.trainable_weights) for layer in model.layers) == 9 * 3 + 2


def test_coefficients_are_those_of_tensorflow(sounds):
    found = np.random.default_rng(0).normal(size=(2, 16_000)).astype("float32")
    # Keras centres the window of 480 in 512, TensorFlow has it at their beginning.
    spectra = tf.abs(tf.signal.stft(found[:, 16:], 480, 320, 512))
    bands = spectra @ tf.signal.linear_to_mel_weight_matrix(40, 257, 16_000, 20.0, 4e3)
    logarithms = tf.math.log(bands + 1e-6)
    expected = tf.signal.mfccs_from_log_mel_spectrograms(logarithms)[..., :10]
    assert sounds.mfcc(found).shape == (2, 49, 10)
    np.testing.assert_allclose(sounds.mfcc(found), expected, atol=1e-3)


def test_sounds_are_the_seeds_and_have_all_classes(sounds):
    (x, y), (other, _) = sounds.synthesized((24, 12), seed=3)
    assert x.shape == (24, 49, 10, 1) and other.shape == (12, 49, 10, 1)
    assert np.bincount(y).tolist() == [2] * 12
    (again, _), _ = sounds.synthesized((24, 12), seed=3)
    np.testing.assert_array_equal(x, again)
    assert not np.allclose(x[:12], other)


def test_a_word_is_heard_where_it_is_spoken(load):
    words = load("keyword_sounds")
    sound = words.spoken(words.WORDS["no"].split(), np.random.default_rng(0))
    loud = np.flatnonzero(np.abs(sound) > 0.05 * np.abs(sound).max())
    seconds = (loud[-1] - loud[0]) / words.RATE
    assert 0.1 < seconds < 0.7
    assert sound.shape == (16_000,)


def test_speech_commands_are_read_from_their_lists(sounds, tmp_path):
    rng = np.random.default_rng(0)
    for word in [*sounds.WORDS, "bed"]:
        for name in ("a", "b", "c"):
            write_wav(tmp_path / word / f"{name}.wav", rng, 12_000)
    write_wav(tmp_path / "_background_noise_" / "noise.wav", rng, 40_000)
    for part, name in (("validation", "b"), ("testing", "c")):
        listed = [f"{word}/{name}.wav" for word in [*sounds.WORDS, "bed"]]
        (tmp_path / f"{part}_list.txt").write_text("\n".join(listed))
    for x, y in sounds.recorded(tmp_path, seed=0):
        assert sorted(y) == list(range(12))  # a file of each word, "bed" and silence
        assert x.shape == (12, 49, 10, 1)
    expected = sounds.read(tmp_path / "yes" / "c.wav")
    padded = np.concatenate([expected, np.zeros(4000, "float32")])
    found = x[list(y).index(0), ..., 0]
    np.testing.assert_allclose(found, sounds.mfcc(padded[None])[0], atol=1e-4)


def write_wav(path, rng, length):
    path.parent.mkdir(exist_ok=True)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(rng.integers(-9000, 9000, length).astype("<i2").tobytes())


def test_cifar10_is_read_from_its_own_files(models, tmp_path):
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    rng = np.random.default_rng(0)
    pictures = rng.integers(0, 256, (6, 10, 32, 32, 3), "uint8")
    names = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
    for name, x in zip(names, pictures, strict=True):
        planes = x.transpose(0, 3, 1, 2).reshape(10, -1)
        content = {b"data": planes, b"labels": list(range(10))}
        (folder / name).write_bytes(pickle.dumps(content))
    made = models.cifar10(tmp_path, 0)
    assert [len(y) for _, y in made] == [45, 5, 10]
    np.testing.assert_allclose(made.test[0], pictures[5] / 255, atol=1e-6)
    np.testing.assert_allclose(made.validation[0], pictures[4, 5:] / 255, atol=1e-6)
    assert made.test[1].tolist() == list(range(10))


def test_photographs_become_means_of_their_pixels(models, tmp_path):
    for number, name in enumerate(("cardboard", "glass")):
        folder = tmp_path / "trashnet224" / name
        folder.mkdir(parents=True)
        for copy in range(10):
            picture = np.zeros((224, 224, 3), "uint8")
            picture[:7, :7] = 100 * number + copy
            keras.utils.save_img(folder / f"{copy}.png", picture, scale=False)
    made = models.small_trashnet(tmp_path, 0)
    assert [len(y) for _, y in made] == [14, 3, 3]
    for x, y in made:
        corners = x[:, 0, 0, 0] * 255
        assert np.all((corners >= 100) == (y == 1))
        assert x[:, 1:].max() == 0.0


def module(*docstrings):
    lines = [f"def f{n}():\n    '''{text}'''\n" for n, text in enumerate(docstrings)]
    return "\n".join(lines)


def prose(word):
    """A text that has no other's words."""
    return " ".join(f"{word}{chr(97 + n)}" for n in range(20))


def test_texts_of_a_file_are_in_one_part_and_of_one_class(texts, tmp_path):
    for package in ("one", "two"):
        folder = tmp_path / package
        (folder / "tests").mkdir(parents=True)
        for n in range(8):
            own = [prose(f"{package}{chr(97 + n)}{letter}") for letter in "xy"]
            both, code = prose("both"), f"{prose('short')[:20]}\n\n>>> {prose('code')}"
            source = module(*own, own[0], both, code)
            (folder / f"{chr(97 + n)}.py").write_text(source)
        (folder / "tests" / "t.py").write_text(module(prose(f"{package}test")))
    folders = [tmp_path / "one", tmp_path / "two"]
    files = texts.unambiguous([texts.texts_by_file(folder) for folder in folders])
    assert [[len(found) for found in own] for own in files] == [[2] * 8] * 2
    parts = [texts.split(files[0], (8, 4, 4), np.random.default_rng(0))]
    (train, validation, test), *_ = parts
    assert [len(train), len(validation), len(test)] == [8, 4, 4]
    from_file = [{text[0][:4] for text in part} for part in (train, validation, test)]
    assert [len(names) for names in from_file] == [4, 2, 2]
    assert len(set.union(*from_file)) == 8


def test_words_are_numbered_by_the_training_data(texts, tmp_path):
    for package in ("one", "two"):
        (tmp_path / package).mkdir()
        for n in range(8):
            text = f"{'often ' * 19} {package} numpy {prose(package + chr(97 + n))}"
            (tmp_path / package / f"{n}.py").write_text(module(text))
    folders = [tmp_path / "one", tmp_path / "two"]
    (x, y), _, (x_test, y_test) = texts.load((4, 2, 2), 0, folders)
    assert x.shape == (8, 64) and sorted(y) == [0] * 4 + [1] * 4
    assert np.all(x[:, :19] == 2)  # the most frequent; the name of NumPy is taken out
    assert np.all(x[:, 40:] == texts.PADDING)
    assert np.all(x_test[:, 20:40] == texts.UNKNOWN)  # words of the test data alone
    (again, _), *_ = texts.load((4, 2, 2), 0, folders)
    np.testing.assert_array_equal(x, again)
    assert texts.words_of("The NumPy array of torch\n\n>>> f()") == (
        "the",
        "array",
        "of",
    )


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("method", ["kpk", "tfmot"])
def test_the_script_measures_a_slice_and_resumes(models, load, tmp_path, method):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(240, 49, 10, 1)).astype("float32"), np.arange(240) % 12
    x += y[:, None, None, None]
    arrays = {
        f"{a}_{part}": v
        for part in models.Splits._fields
        for a, v in zip("xy", (x, y), strict=True)
    }
    np.savez(tmp_path / "ds_cnn.npz", **arrays)
    out = tmp_path / "out.jsonl"
    asked = f"--data {tmp_path} --cache {tmp_path} --out {out} --rows ds_cnn --seeds 0"
    asked = [*asked.split(), "--methods", method, "--small"]
    load("judged_table").main(asked)
    (line,) = map(json.loads, out.read_text().splitlines())
    assert line["ratio"] == pytest.approx(
        line["dense_bytes"] / line["gzip_bytes"], abs=0.01
    )
    assert line["ratio"] > 1 and line["over_bound"] >= 1 and line["ms"] > 0
    assert line["recipe"]["epochs"] == [1, 4]
    load("judged_table").main(asked)
    assert len(out.read_text().splitlines()) == 1
