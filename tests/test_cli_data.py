"""DATA on the command line: .npz files, pictures by class, functions."""

import pickle
import sys
from pathlib import Path

import keras
import matplotlib.image
import numpy as np
import pytest
import tensorflow as tf

from keras_prune_kit._keras.datasets import labelled_samples
from keras_prune_kit.cli import models
from keras_prune_kit.cli.data import adapt, adapt_inputs
from keras_prune_kit.cli.data.arrays import hold_out
from keras_prune_kit.cli.data.function import FunctionSource
from keras_prune_kit.cli.data.npz import NpzSource
from keras_prune_kit.cli.data.pictures import PictureSource

X, Y = np.arange(40.0).reshape(20, 2), np.arange(20)


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def npz(**arrays):
    np.savez("data.npz", **arrays)
    return NpzSource("data.npz")


def test_plain_arrays_serve_for_everything():
    source = npz(x=X, y=Y)
    for read in (source.training, source.validation, source.test):
        x, y = read()
        assert np.array_equal(x, X) and np.array_equal(y, Y)
    assert np.array_equal(source.inputs(), X)


def test_each_use_takes_the_arrays_of_its_name():
    source = npz(
        **{"x_train": X, "y_train": Y, "x_val": X[:4], "y_val": Y[:4]},
        **{"x_test": X[:3], "y_test": Y[:3]},
    )
    counts = [len(data[0]) for data in (source.training(), source.test())]
    assert counts == [20, 3]
    assert len(source.inputs()) == 20
    training, validation = source.split()
    assert (len(training[0]), len(validation[0])) == (20, 4)


def test_test_data_never_choose():
    source = npz(x_train=X, y_train=Y, x_test=X[:3], y_test=Y[:3])
    with pytest.raises(ValueError, match="x_val and y_val, or x and y. Received: x_te"):
        source.validation()
    training, validation = source.split()
    assert (len(training[0]), len(validation[0])) == (18, 2)


def test_inputs_need_no_labels():
    assert np.array_equal(npz(x=X).inputs(), X)


def test_a_tenth_is_held_out_and_it_is_always_the_same(caplog):
    with caplog.at_level("INFO", "keras_prune_kit"):
        (x, y), (x_val, y_val) = hold_out((X, Y), "data.npz")
    assert len(y_val) == 2
    assert sorted([*y, *y_val]) == list(range(20))
    assert np.array_equal(x[:, 0], 2 * y) and np.array_equal(x_val[:, 0], 2 * y_val)
    assert np.array_equal(y_val, hold_out((X, Y), "data.npz")[1][1])
    assert "Of the 20 samples of data.npz, a tenth (2) " in caplog.text


def test_too_few_to_hold_any_out():
    with pytest.raises(ValueError, match="at least 10 samples. Received: 9"):
        hold_out((X[:9], Y[:9]), "data.npz")


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({}, "x and y. Received: none"),
        ({"images": X, "labels": Y}, "x and y. Received: images, labels"),
        ({"x": X}, "x and y. Received: x"),
        ({"x": X, "y": Y[:19]}, "20 in x, 19 in y"),
        ({"x": X[:0], "y": Y[:0]}, "at least one sample"),
        ({"x": X, "y": np.float32(1)}, "one row per sample"),
        ({"x": X.astype(str), "y": Y}, "of finite numbers.* Received for x: .*<U"),
        ({"x": np.where(X == 3, np.nan, X), "y": Y}, "finite"),
        ({"x": np.array([{}, None] * 10), "y": Y}, "Object arrays cannot be loaded"),
    ],
)
def test_wrong_arrays_are_named(arrays, message):
    with pytest.raises(ValueError, match=f"data.npz .*{message}"):
        npz(**arrays).training()


@pytest.mark.parametrize(
    "content", [b"", b"nonsense", b"PK\x03\x04", pickle.dumps([1]), b"\x93NUMPY"]
)
def test_what_is_no_npz(content):
    Path("data.npz").write_bytes(content)
    with pytest.raises(ValueError, match="data.npz is not a complete .npz file"):
        NpzSource("data.npz").training()


def test_a_damaged_npz():
    np.savez("data.npz", x=X, y=Y)
    content = bytearray(Path("data.npz").read_bytes())
    content[150] ^= 1
    Path("data.npz").write_bytes(content)
    with pytest.raises(ValueError, match="x of data.npz cannot be read"):
        NpzSource("data.npz").training()


def function(text):
    """A source that calls `load` of a module with this text."""
    Path("my_data.py").write_text(f"import numpy as np\ndef load():\n    {text}\n")
    sys.modules.pop("my_data", None)
    return FunctionSource("my_data:load")


@pytest.fixture
def _importable(monkeypatch, tmp_path):
    monkeypatch.syspath_prepend(tmp_path)


@pytest.mark.usefixtures("_importable")
def test_a_function_gives_arrays():
    source = function("return np.ones((20, 2)), np.ones(20)")
    assert [array.shape for array in source.training()] == [(20, 2), (20,)]
    assert source.inputs().shape == (20, 2)
    training, validation = source.split()
    assert (len(training[0]), len(validation[0])) == (18, 2)


@pytest.mark.usefixtures("_importable")
def test_a_function_gives_several_inputs():
    source = function("return {'a': np.ones((20, 2)), 'b': np.ones(20)}, np.ones(20)")
    training, validation = source.split()
    assert training[0]["a"].shape == (18, 2)
    assert validation[0]["b"].shape == (2,)


@pytest.mark.usefixtures("_importable")
def test_a_dataset_cannot_be_split():
    Path("my_data.py").write_text(
        "import tensorflow as tf\n"
        "def load():\n"
        "    pair = tf.zeros((20, 2)), tf.zeros(20)\n"
        "    return tf.data.Dataset.from_tensor_slices(pair).batch(4)\n"
    )
    sys.modules.pop("my_data", None)
    source = FunctionSource("my_data:load")
    assert len(list(source.training())) == 5
    with pytest.raises(ValueError, match="Add --validation"):
        source.split()


@pytest.mark.usefixtures("_importable")
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("return None", "must return .x, y. or a dataset.* Received: NoneType"),
        ("return (i for i in [])", "Received: generator"),
        ("return np.ones((20, 2)), np.ones(19)", "20 in x, 19 in y"),
        ("return 'ab', 'cd'", "of finite numbers"),
        ("raise KeyError('gone')", "my_data:load: KeyError: 'gone'"),
        ("import no_such_module", "No module named 'no_such_module'"),
    ],
)
def test_a_function_that_gives_no_data(text, message):
    with pytest.raises(ValueError, match=message):
        function(text)


def pictures(**counts):
    """A folder with so many pictures a class, 6 pixels wide and 5 high."""
    for name, count in counts.items():
        Path("pictures", name).mkdir(parents=True)
        for index in range(count):
            pixels = np.full((5, 6, 3), (index % 2) * 255, "uint8")
            matplotlib.image.imsave(f"pictures/{name}/{index}.png", pixels)
    return Path("pictures")


def picture_source(K=keras, shape=(None, 4, 4, 3), label_mode="int"):
    return PictureSource(
        "pictures", shape, label_mode=label_mode, utils=K.utils, batch_size=8
    )


def test_pictures_are_read_in_the_size_of_the_model(K, capsys):
    pictures(cat=11, dog=9)
    source = picture_source(K)
    x, y = labelled_samples(source.training(), 8)
    assert x.shape == (8, 4, 4, 3)
    assert set(np.unique(x)) == {0.0, 255.0}
    labels = [np.concatenate([y for _, y in data]) for data in source.split()]
    assert [len(part) for part in labels] == [18, 2]
    assert sorted(np.concatenate(labels)) == [0] * 11 + [1] * 9
    assert not any(capsys.readouterr())


def test_the_pictures_held_out_are_not_trained_with(K):
    pictures(cat=11, dog=9)
    first, second = (picture_source(K).split() for _ in range(2))
    training, validation = (set(part.file_paths) for part in first)
    assert not training & validation
    assert len(training | validation) == 20
    assert set(second[1].file_paths) == validation


def test_grey_pictures_and_labels_as_rows():
    pictures(cat=2, dog=2)
    source = picture_source(shape=(None, 4, 4, 1), label_mode="categorical")
    x, y = labelled_samples(source.validation(), 8)
    assert x.shape == (4, 4, 4, 1)
    assert y.tolist() == [[1, 0], [1, 0], [0, 1], [0, 1]]


def test_an_empty_class_folder_is_named():
    pictures(cat=2, dog=0)
    with pytest.raises(ValueError, match="class folder pictures.dog must contain"):
        picture_source()


def test_a_folder_without_classes():
    Path("pictures").mkdir()
    with pytest.raises(ValueError, match="one folder of pictures per class"):
        picture_source()


def test_a_file_that_is_no_picture_is_named():
    (pictures(cat=2, dog=2) / "dog" / "notes.jpg").write_text("not a picture")
    with pytest.raises(ValueError, match="notes.jpg is not a picture"):
        picture_source()


def test_hidden_folders_are_no_classes():
    (pictures(cat=2, dog=2) / ".cache").mkdir()
    assert picture_source().training().class_names == ["cat", "dog"]


@pytest.mark.parametrize("shape", [(), (None, 8), (None, None, None, 3)])
def test_a_model_that_takes_no_pictures(shape):
    pictures(cat=2, dog=2)
    with pytest.raises(ValueError, match="height, width, channels"):
        picture_source(shape=shape)


def test_pictures_and_the_classes_of_the_model():
    pictures(cat=2, dog=2, fox=2)
    layers = keras.layers
    model = keras.Sequential(
        [layers.Input((4, 4, 3)), layers.Flatten(), layers.Dense(2)]
    )
    with pytest.raises(ValueError, match="3 class folders.* 2 classes"):
        models.source("pictures", model)


def test_inputs_are_scaled(K):
    x, y = adapt((np.array([[0, 255]], "uint8"), [1]), (None, 2), (1 / 127.5, -1.0))
    assert x.dtype == np.float32
    np.testing.assert_allclose(x, [[-1, 1]], atol=1e-6)
    assert y == [1]
    dataset = tf.data.Dataset.from_tensors((np.array([[0, 255]], "uint8"), [1]))
    ((x, y),) = adapt(dataset, (None, 2), (1 / 255, 0.0)).as_numpy_iterator()
    np.testing.assert_allclose(x, [[0, 1]], atol=1e-6)
    assert y == [1]


def test_inputs_stay_as_they_are_unless_scaled():
    x = np.array([[0, 255]], "uint8")
    assert adapt_inputs(x, (None, 2), (1.0, 0.0)) is x


def test_grey_pictures_get_their_channel():
    x = np.zeros((3, 28, 28))
    assert adapt_inputs(x, (None, 28, 28, 1), (1.0, 0.0)).shape == (3, 28, 28, 1)


@pytest.mark.parametrize("shape", [(3, 7), (3, 8, 1), (3,)])
def test_inputs_of_another_shape_are_named(shape):
    with pytest.raises(ValueError, match=r"expects inputs of shape \(n, 8\). Received"):
        adapt_inputs(np.zeros(shape), (None, 8), (1.0, 0.0))


@pytest.mark.parametrize(
    ("elements", "message"),
    [
        (np.zeros((4, 8)), "must yield .x, y."),
        ((np.zeros((4, 8)), np.zeros(4)), r"Received: \(n\)|shape"),
    ],
)
def test_a_dataset_of_something_else(elements, message):
    dataset = tf.data.Dataset.from_tensor_slices(elements)
    with pytest.raises(ValueError, match=message):
        adapt(dataset, (None, 8), (1.0, 0.0))
