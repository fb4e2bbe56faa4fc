"""`compress`: the whole job, on the digits that come with the package."""

import dataclasses
import json
import warnings
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from marks import slow
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit.compression.scales import warn_of_other_scales
from keras_prune_kit.digits import load_digits

WORLDS = {"keras": keras, "tf_keras": tf_keras}


@pytest.fixture(scope="module")
def digits():
    (x, y), (x_test, y_test) = load_digits()
    return (x[:400], y[:400]), (x_test[:100], y_test[:100])


@pytest.fixture
def trained(K, digits):
    return trained_of(K, digits)


def trained_of(K, digits):
    return trained_once(convolutional, K, digits[0], epochs=8)


@dataclasses.dataclass
class Job:
    """A model, what it was before it was compressed, and what came of it.

    Attributes:
        epochs: The sparsity and the accuracy after each.
    """

    model: Any
    weights: list
    steps: int
    report: Any
    folder: Path
    epochs: list


@pytest.fixture(scope="module", params=WORLDS)
def job(request, digits, tmp_path_factory):
    """One compression, for the tests that only look at what came of it."""
    K = WORLDS[request.param]
    K.utils.set_random_seed(1)
    folder = tmp_path_factory.mktemp("job") / "out"
    model = trained_of(K, digits)
    weights = [weight.copy() for weight in model.get_weights()]
    steps = int(model.optimizer.iterations)
    epochs = []

    def remember(epoch, logs):
        epochs.append((logs["sparsity"], logs["val_accuracy"]))

    look = K.callbacks.LambdaCallback(on_epoch_end=remember)
    options = {"policy": 0.75, "epochs": 6, "callbacks": [look], "out_dir": folder}
    report = compress(model, digits, **options)
    return Job(model, weights, steps, report, folder, epochs)


def convolutional(K):
    model = K.Sequential(
        [
            K.layers.Input((8, 8, 1)),
            K.layers.Conv2D(8, 3, activation="relu"),
            K.layers.Flatten(),
            K.layers.Dense(32, activation="relu"),
            K.layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    return model


def compress(model, digits, **arguments):
    defaults = {"validation_data": digits[1], "epochs": 3, "verbose": 0}
    return kpk.compress(model, digits[0], **{**defaults, **arguments})


@pytest.mark.quick_in("keras")
def test_the_report_holds_what_was_measured_on_the_files(job, digits):
    report, trained = job.report, job.model
    names = [(stage.name, stage.file) for stage in report.stages]
    assert names == [
        ("baseline", ".h5"),
        ("baseline + int8", ".tflite"),
        ("pruned", ".h5"),
        ("pruned + int8", ".tflite"),
    ]
    x, y = digits[1]
    accuracy = trained.evaluate(x, y, verbose=0, return_dict=True)["accuracy"]
    assert report.metric == "accuracy"
    assert report.baseline.score == pytest.approx(accuracy)
    assert report.final.score == pytest.approx(report.tflite.evaluate(x, y))
    assert report.final.gzip_bytes == kpk.gzip_bytes(report.tflite.bytes)
    assert report.final.file_bytes == len(report.tflite.bytes)
    assert report.baseline.gzip_bytes == kpk.gzip_bytes(trained)
    assert report.ratio == report.baseline.gzip_bytes / report.final.gzip_bytes
    assert report.ratio > 4
    bound = kpk.entropy_bound(report.tflite)
    assert f"bound: {bound.bound_bytes:,.0f} bytes" in str(report)
    assert f"gzip needs {bound.ratio:.2f} times" in str(report)


@pytest.mark.quick_in("keras")
def test_the_zeros_are_in_the_file_that_ships(job):
    report = job.report
    in_keras = sorted(w.zeros for w in kpk.sparsity_report(report.model).weights)
    # One ranking of all weights, so each kernel has another share.
    assert sum(in_keras) == round(0.75 * (72 + 9216 + 320))
    in_file = sorted(w.zeros for w in report.tflite.sparsity_report().weights)
    assert all(f >= k for f, k in zip(in_file, in_keras, strict=True))


@pytest.mark.quick_in("keras")
def test_the_model_is_left_as_it_was(job):
    assert all(map(np.array_equal, job.weights, job.model.get_weights()))
    assert int(job.model.optimizer.iterations) == job.steps
    assert all(v.constraint is None for v in job.model.trainable_variables)


@pytest.mark.each_value
@pytest.mark.parametrize(
    "quantization", [slow("none"), slow("float16"), "dynamic", "int16x8"]
)
def test_every_quantization(trained, digits, quantization):
    report = compress(trained, digits, quantization=quantization, epochs=2)
    assert report.final.score == pytest.approx(report.stages[2].score, abs=0.05)
    assert report.final.sparsity >= 0.799


@pytest.mark.quick_in("keras")
def test_datasets_serve_as_well_as_arrays(trained, digits):
    train = tf.data.Dataset.from_tensor_slices(digits[0]).shuffle(400, seed=1).batch(32)
    validation = tf.data.Dataset.from_tensor_slices(digits[1]).batch(32)
    report = kpk.compress(
        trained, train, validation_data=validation, epochs=2, verbose=0
    )
    again = trained.evaluate(*digits[1], verbose=0, return_dict=True)["accuracy"]
    assert report.baseline.score == pytest.approx(again)


@pytest.mark.quick_in("keras")
def test_a_model_without_metrics_is_judged_by_its_loss(K, digits):
    model = K.Sequential(
        [K.layers.Input((8, 8, 1)), K.layers.Flatten(), K.layers.Dense(10)]
    )
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss)
    report = compress(model, digits, quantization="none")
    assert report.metric == "loss"
    assert report.final.score == pytest.approx(report.stages[2].score, rel=1e-3)


@pytest.mark.slow  # Reports of test_differential.py have them too.
def test_several_inputs_and_outputs(K):
    import models

    model = models.two_in_two_out(K)
    losses = {"kind": "mse", "place": "mae"}
    model.compile("adam", loss=losses, metrics={"kind": ["mae"], "place": ["mse"]})
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(64, n)).astype("float32") for n in (8, 4)]
    y = [rng.normal(size=(64, n)).astype("float32") for n in (3, 2)]
    x = {"left": x[0], "right": x[1]}
    y = {"kind": y[0], "place": y[1]}
    report = kpk.compress(
        model, (x, y), validation_data=(x, y), policy=0.5, epochs=2, verbose=0
    )
    assert report.metric == "kind_mae"
    assert report.final.score == pytest.approx(report.stages[2].score, rel=0.1)


@pytest.mark.quick_in("keras")
def test_a_subclassed_model(K, digits):
    class Net(K.Model):
        def __init__(self, units=16, **arguments):
            super().__init__(**arguments)
            self.units = units
            self.flat = K.layers.Flatten()
            self.hidden = K.layers.Dense(units, activation="relu")
            self.top = K.layers.Dense(10, activation="softmax")

        def call(self, inputs):
            return self.top(self.hidden(self.flat(inputs)))

        def get_config(self):
            return {"units": self.units}

    model = Net()
    model(digits[0][0][:1])
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    report = compress(model, digits, quantization="dynamic", epochs=2)
    assert report.sparsity_report.zeros == round(0.8 * 1024) + round(0.8 * 160)


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize("criterion", [kpk.taylor, kpk.wanda])
def test_a_criterion_that_needs_data_gets_training_data(trained, digits, criterion):
    ramp = kpk.PolynomialDecay(0, 0.75, frequency=5)
    policy = kpk.PrunePolicy(ramp, criterion=criterion)
    report = compress(trained, digits, policy=policy, epochs=2)
    assert report.sparsity_report.zeros == sum(
        round(0.75 * size) for size in (72, 9216, 320)
    )


@pytest.mark.quick_in("keras")
def test_the_best_epoch_at_the_target_is_what_ships(job):
    target = max(sparsity for sparsity, _ in job.epochs)
    best = max(score for sparsity, score in job.epochs if sparsity == target)
    assert job.report.stages[2].score == pytest.approx(best)


@pytest.mark.quick_in("keras")
def test_everything_is_saved_and_the_picture_can_be_seen(job):
    report, folder = job.report, job.folder
    names = sorted(path.name for path in folder.iterdir())
    assert names == [
        "model.tflite",
        "pruned.keras",
        "report.html",
        "report.json",
        "report.txt",
        "sizes.png",
    ]
    saved = json.loads((folder / "report.json").read_text())
    assert saved["stages"][-1]["gzip_bytes"] == report.final.gzip_bytes
    assert str(report) in (folder / "report.txt").read_text()
    picture = (folder / "sizes.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert int.from_bytes(picture[16:20], "big") >= 800


@pytest.mark.quick_in("keras")
def test_the_table_fits_a_terminal(job):
    assert max(map(len, str(job.report).splitlines())) <= 80


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": 80}, "write 0.8"),
        (
            {"policy": kpk.PrunePolicy(0.5, structure=kpk.NofM(3, 7))},
            "final sparsity|multiple",
        ),
        ({"quantization": "int3"}, "quantization must be one of"),
        ({"epochs": -1}, "epochs"),
        ({"representative_data": np.zeros((5, 3, 3, 1), "float32")}, "shape"),
    ],
)
def test_bad_values_are_found_before_training(trained, digits, arguments, message):
    weights = trained.get_weights()
    with pytest.raises(ValueError, match=message):
        compress(trained, digits, **arguments)
    assert all(map(np.array_equal, weights, trained.get_weights()))


def test_an_uncompiled_model_is_named(K, digits):
    model = K.Sequential([K.layers.Input((64,)), K.layers.Dense(3)])
    with pytest.raises(ValueError, match="must be compiled"):
        compress(model, digits)


def test_what_is_no_model_is_named(digits):
    with pytest.raises(TypeError, match="Keras 3"):
        compress(["model"], digits)
    with pytest.raises(FileNotFoundError, match="no such file: model"):
        compress("model", digits)


def test_a_generator_cannot_be_validated_on(trained, digits):
    with pytest.raises(ValueError, match="more than once"):
        compress(trained, digits, validation_data=iter([digits[1]]))


@pytest.mark.quick_in("keras")
def test_an_unwritable_folder_is_found_before_training(trained, digits, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError):
        compress(trained, digits, out_dir=tmp_path / "file" / "out")


# Data on another scale.


@pytest.mark.parametrize(
    ("factor", "is_told"), [(255, True), (1 / 255, True), (10, False), (0, False)]
)
def test_only_data_on_quite_another_scale_are_told(K, digits, factor, is_told):
    (x, y), _ = digits
    x, y = x[:200], y[:200]  # as many as are looked at
    inputs = {"representative_data": factor * x, "train_data": None}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_other_scales(convolutional(K), (x, y), inputs, stacklevel=1)
    assert len(caught) == is_told
    if is_told:
        mean = np.mean(x, dtype=float)
        magnitudes = f"of {factor * mean:.3g} and {mean:.3g}"
        assert magnitudes in str(caught[0].message)


def test_the_numbers_of_tokens_have_no_scale(K):
    layers = [K.layers.Input((4,), dtype="int32"), K.layers.Embedding(500, 4)]
    few, many = np.ones((60, 4), "int32"), np.full((60, 4), 499, "int32")
    inputs = {"representative_data": many}
    warn_of_other_scales(K.Sequential(layers), (few, few), inputs, stacklevel=1)


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize("name", ["representative_data", slow("train_data")])
def test_compress_tells_of_data_on_another_scale(K, digits, name):
    (x, y), validation = digits
    data = {"train_data": (x, y), "representative_data": x[:50]}
    data["validation_data"] = validation
    if name == "train_data":
        data |= {"train_data": (255 * x, y), "representative_data": None}
    else:
        data["representative_data"] = 255 * x[:50]
    with pytest.warns(UserWarning, match=f"^{name} seem to be on another") as caught:
        kpk.compress(trained_of(K, digits), **data, epochs=1, verbose=0)
    told = [item for item in caught if "another scale" in str(item.message)]
    assert [item.filename for item in told] == [__file__]
