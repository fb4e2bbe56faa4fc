"""`compare`: models and files side by side."""

import gzip
import json
import re

import numpy as np
import pytest
from matplotlib.image import imread

import keras_prune_kit as kpk


def classifier(K, **compile_args):
    model = K.Sequential(
        [
            K.layers.Input((8, 8, 1)),
            K.layers.Conv2D(4, 3, activation="relu"),
            K.layers.Flatten(),
            K.layers.Dense(3, activation="softmax", name="top"),
        ]
    )
    compile_args.setdefault("metrics", ["accuracy"])
    model.compile("adam", "sparse_categorical_crossentropy", **compile_args)
    return model


@pytest.fixture
def images():
    rng = np.random.default_rng(0)
    return rng.random((40, 8, 8, 1), "float32"), rng.integers(0, 3, 40)


@pytest.fixture
def model(K):
    model = classifier(K)
    # The converter leaves biases out that are all zero.
    model.set_weights([w if w.ndim > 1 else w + 0.5 for w in model.get_weights()])
    return model


def zeroed(K, model):
    """A copy of the model, half of whose last kernel is zero."""
    copy = classifier(K)
    copy.set_weights(model.get_weights())
    kernel, bias = copy.get_layer("top").get_weights()
    kernel[: len(kernel) // 2] = 0
    copy.get_layer("top").set_weights([kernel, bias])
    return copy


def test_every_figure_is_what_it_says(K, model, images):
    exported = kpk.export_tflite(model, quantization="dynamic")
    pruned = zeroed(K, model)
    compared = kpk.compare(
        {"baseline": model, "pruned": pruned, "dynamic": exported}, *images
    )
    first, second, third = compared.measurements
    scores = model.evaluate(*images, verbose=0, return_dict=True)
    assert first.scores == {"accuracy": pytest.approx(scores["accuracy"])}
    assert (first.file, third.file) == (".h5", ".tflite")
    assert first.gzip_bytes == kpk.gzip_bytes(model)
    assert third.file_bytes == len(exported.bytes)
    assert third.gzip_bytes == exported.gzip_bytes
    assert third.score == pytest.approx(exported.evaluate(*images))
    # 3x3x1x4 + 4 and 144x3 + 3.
    assert first.parameters == second.parameters == third.parameters == 475
    assert first.nonzero_parameters == 475
    assert second.nonzero_parameters == 475 - 216
    assert second.sparsity == pytest.approx(216 / 468)
    assert compared.size_ratio(third) == first.gzip_bytes / third.gzip_bytes
    bound = kpk.entropy_bound(exported)
    assert third.bound_bytes == bound.bound_bytes and third.bound_ratio == bound.ratio
    assert first.bound_bytes is None and first.bound_ratio is None
    assert f"{bound.bound_bytes:,.0f}" in str(compared)
    assert first.latency_ms is None and third.latency_ms > 0
    assert sum(second.histogram.counts) == 36 + 216


@pytest.mark.quick_in("keras")
def test_sparse_bytes_are_a_mask_and_the_values(K, images):
    model = zeroed(K, classifier(K))
    (measured,) = kpk.compare({"model": model}, *images).measurements
    parts = [
        np.packbits(array != 0).tobytes() + array[array != 0].tobytes()
        for array in model.get_weights()
    ]
    assert measured.sparse_gzip_bytes == len(gzip.compress(b"".join(parts), 9, mtime=0))


@pytest.mark.filterwarnings("ignore:You are saving your model as an HDF5 file")
def test_a_keras_file_counts_by_its_weights_and_a_tflite_as_it_is(
    K, model, images, tmp_path
):
    """Otherwise Adam's state would make a trained model three times as large."""
    model.fit(*images, verbose=0)
    paths = {name: tmp_path / f"model{name}" for name in (".keras", ".h5", ".tflite")}
    model.save(paths[".keras"])
    model.save(paths[".h5"])
    kpk.export_tflite(model, paths[".tflite"])
    compared = kpk.compare(paths, *images)
    *of_keras, of_tflite = compared.measurements
    for measured in of_keras:
        assert measured.file == ".h5"
        assert measured.gzip_bytes == kpk.gzip_bytes(model)
    assert 2 * kpk.gzip_bytes(model) < kpk.gzip_bytes(paths[".keras"])
    assert ".h5: the weights of a Keras model, without the optimizer's" in str(compared)
    assert of_tflite.file == ".tflite"
    assert of_tflite.file_bytes == paths[".tflite"].stat().st_size
    assert of_tflite.gzip_bytes == kpk.gzip_bytes(paths[".tflite"])
    assert len({round(m.score, 6) for m in compared.measurements}) == 1


def test_the_models_own_metrics(K, images):
    x, y = images
    metrics = ["sparse_categorical_accuracy", "sparse_categorical_crossentropy"]
    model = classifier(K, metrics=metrics)
    exported = kpk.export_tflite(model)
    compared = kpk.compare({"model": model, "file": exported}, x, y)
    keras_scores, tflite_scores = (m.scores for m in compared.measurements)
    assert list(keras_scores) == metrics
    assert tflite_scores == pytest.approx(keras_scores, rel=1e-4)
    assert "Metrics" in str(compared)


def test_models_of_both_worlds(images):
    import keras
    import tf_keras

    compared = kpk.compare(
        {"three": classifier(keras), "two": classifier(tf_keras)}, *images
    )
    assert [m.metric for m in compared.measurements] == ["accuracy"] * 2


@pytest.mark.quick_in("keras")
def test_a_dataset(K, model, images):
    import tensorflow as tf

    data = tf.data.Dataset.from_tensor_slices(images).batch(16)
    exported = kpk.export_tflite(model)
    by_batch = kpk.compare({"model": model, "file": exported}, data, latency_runs=0)
    at_once = kpk.compare({"model": model, "file": exported}, *images, latency_runs=0)
    assert [m.score for m in by_batch.measurements] == pytest.approx(
        [m.score for m in at_once.measurements]
    )
    assert len(by_batch.samples.labels) == 12


@pytest.mark.quick_in("keras")
def test_samples_are_what_the_models_say(K, model, images):
    x, y = images
    samples = kpk.compare(
        {"model": model}, x, y, class_names=["ant", "bee", "cat"]
    ).samples
    chosen = np.linspace(0, 39, 12).astype(int)
    names = np.array(["ant", "bee", "cat"])
    assert list(samples.labels) == names[y[chosen]].tolist()
    rows = model.predict(x[chosen], verbose=0)
    said = samples.predictions["model"]
    assert [p.label for p in said] == names[rows.argmax(-1)].tolist()
    assert [p.probability for p in said] == pytest.approx(rows.max(-1), rel=1e-5)
    assert all(picture.startswith(b"\x89PNG") for picture in samples.pictures)


@pytest.mark.quick_in("keras")
def test_plain_data_and_tables(K, model, images):
    exported = kpk.export_tflite(model)
    compared = kpk.compare({"baseline": model, "a|b": exported}, *images)
    data = json.loads(json.dumps(compared.to_dict()))
    assert data["measurements"][1]["ratio"] == compared.size_ratio(
        compared.measurements[1]
    )
    assert data["environment"]["encoder"].startswith("gzip level 9")
    table = compared.to_markdown().split("\n\n")[0].splitlines()
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in table} == {14}
    text = str(compared)
    assert max(map(len, text.splitlines())) <= 80
    assert f"{exported.gzip_bytes:,}" in text
    assert "one thread, median of 50 runs" in text


@pytest.mark.each_value
@pytest.mark.parametrize("picture", ["plot_sizes", "plot_accuracy", "plot_tradeoff"])
def test_pictures(K, model, images, tmp_path, picture):
    exported = kpk.export_tflite(model)
    compared = kpk.compare({"model": model, "file": exported}, *images, latency_runs=0)
    getattr(compared, picture)(tmp_path / "picture.png")
    height, width, _ = imread(tmp_path / "picture.png").shape
    assert width >= 800 and height >= 150


def test_the_sparsity_of_each_weight_as_a_picture(K, model, tmp_path):
    kpk.sparsity_report(model).plot(tmp_path / "weights.png")
    assert imread(tmp_path / "weights.png").shape[1] >= 800


@pytest.mark.parametrize(
    ("entries", "error", "message"),
    [
        ({}, ValueError, "at least one"),
        ("model.keras", ValueError, "by name"),
        ({"model": 3}, TypeError, "Received: builtins.int"),
        ({"model": "no/such/file.tflite"}, OSError, "no/such/file.tflite"),
        ({"model": "no/such/file.keras"}, OSError, "no/such/file.keras"),
    ],
)
def test_bad_entries(images, entries, error, message):
    with pytest.raises(error, match=message):
        kpk.compare(entries, *images)


def test_bad_data(K, model, images):
    x, y = images
    with pytest.raises(ValueError, match="one label for each sample"):
        kpk.compare({"model": model}, x, y[:-1])
    with pytest.raises(ValueError, match="latency_runs"):
        kpk.compare({"model": model}, x, y, latency_runs=-1)
    with pytest.raises(
        ValueError, match="'model' cannot be run on x. Received samples of shape"
    ):
        kpk.compare({"model": model}, x[:, :5], y)


def test_damaged_files(K, model, images, tmp_path):
    model.save(tmp_path / "model.keras")
    whole = (tmp_path / "model.keras").read_bytes()
    for name, content in {
        "half.keras": whole[: len(whole) // 2],
        "empty.keras": b"",
        "half.tflite": kpk.export_tflite(model).bytes[:300],
        "text.tflite": b"not a model",
    }.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=re.escape(name)):
            kpk.compare({"model": tmp_path / name}, *images)
