"""The search: trials, objectives, what is in their folders, going on after a cut."""

import json
from pathlib import Path

import keras
import keras_tuner
import models
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from marks import slow
from trained import trained_once

import keras_prune_kit as kpk

MEASURES = {
    *("gzip_bytes", "size_ratio", "file_bytes", "sparsity"),
    *("tflite_accuracy", "accuracy_drop", "latency_ms"),
}
QUANTIZATION = ("none", "dynamic")


def train(model, data):
    model.compile("adam", model_loss(model), metrics=["accuracy"])
    model.fit(*data, epochs=4, batch_size=16, verbose=0)
    return model


def compiled(K):
    model = models.sequential(K)
    model.compile("adam", model_loss(model), metrics=["accuracy"])
    return model


def model_loss(model):
    K = tf_keras if "tf_keras" in str(type(model).__mro__) else keras
    return K.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture
def trained(K, data):
    return trained_once(compiled, K, data, epochs=4, batch_size=16)


@pytest.fixture
def trained_3(data):
    return trained_once(compiled, keras, data, epochs=4, batch_size=16)


def hypermodel_of(baseline, **arguments):
    arguments.setdefault("quantization", QUANTIZATION)
    return kpk.CompressionHyperModel(baseline, **arguments)


def tuner_of(hypermodel, folder, *, max_trials=2, objective=None, **arguments):
    oracle = keras_tuner.oracles.RandomSearchOracle(
        objective, max_trials=max_trials, seed=1
    )
    return kpk.CompressionTuner(
        oracle=oracle, hypermodel=hypermodel, directory=folder, **arguments
    )


def search(tuner, data, **arguments):
    arguments = {"epochs": 1, "batch_size": 64, "verbose": 0, **arguments}
    tuner.search(*data, validation_data=data, **arguments)
    return list(tuner.oracle.trials.values())


def record_of(tuner, trial):
    folder = Path(tuner.get_trial_dir(trial.trial_id))
    return folder, json.loads((folder / "compression.json").read_text())


@pytest.mark.quick_in("keras")
def test_each_trial_measures_its_file(trained, data, tmp_path):
    weights, steps = trained.get_weights(), int(trained.optimizer.iterations)
    tuner = tuner_of(hypermodel_of(trained), tmp_path)
    trials = search(tuner, data)
    assert len(trials) == 2
    for trial in trials:
        assert trial.status == "COMPLETED"
        folder, record = record_of(tuner, trial)
        measures = record["measures"]
        assert MEASURES <= set(measures)
        for name, value in measures.items():
            assert trial.metrics.get_best_value(name) == value
        file = kpk.TFLiteModel(folder / "model.tflite")
        assert measures["gzip_bytes"] == file.gzip_bytes
        assert measures["file_bytes"] == len(file.bytes)
        assert measures["tflite_accuracy"] == pytest.approx(file.evaluate(*data))
        ratio = kpk.gzip_bytes(trained) / file.gzip_bytes
        assert measures["size_ratio"] == pytest.approx(ratio)
        assert record["hyperparameters"] == trial.hyperparameters.values
    # The baseline is left as it was, and never trained again.
    assert all(map(np.array_equal, weights, trained.get_weights()))
    assert int(trained.optimizer.iterations) == steps


@pytest.mark.quick_in("keras")
def test_the_best_model_is_the_one_at_its_target(K, trained, data, tmp_path):
    """An early, dense epoch would have been better: accuracy is the objective."""
    hypermodel = hypermodel_of(trained, sparsity=(0.9, 0.9), max_accuracy_drop=0.5)
    objective = keras_tuner.Objective("val_accuracy", "max")
    tuner = tuner_of(hypermodel, tmp_path, objective=objective, max_trials=1)
    search(tuner, data, epochs=3)
    folder, record = record_of(tuner, tuner.oracle.get_best_trials()[0])
    best = tuner.get_best_models()[0]
    assert kpk.sparsity_report(best).sparsity == pytest.approx(0.9, abs=0.01)
    assert kpk.sparsity_report(folder / "model.tflite").sparsity >= 0.89
    reloaded = tuner_of(hypermodel, tmp_path, objective=objective).get_best_models()[0]
    saved = K.models.load_model(folder / "model.keras", compile=False)
    x, y = data
    for model in (reloaded, saved):
        assert all(map(np.array_equal, best.get_weights(), model.get_weights()))
    quantization = record["quantization"]
    exported = kpk.export_tflite(best, quantization=quantization)
    assert exported.evaluate(x, y) == record["measures"]["tflite_accuracy"]


@pytest.mark.quick_in("keras")
def test_a_functional_model_with_a_model_in_it(K, data, tmp_path):
    hypermodel = hypermodel_of(train(models.nested(K), data))
    trials = search(tuner_of(hypermodel, tmp_path, max_trials=1), data)
    assert [trial.status for trial in trials] == ["COMPLETED"]


@pytest.mark.quick_in("keras")
def test_a_subclassed_model_comes_from_a_function(K, data, tmp_path):
    """A class that Keras can neither copy nor save."""

    class Net(K.Model):
        def __init__(self, units):
            super().__init__()
            self.first = K.layers.Dense(units, activation="relu")
            self.second = K.layers.Dense(3)

        def call(self, inputs):
            return self.second(self.first(inputs))

    def build(weights=None):
        model = Net(16)
        model(data[0][:1])
        if weights is None:
            return train(model, data)
        model.set_weights(weights)
        model.compile("adam", model_loss(model), metrics=["accuracy"])
        return model

    weights = build().get_weights()
    hypermodel = hypermodel_of(lambda: build(weights))
    tuner = tuner_of(hypermodel, tmp_path, max_trials=1)
    (trial,) = search(tuner, data)
    assert trial.status == "COMPLETED", trial.message
    _, record = record_of(tuner, trial)
    sparsity = kpk.sparsity_report(tuner.get_best_models()[0]).sparsity
    assert sparsity == pytest.approx(record["measures"]["sparsity"])


@pytest.mark.quick_in("keras")
def test_a_baseline_from_a_file(trained, data, tmp_path):
    trained.save(tmp_path / "model.keras")
    hypermodel = hypermodel_of(tmp_path / "model.keras")
    trials = search(tuner_of(hypermodel, tmp_path / "s", max_trials=1), data)
    assert [trial.status for trial in trials] == ["COMPLETED"]


# KerasTuner's own tuners, on Keras 3 alone.


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        slow(keras_tuner.GridSearch, {"max_trials": 1}),
        (keras_tuner.BayesianOptimization, {"max_trials": 2, "num_initial_points": 1}),
        slow(keras_tuner.Hyperband, {"max_epochs": 2, "factor": 2}),
    ],
)
def test_any_tuner_of_keras_tuner(trained_3, kind, arguments, data, tmp_path):
    objective = keras_tuner.Objective("gzip_bytes", "min")
    hypermodel = hypermodel_of(trained_3, quantization=["dynamic"])
    tuner = kind(hypermodel, objective, directory=tmp_path, seed=1, **arguments)
    trials = search(tuner, data)
    assert len(trials) >= arguments.get("max_trials", 2)
    assert all(trial.status == "COMPLETED" for trial in trials), trials[0].message
    best = tuner.oracle.get_best_trials()[0]
    folder, record = record_of(tuner, best)
    assert best.score == min(trial.score for trial in trials)
    assert best.score == kpk.gzip_bytes(folder / "model.tflite")
    weights = tuner.get_best_models()[0].get_weights()
    saved = keras.models.load_model(folder / "model.keras", compile=False)
    assert all(map(np.array_equal, weights, saved.get_weights()))


def test_several_executions_keep_the_best(trained_3, data, tmp_path):
    objective = keras_tuner.Objective("tflite_accuracy", "max")
    tuner = keras_tuner.RandomSearch(
        hypermodel_of(trained_3, sparsity=(0.9, 0.9)),
        objective,
        max_trials=1,
        executions_per_trial=2,
        directory=tmp_path,
    )
    trial = search(tuner, data)[0]
    folder, record = record_of(tuner, trial)
    file = kpk.TFLiteModel(folder / "model.tflite")
    accuracy = record["measures"]["tflite_accuracy"]
    assert accuracy >= trial.score
    assert file.evaluate(*data) == pytest.approx(accuracy)


def test_weights_of_few_bits(trained_3, data, tmp_path):
    hypermodel = hypermodel_of(trained_3, quantization=["qat4"])
    tuner = keras_tuner.RandomSearch(hypermodel, max_trials=1, directory=tmp_path)
    trial = search(tuner, data)[0]
    folder, record = record_of(tuner, trial)
    assert (record["quantization"], record["weight_bits"]) == ("int8", 4)
    best = tuner.get_best_models()[0]
    again = kpk.export_tflite(best, quantization="int8")
    assert again.bytes == (folder / "model.tflite").read_bytes()


def test_a_policy_of_ones_own(trained_3, data, tmp_path):
    def policy(hp):
        head = kpk.Rule("dense_1", hp.Float("head", 0.1, 0.2))
        return kpk.PrunePolicy(hp.Choice("body", [0.5, 0.75]), [head])

    trained_3.layers[1].name = "dense_1"
    hypermodel = hypermodel_of(trained_3, policy=policy)
    for trial in search(tuner := tuner_of(hypermodel, tmp_path, max_trials=1), data):
        assert set(trial.hyperparameters.values) == {"quantization", "head", "body"}
        policy = kpk.PrunePolicy.from_dict(record_of(tuner, trial)[1]["policy"])
        assert policy.schedule.final_sparsity == trial.hyperparameters.get("body")


def test_tf_keras_models_need_our_tuner(data, tmp_path):
    hypermodel = hypermodel_of(train(models.sequential(tf_keras), data))
    with pytest.raises(ValueError, match=r"of tf_keras\. Use kpk\.CompressionTuner"):
        keras_tuner.RandomSearch(hypermodel, max_trials=1, directory=tmp_path)


def test_a_trial_that_cannot_get_there_stops_early(trained_3, data, tmp_path):
    x, y = data
    tuner = tuner_of(
        hypermodel_of(trained_3, sparsity=(0.97, 0.97), max_accuracy_drop=0),
        tmp_path,
        max_trials=1,
    )
    wrong = (y + 1) % 3
    tuner.search(x, wrong, validation_data=data, epochs=12, verbose=0)
    (trial,) = tuner.oracle.trials.values()
    _, record = record_of(tuner, trial)
    assert record["stopped_early"]
    assert record["epochs"] < 12
    assert trial.status == "COMPLETED"
    assert record["measures"]["sparsity"] > 0.9


@pytest.mark.quick_in("keras")
def test_tensorboard_gets_what_was_measured(K, trained, data, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
    from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

    tuner = tuner_of(hypermodel_of(trained), tmp_path, max_trials=1)
    logs = str(tmp_path / "logs")
    trial = search(tuner, data, callbacks=[K.callbacks.TensorBoard(logs)])[0]
    events = EventAccumulator(str(tmp_path / "logs" / trial.trial_id)).Reload()
    (point,) = events.Scalars("gzip_bytes")
    assert point.value == trial.metrics.get_best_value("gzip_bytes")
    found = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    hparams = HParamsPluginData.FromString(found).session_start_info.hparams
    assert set(hparams) == set(trial.hyperparameters.values)


# Wrong turns: found before the first trial.


@pytest.mark.each_value
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"quantization": []}, "at least one"),
        ({"quantization": "int8"}, "a list of choices"),
        ({"quantization": ["int3"]}, "Received: 'int3'"),
        ({"quantization": ["none", "none"]}, "must not repeat"),
        ({"quantization": ["int8"]}, "need representative_data"),
        ({"quantization": ["int16x8"]}, "need representative_data"),
        ({"max_accuracy_drop": -0.01}, "at least 0 and below 1"),
        ({"sparsity": 0.8}, "the lowest and the highest"),
        ({"sparsity": (0.9, 0.5)}, "lowest sparsity comes first"),
        ({"sparsity": (0.5, 95)}, "at least 0 and below 1"),
        ({"groups": 0}, "at least 1"),
        ({"structures": []}, "at least one"),
        ({"representative_data": np.zeros((4, 7))}, "must have shape"),
    ],
)
def test_arguments_that_are_not_possible(trained_3, arguments, message):
    weights = trained_3.get_weights()
    with pytest.raises(ValueError, match=message):
        hypermodel_of(trained_3, **arguments)
    assert all(map(np.array_equal, weights, trained_3.get_weights()))


def test_arguments_of_the_wrong_kind(trained_3):
    with pytest.raises(TypeError, match="structures is a value"):
        hypermodel_of(trained_3, structures=["block"])
    with pytest.raises(TypeError, match="policy is a function"):
        hypermodel_of(trained_3, policy=0.5)
    with pytest.raises(TypeError, match="must return a PrunePolicy"):
        hypermodel_of(trained_3, policy=lambda hp: 0.5)
    with pytest.raises(TypeError, match="keras .* or tf_keras"):
        hypermodel_of(5)
    with pytest.raises(TypeError, match="CompressionHyperModel"):
        tuner_of(lambda hp: None, ".")


def test_a_baseline_that_cannot_be_one(K, data):
    model = models.sequential(K)
    with pytest.raises(ValueError, match="must be compiled, so"):
        hypermodel_of(model)
    model.compile("adam", model_loss(model))
    with pytest.raises(ValueError, match="compiled with a metric"):
        hypermodel_of(model)
    model.compile("adam", model_loss(model), metrics=["accuracy"])
    with pytest.raises(ValueError, match="must be trained"):
        hypermodel_of(model)
    with pytest.raises(FileNotFoundError, match="no such file"):
        hypermodel_of("missing.keras")


def test_quantization_aware_training_with_tf_keras_is_refused(data):
    trained = train(models.sequential(tf_keras), data)
    with pytest.raises(ValueError, match="needs a Keras 3 model. Received: 'qat8'"):
        hypermodel_of(trained, quantization=["qat8"])


def test_data_that_a_search_cannot_use(trained, data, tmp_path):
    tuner = tuner_of(hypermodel_of(trained), tmp_path)
    with pytest.raises(ValueError, match="with validation_data"):
        tuner.search(*data)
    with pytest.raises(ValueError, match="read more than once"):
        tuner.search(iter([data]), validation_data=data)


@keras.saving.register_keras_serializable("tuning")
class Margin(keras.metrics.Mean):
    """Of which nobody knows whether more is better."""

    def update_state(self, y_true, y_pred, sample_weight=None):
        return super().update_state(y_pred)


def test_a_metric_that_nobody_knows(trained_3, data, tmp_path):
    trained_3.compile("adam", model_loss(trained_3), metrics=[Margin("it")])
    unbuilt = hypermodel_of(trained_3)  # Keras has not made the metric yet.
    with pytest.raises(ValueError, match="a higher or a lower 'it'.*Pass mode='max'"):
        search(tuner_of(unbuilt, tmp_path), data)
    with pytest.raises(ValueError, match="a higher or a lower 'it'.*Pass mode='max'"):
        hypermodel_of(trained_3)
    with pytest.raises(ValueError, match="evaluated by: loss, it.*'val_it'"):
        hypermodel_of(trained_3, objective="val_it")
    by_it = hypermodel_of(trained_3, mode="min")
    (trial,) = search(tuner_of(by_it, tmp_path, max_trials=1), data)
    assert trial.status == "COMPLETED"
    assert hypermodel_of(trained_3, objective="loss").baseline is trained_3


def test_a_search_by_the_loss_alone(data, tmp_path):
    model = models.sequential(keras)
    model.compile("adam", model_loss(model))
    model.fit(*data, epochs=2, verbose=0)
    hypermodel = hypermodel_of(model, objective="loss")
    tuner = tuner_of(hypermodel, tmp_path, max_trials=1)
    (trial,) = search(tuner, data)
    folder, record = record_of(tuner, trial)
    assert (record["baseline"]["metric"], record["baseline"]["mode"]) == ("loss", "min")
    logits = kpk.TFLiteModel(folder / "model.tflite").predict(data[0])
    loss = float(model_loss(model)(data[1], logits))
    assert record["measures"]["tflite_accuracy"] == pytest.approx(loss, rel=1e-4)


def test_objectives_and_metrics_that_point_apart(trained_3, data, tmp_path):
    metric = keras.metrics.SparseCategoricalCrossentropy(name="sce", from_logits=True)
    trained_3.compile("adam", model_loss(trained_3), metrics=[metric, "accuracy"])
    weights = trained_3.get_weights()
    for number, objective in enumerate(
        (keras_tuner.Objective("tflite_accuracy", "max"), kpk.accuracy_size_score())
    ):
        folder = tmp_path / str(number)
        tuner = tuner_of(hypermodel_of(trained_3), folder, objective=objective)
        with pytest.raises(ValueError, match="'sce'"):
            search(tuner, data)
        assert not list(folder.rglob("model.tflite"))
    assert all(map(np.array_equal, weights, trained_3.get_weights()))


def test_a_folder_of_the_version_before_goes_on(trained_3, data, tmp_path):
    """Its records have no mode: more of their metric is better."""
    tuner = tuner_of(hypermodel_of(trained_3), tmp_path, max_trials=1)
    trial, *_ = search(tuner, data)
    folder, record = record_of(tuner, trial)
    del record["baseline"]["mode"]
    (folder / "compression.json").write_text(json.dumps(record))
    assert kpk.pareto_front(folder.parent).mode == "max"
    search(tuner_of(hypermodel_of(trained_3), tmp_path, max_trials=2), data)
    front = kpk.pareto_front(folder.parent)
    assert [trial.mode for trial in front.trials] == ["max", "max"]
    by_error = hypermodel_of(trained_3, objective="loss")
    with pytest.raises(ValueError, match=r"by accuracy \(max\), now loss \(min\)"):
        search(tuner_of(by_error, tmp_path, max_trials=3), data)


def test_data_that_do_not_fit_end_the_search(trained_3, data, tmp_path):
    x, y = data
    tuner = tuner_of(hypermodel_of(trained_3), tmp_path)
    with pytest.raises(ValueError, match="cannot be evaluated on validation_data"):
        tuner.search(x, y, validation_data=(x[:, :4], y))


def test_a_folder_of_another_search(trained_3, data, tmp_path):
    search(tuner_of(hypermodel_of(trained_3), tmp_path, max_trials=1), data)
    other = hypermodel_of(trained_3, sparsity=(0.5, 0.6))
    tuner = tuner_of(other, tmp_path, max_trials=2)
    with pytest.raises(ValueError, match="holds another search.*sparsity.*overwrite"):
        search(tuner, data)
    assert len(tuner.oracle.trials) == 1


def test_a_folder_of_a_search_of_another_kind(trained_3, data, tmp_path):
    def build(hp):
        model = models.sequential(keras)
        rate = hp.Choice("rate", [0.1, 0.01, 0.001])
        adam = keras.optimizers.Adam(rate)
        model.compile(adam, model_loss(model), metrics=["accuracy"])
        return model

    options = {"directory": tmp_path, "seed": 1}
    theirs = keras_tuner.RandomSearch(build, "val_accuracy", max_trials=1, **options)
    search(theirs, data)
    hypermodel = hypermodel_of(trained_3)
    ours = keras_tuner.RandomSearch(hypermodel, max_trials=2, **options)
    with pytest.raises(ValueError, match="trials of no CompressionHyperModel"):
        search(ours, data)


@pytest.mark.parametrize("K", ["tf_keras"], indirect=True)
def test_trials_trained_on_several_devices(K, trained, data, tmp_path):
    tuner = tuner_of(
        hypermodel_of(trained),
        tmp_path,
        max_trials=1,
        distribution_strategy=two_devices(),
    )
    (trial,) = search(tuner, data)
    assert trial.status == "COMPLETED", trial.message
    folder, record = record_of(tuner, trial)
    assert record["measures"]["sparsity"] > 0.45
    saved = K.models.load_model(folder / "model.keras", compile=False)
    best = tuner.get_best_models()[0]
    assert all(map(np.array_equal, best.get_weights(), saved.get_weights()))


def test_any_tuner_trains_on_several_devices(trained_3, data, tmp_path):
    tuner = keras_tuner.RandomSearch(
        hypermodel_of(trained_3),
        max_trials=1,
        directory=tmp_path,
        distribution_strategy=two_devices(),
    )
    (trial,) = search(tuner, data)
    assert trial.status == "COMPLETED", trial.message


def two_devices():
    return tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])


def test_a_baseline_whose_copy_is_another_model_ends_the_search(data, tmp_path):
    """An attribute changed after training: no trial would begin at the baseline."""

    class Scaled(keras.layers.Layer):
        factor = 1.0

        def call(self, inputs):
            return inputs * self.factor

    layer = Scaled()
    model = keras.Sequential(
        [keras.Input((8,)), layer, keras.layers.Dense(3, activation="softmax")]
    )
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(*data, epochs=1, verbose=0)
    layer.factor = 3.0
    model.compile("adam", "sparse_categorical_crossentropy", metrics=["accuracy"])
    hyper = kpk.CompressionHyperModel(model, quantization=("none",), groups=1)
    tuner = keras_tuner.RandomSearch(hyper, max_trials=2, directory=tmp_path)

    with pytest.raises(keras_tuner.errors.FatalValueError, match="something else"):
        tuner.search(*data, validation_data=data, epochs=1, verbose=0)
