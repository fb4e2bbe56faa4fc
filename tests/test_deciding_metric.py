"""What decides: errors, scores of every kind, and what the user names."""

import logging

import keras
import keras_tuner
import numpy as np
import pytest
import tf_keras
from marks import slow

import keras_prune_kit as kpk


@pytest.fixture
def samples():
    """Inputs, a number to predict from them, and whether it is above one."""
    x = np.random.default_rng(0).normal(size=(256, 6)).astype("float32")
    number = 2 * x[:, :1] - x[:, 1:2]
    return x, number, (number > 1).astype("float32")


def model_of(K, metrics, *, activation=None, loss="mse", outputs=("it",), **options):
    """A model with a hidden layer and an output of one number each."""
    inputs = K.Input((6,))
    hidden = K.layers.Dense(24, activation="relu")(inputs)
    heads = [K.layers.Dense(1, activation=activation, name=n)(hidden) for n in outputs]
    model = K.Model(inputs, heads if len(heads) > 1 else heads[0])
    model.compile(K.optimizers.Adam(0.01), loss, metrics=metrics, **options)
    return model


class Epochs:
    """What a figure made from the predictions had in each epoch, and what ships."""

    def __init__(self, K, x, figure):
        self.values = []
        values = self.values

        class Look(K.callbacks.Callback):
            def on_epoch_end(self, epoch, logs=None):
                values.append(figure(self.model.predict(x, verbose=0)))

        self.callback, self.figure, self.x = Look(), figure, x

    def compress(self, model, y, **options):
        data = (self.x, y)
        policy = kpk.PrunePolicy(kpk.ConstantSparsity(0.3))
        report = kpk.compress(
            model,
            data,
            validation_data=data,
            policy=policy,
            quantization="float16",
            epochs=4,
            verbose=0,
            callbacks=[self.callback],
            **options,
        )
        return report, self.figure(report.model.predict(self.x, verbose=0))


# Which epoch is kept.


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize("name", ["acceleration", slow("auction")])
def test_the_epoch_with_the_least_error_ships(K, samples, name):
    x, number, _ = samples
    y = {name: number, "speed": x[:, 2:3]}
    model = model_of(K, {name: ["mae"], "speed": ["mae"]}, outputs=(name, "speed"))
    model.fit(x, y, epochs=2, verbose=0)
    epochs = Epochs(K, x, lambda p: float(abs(p[0] - number).mean()))
    report, shipped = epochs.compress(model, y)
    assert report.metric == f"{name}_mae"
    assert shipped == pytest.approx(min(epochs.values), abs=1e-5)
    assert shipped < max(epochs.values) - 0.02
    assert report.stages[2].score == pytest.approx(shipped, abs=1e-5)


@keras.saving.register_keras_serializable("deciding")
@tf_keras.saving.register_keras_serializable("deciding")
def mean_output(y_true, y_pred):
    """Of which nobody knows whether more is better."""
    return y_pred


@pytest.mark.quick_in("keras")
@pytest.mark.parametrize(
    ("mode", "best"), [("max", max), slow("min", min)], ids=["max", "min"]
)
def test_the_mode_that_is_given_decides(K, samples, mode, best):
    x, number, _ = samples
    model = model_of(K, ["mae", mean_output])
    model.fit(x, number, epochs=1, verbose=0)
    epochs = Epochs(K, x, lambda p: float(p.mean()))
    options = {"objective": "mean_output", "mode": mode}
    report, shipped = epochs.compress(model, number, **options)
    assert shipped == pytest.approx(best(epochs.values), abs=1e-5)
    assert min(epochs.values) < max(epochs.values) - 1e-3
    assert report.metric == "mean_output"
    assert report.final.score == pytest.approx(shipped, abs=1e-3)
    assert list(report.final.scores) == ["mean_output", "mae"]
    assert {k: report.settings[k] for k in options} == options


@pytest.mark.quick_in("keras")
def test_where_nobody_knows_the_loss_decides_and_it_is_said(K, samples, caplog):
    x, number, _ = samples
    model = model_of(K, [mean_output])
    model.fit(x, number, epochs=1, verbose=0)
    epochs = Epochs(K, x, lambda p: float(((p - number) ** 2).mean()))
    with caplog.at_level(logging.INFO, "keras_prune_kit"):
        report, shipped = epochs.compress(model, number)
    assert (
        "a higher or a lower mean_output is better" in caplog.text
        and "val_loss" in caplog.text
    )
    assert report.metric == "mean_output"
    assert shipped == pytest.approx(min(epochs.values), rel=1e-4)


def test_the_first_metric_is_the_first_of_compile(K, samples):
    """Keras 3 hands metrics out by the alphabet."""
    x, number, _ = samples
    model = model_of(K, ["mse", "mae"])
    assert kpk.compare({"it": model}, x, number).metric == "mse"


def test_what_a_model_was_compiled_with_before_does_not_count(K, samples):
    """Keras 3 keeps metrics after a `compile` without any."""
    x, number, _ = samples
    model = model_of(K, ["mae"])
    model.fit(x, number, verbose=0)
    model.compile("adam", "mse")
    exported = kpk.export_tflite(model)
    compared = kpk.compare({"keras": model, "file": exported}, x, number)
    loss = ((model.predict(x, verbose=0) - number) ** 2).mean()
    for measurement in compared.measurements:
        assert measurement.scores == {"loss": pytest.approx(loss, rel=1e-4)}


def test_an_output_whose_name_has_a_loss_in_it(K, samples):
    x, number, _ = samples
    y = {"gloss": number, "speed": number}
    model = model_of(K, {"gloss": ["mae"], "speed": []}, outputs=("gloss", "speed"))
    assert list(kpk.compare({"it": model}, x, y).measurements[0].scores) == [
        "gloss_mae"
    ]


@pytest.mark.quick_in("keras")
def test_a_score_for_each_class_is_no_number(K, samples):
    x, number, label = samples
    two = np.concatenate([label, 1 - label], 1)
    model = K.Sequential([K.layers.Input((6,)), K.layers.Dense(2, "softmax")])
    model.compile("adam", "mse", metrics=[K.metrics.F1Score(), "accuracy"])
    data = {"validation_data": (x, two), "epochs": 1, "verbose": 0}
    with pytest.raises(ValueError, match=r"'f1_score' with 2 values.*average='macro'"):
        kpk.compress(model, (x, two), **data)
    options = {"quantization": "float16", "objective": "accuracy", **data}
    report = kpk.compress(model, (x, two), **options)
    assert list(report.final.scores) == ["accuracy"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"objective": "val_mae"}, "evaluated by: .*mae.*objective='val_mae'"),
        ({"objective": "mean_output"}, "a higher or a lower 'mean_output'"),
        ({"objective": "mae", "mode": "up"}, "'max' if a higher.*mode='up'"),
        ({"objective": "val_mae", "target": "smallest"}, "objective='val_mae'"),
    ],
)
def test_what_cannot_decide_is_found_before_training(samples, options, message):
    x, number, _ = samples
    model = model_of(keras, ["mae", mean_output])

    class Fail(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            raise AssertionError("it trains")

    data = {"validation_data": (x, number), "callbacks": [Fail()], "verbose": 0}
    with pytest.raises(ValueError, match=message):
        kpk.compress(model, (x, number), **data, **options)
    with pytest.raises(TypeError, match="name of the metric"):
        kpk.compress(model, (x, number), **data, objective=["mae"])


# The smallest file that holds.


@pytest.mark.quick_in("tf_keras")
@pytest.mark.parametrize(("sparsity", "holds"), [slow(0.3, True), (0.95, False)])
def test_the_smallest_file_of_a_regression(K, samples, sparsity, holds):
    x, number, _ = samples
    model = model_of(K, ["mae"])
    model.fit(x, number, epochs=15, verbose=0)
    report = kpk.compress(
        model,
        (x, number),
        validation_data=(x, number),
        target="smallest",
        policy=sparsity,
        quantization="dynamic",
        epochs=4,
        max_accuracy_drop=0.5,
        verbose=0,
    )
    found, before = report.search, abs(model.predict(x, verbose=0) - number).mean()
    assert (found.metric, found.mode) == ("mae", "min")
    assert found.baseline_score == pytest.approx(before, rel=1e-4)
    for attempt in found.attempts:
        assert attempt.holds == (attempt.score <= 1.5 * before)
    assert [a.holds for a in found.attempts] == [True, holds]
    assert found.chosen == holds
    chosen = found.attempts[found.chosen]
    in_file = abs(report.tflite.predict(x) - number).mean()
    assert chosen.score == pytest.approx(in_file, rel=1e-4)
    assert "on the validation data is within 50 % of" in found.verdict


@pytest.mark.parametrize(
    ("objective", "metric"), [(None, "accuracy"), slow("mae", "mae")]
)
def test_an_accuracy_goes_before_an_error_unless_one_is_named(
    samples, objective, metric
):
    x, _, label = samples
    model = model_of(keras, ["mae", "accuracy"], activation="sigmoid")
    options = {
        "validation_data": (x, label),
        "target": "smallest",
        "policy": 0.5,
        "quantization": "float16",
        "epochs": 4,
        "verbose": 0,
    }
    report = kpk.compress(model, (x, label), **options, objective=objective)
    assert (report.metric, report.search.metric) == (metric, metric)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mae", "area"])
def test_a_classifier_is_taught_and_judged_by_its_own_metric(samples, name):
    """Not by an accuracy that nobody asked for."""
    x, _, label = samples
    loss = "binary_crossentropy"
    metrics = ["mae", keras.metrics.AUC(name="area")]
    model = model_of(keras, metrics, activation="sigmoid", loss=loss)
    model.fit(x, label, epochs=2, verbose=0)
    logged = []

    class Look(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logged.append(logs[f"val_{name}"])

    report = kpk.compress(
        model,
        (x, label),
        validation_data=(x, label),
        target="smallest",
        policy=kpk.PrunePolicy(kpk.ConstantSparsity(0.3)),
        quantization="none",
        epochs=4,
        max_accuracy_drop=0.9,
        objective=name,
        callbacks=[Look()],
        verbose=0,
    )
    best = min(logged) if name == "mae" else max(logged)
    assert (report.metric, report.search.metric) == (name, name)
    assert report.final.score == pytest.approx(best, abs=1e-4)


# Searches.


def f1(y, p):
    hits, wrong = (y * (p > 0.5)).sum(), (y != (p > 0.5)).sum()
    return 2 * hits / (2 * hits + wrong)


def iou(y, p):
    hits, wrong = (y * (p > 0.5)).sum(), (y != (p > 0.5)).sum()
    return hits / (hits + wrong)


def r2(y, p):
    return 1 - ((y - p) ** 2).sum() / ((y - y.mean()) ** 2).sum()


def mae(y, p):
    return abs(y - p).mean()


def mse(y, p):
    return ((y - p) ** 2).mean()


def cosine(y, p):
    return np.sign(y * p).mean()  # of rows of one number


def pearson(y, p):
    return np.corrcoef(y[:, 0], p[:, 0])[0, 1]


def sensitivity(y, p):
    thresholds = np.linspace(0, 1, 200)
    rates = [((p[y == 1] > t).mean(), (p[y == 0] <= t).mean()) for t in thresholds]
    return max(hit for hit, spared in rates if spared >= 0.9)


METRICS = [
    (keras, lambda m: m.F1Score(threshold=0.5, average="micro"), f1, "max"),
    (tf_keras, lambda m: m.F1Score(threshold=0.5), f1, "max"),
    (keras, lambda m: m.BinaryIoU([1]), iou, "max"),
    (keras, lambda m: m.R2Score(), r2, "max"),
    (tf_keras, lambda m: m.R2Score(), r2, "max"),
    (keras, lambda m: m.SensitivityAtSpecificity(0.9), sensitivity, "max"),
    (keras, lambda m: m.CosineSimilarity(), cosine, "max"),
    (tf_keras, lambda m: "cosine_similarity", cosine, "max"),
    (keras, lambda m: m.PearsonCorrelation(axis=0), pearson, "max"),
    (keras, lambda m: "mae", mae, "min"),
    (tf_keras, lambda m: "mse", mse, "min"),
]
QUICK = [METRICS[0]]  # test_cli_search.py has a search by an error.
OF_CLASSES = (f1, iou, sensitivity)


@pytest.mark.parametrize(
    ("K", "metric", "figure", "mode"),
    [row if row in QUICK else slow(*row) for row in METRICS],
    ids=[f"{K.__name__}-{figure.__name__}" for K, _, figure, _ in METRICS],
)
def test_a_search_by_any_metric(K, metric, figure, mode, samples, tmp_path):
    x, y = samples[0], samples[2 if figure in OF_CLASSES else 1]
    activation = "sigmoid" if figure in OF_CLASSES else None
    model = model_of(K, [metric(K.metrics)], activation=activation)
    model.fit(x, y, epochs=8, verbose=0)
    hypermodel = kpk.CompressionHyperModel(
        model, quantization=("none", "dynamic"), groups=1, max_accuracy_drop=0.2
    )
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=3, seed=1)
    tuner = kpk.CompressionTuner(
        oracle=oracle, hypermodel=hypermodel, directory=tmp_path
    )
    # One batch: Keras averages what of a whole set is no average.
    batch = {"batch_size": len(x)} if figure is pearson else {}
    tuner.search(x, y, validation_data=(x, y), epochs=1, verbose=0, **batch)
    assert [t.status for t in oracle.trials.values()] == ["COMPLETED"] * 3

    before = figure(y, model.predict(x, verbose=0))
    scores, sizes = {}, {}
    for trial in kpk.pareto_front(tuner).trials:
        file = kpk.TFLiteModel(trial.folder / "model.tflite")
        score = figure(y, file.predict(x))
        lost = before - score if mode == "max" else (score - before) / before
        assert trial.accuracy == pytest.approx(score, abs=0.01 if batch else 1e-4)
        assert trial.measures["accuracy_drop"] == pytest.approx(lost, abs=0.01)
        scores[trial.name] = trial.accuracy if mode == "min" else -trial.accuracy
        sizes[trial.name] = file.gzip_bytes
    front = kpk.pareto_front(tuner)
    assert front.mode == mode
    beaten = {
        a
        for a in scores
        for b in scores
        if scores[b] <= scores[a]
        and sizes[b] <= sizes[a]
        and (scores[b], sizes[b]) != (scores[a], sizes[a])
    }
    assert {point.name for point in front.points} == set(scores) - beaten
    within = [t for t in front.points if t.measures["accuracy_drop"] <= 0.2]
    assert oracle.get_best_trials()[0].trial_id in {
        t.name for t in within or front.trials
    }
    if within:
        assert front.smallest_within() == min(within, key=lambda t: t.gzip_bytes)
