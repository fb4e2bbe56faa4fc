"""Where a search begins, and what its trials take over from earlier ones."""

import json
import math
from pathlib import Path

import keras
import keras_tuner
import models
import numpy as np
import pytest
import tf_keras
from trained import trained_once

import keras_prune_kit as kpk
from keras_prune_kit.compression import sounding
from keras_prune_kit.compression.attempt import Setting
from keras_prune_kit.tuning import earlier
from keras_prune_kit.tuning.baseline import Baseline
from keras_prune_kit.tuning.first_trials import begin_with, can_begin, first_values

ORACLES = {
    "RandomSearch": {"max_trials": 10},
    "BayesianOptimization": {"max_trials": 10, "num_initial_points": 8},
    "Hyperband": {"max_epochs": 9},
}


def compiled(K):
    model = models.sequential(K)
    loss = K.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


@pytest.fixture
def trained(K, data):
    return trained_once(compiled, K, data, epochs=4, batch_size=16)


@pytest.fixture
def trained_3(data):
    return trained_once(compiled, keras, data, epochs=4, batch_size=16)


def space():
    hp = keras_tuner.HyperParameters()
    hp.Choice("quantization", ["dynamic", "qat4"])
    hp.Choice("schedule", ["polynomial", "constant"])
    hp.Float("density_1of2", 0.05, 0.5, sampling="log", default=0.5)
    hp.Float("density_2of2", 0.05, 0.2, sampling="log", default=0.2)
    return hp


# The first hyperparameters.


def test_they_lie_around_the_density_the_mildest_first():
    found = first_values(space(), 0.06)
    assert [each["density_1of2"] for each in found] == pytest.approx(
        [0.06 / 0.216, 0.06 / 0.36, 0.1, 0.06, 0.05]
    )
    assert [each["density_2of2"] for each in found] == pytest.approx(
        [0.2, 0.06 / 0.36, 0.1, 0.06, 0.05]
    )
    others = [(each["quantization"], each["schedule"]) for each in found]
    assert others == [("qat4", "polynomial")] * 5


def test_a_range_has_each_of_them_once():
    found = first_values(space(), 0.01)
    assert [each["density_1of2"] for each in found] == [0.05]


def test_what_the_user_has_fixed_stays():
    hp = keras_tuner.HyperParameters()
    hp.Fixed("quantization", "dynamic")
    hp.Fixed("density_1of1", 0.3)
    assert first_values(hp, 0.1) == [{"quantization": "dynamic", "density_1of1": 0.3}]


@pytest.mark.parametrize(
    ("divergences", "density", "tried"),
    [
        # 0.6**10, 0.6**9 and so on; a power of the density between two of them.
        ([0.01], 0.6**10, 1),
        ([0.08, 0.04, 0.02], 0.6**8, 3),
        ([0.04, 0.01], 0.6**9.5, 2),
        ([1.0] * 10, 0.6, 10),
    ],
)
def test_the_density_is_found_from_the_sparse_side(
    monkeypatch, divergences, density, tried
):
    """Repairs of many weights take longest."""
    sparsities = []

    def repaired(model, policy, inputs):
        sparsities.append(policy.schedule.final_sparsity)

    found = iter(divergences)
    monkeypatch.setattr(sounding, "repaired", repaired)
    monkeypatch.setattr(sounding, "output_divergence", lambda *_: next(found))
    assert sounding.followed_density(None, None) == pytest.approx(density)
    assert sparsities == pytest.approx([1 - 0.6 ** (10 - n) for n in range(tried)])


# The oracles that try them.


def oracle_of(kind, folder, **arguments):
    oracle = getattr(keras_tuner.oracles, f"{kind}Oracle")(
        keras_tuner.Objective("loss", "min"), seed=1, **{**ORACLES[kind], **arguments}
    )
    oracle._set_project_dir(folder, "project")
    oracle.update_space(space())
    oracle.verbose = 0
    return oracle


def run(oracle, count):
    """The values of the next trials."""
    found = []
    for _ in range(count):
        trial = oracle.create_trial("tuner0")
        oracle.update_trial(trial.trial_id, {"loss": float(len(oracle.trials))})
        trial.status = "COMPLETED"
        oracle.end_trial(trial)
        found.append(trial.hyperparameters.values)
    return found


@pytest.mark.parametrize("kind", ORACLES)
def test_an_oracle_begins_with_them(kind, tmp_path):
    first, oracle = first_values(space(), 0.06), oracle_of(kind, tmp_path)
    begin_with(oracle, first)
    found = run(oracle, 6)
    for values, expected in zip(found[:5], first, strict=True):
        assert expected.items() <= values.items()
    assert not any(each.items() <= found[5].items() for each in first)


@pytest.mark.parametrize("kind", ORACLES)
def test_a_search_that_goes_on_does_not_repeat_them(kind, tmp_path):
    first, cut = first_values(space(), 0.06), oracle_of(kind, tmp_path)
    begin_with(cut, first)
    run(cut, 2)
    cut.save()
    oracle = oracle_of(kind, tmp_path)
    oracle.reload()
    begin_with(oracle, first)
    (values,) = run(oracle, 1)
    assert first[2].items() <= values.items()


def test_they_are_half_of_the_trials_at_most(tmp_path):
    first = first_values(space(), 0.06)
    oracle = oracle_of("RandomSearch", tmp_path, max_trials=4)
    begin_with(oracle, first)
    found = run(oracle, 3)
    assert found[:2] == first[:2]
    assert found[2] not in first


def test_only_an_oracle_with_random_trials_begins_so(tmp_path):
    oracle = oracle_of("RandomSearch", tmp_path)
    assert can_begin(oracle)
    begin_with(oracle, [])
    assert not can_begin(oracle)  # A second time.
    assert not can_begin(keras_tuner.oracles.GridSearchOracle(max_trials=2))
    assert not can_begin(object())  # A client of a chief oracle.


# The search.


def hypermodel_of(baseline, **arguments):
    return kpk.CompressionHyperModel(baseline, quantization=["dynamic"], **arguments)


def records(tuner):
    paths = sorted(Path(tuner.project_dir).glob("trial_*/compression.json"))
    return [json.loads(path.read_text()) for path in paths]


@pytest.mark.quick_in("keras")
def test_trials_go_on_from_milder_ones(trained, data, tmp_path, monkeypatch):
    """From the second on; the first starts from the repaired model."""
    monkeypatch.setattr(Baseline, "density_for", lambda self, x: 0.2)
    hypermodel = hypermodel_of(trained, max_accuracy_drop=0.9)
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=6, seed=1)
    tuner = kpk.CompressionTuner(oracle, hypermodel, directory=tmp_path)
    hypermodel.begin(oracle, *data)
    oracle.max_trials = 3  # Of six, half are such trials.
    tuner.search(*data, validation_data=data, epochs=1, batch_size=16, verbose=0)
    found = records(tuner)
    assert [each["start"] for each in found] == ["repaired", "trial 0", "trial 1"]
    sparsities = [each["measures"]["sparsity"] for each in found]
    # The mildest ones have the highest density of the search space, once.
    assert sparsities == pytest.approx([0.5, 1 - 0.2 / 0.6, 0.8], abs=0.01)


def test_our_tuner_begins_at_what_the_repairs_of_its_baseline_show(
    trained_3, data, tmp_path
):
    hypermodel = hypermodel_of(trained_3, groups=1)
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=2, seed=1)
    tuner = kpk.CompressionTuner(oracle, hypermodel, directory=tmp_path)
    tuner.search(*data, validation_data=data, epochs=1, verbose=0)
    first = firsts(oracle, trained_3, data)
    values = [each["hyperparameters"] for each in records(tuner)]
    assert values[0] == first[0]
    assert values[1] not in first


def firsts(oracle, baseline, data):
    return first_values(oracle.get_space(), Baseline(baseline).density_for(data[0]))


def test_a_tuner_of_keras_tuner_begins_so_after_a_trial(trained_3, data, tmp_path):
    hypermodel = hypermodel_of(trained_3, groups=1)
    tuner = keras_tuner.RandomSearch(
        hypermodel, max_trials=2, seed=1, directory=tmp_path
    )
    tuner.search(*data, validation_data=data, epochs=1, verbose=0)
    first = firsts(tuner.oracle, trained_3, data)
    values = [each["hyperparameters"] for each in records(tuner)]
    assert values[0] not in first
    assert values[1] == first[0]


def test_a_model_that_cannot_be_repaired_is_searched_as_ever(trained_3, data):
    assert Baseline(trained_3).density_for(iter(data)) is None


# What earlier trials tell.


def recorded(folder, name, *, drop=0.0, sparsity=0.5, bits=100, **changes):
    """A finished trial as its folder tells of it."""
    record = {
        "weight_bits": None,
        "thinning": None,
        "max_accuracy_drop": 0.01,
        "stored_bits": bits,
        "measures": {"accuracy_drop": drop, "sparsity": sparsity},
        **changes,
    }
    path = folder / f"trial_{name}"
    path.mkdir(parents=True)
    (path / "compression.json").write_text(json.dumps(record))
    return path


def test_a_drop_is_compared_with_those_of_smaller_files(tmp_path):
    recorded(tmp_path, "0", drop=0.02, bits=100)
    recorded(tmp_path, "1", drop=0.01, bits=200)
    mine = recorded(tmp_path, "2", drop=0.0, bits=50)
    trials = earlier.trials_beside(mine)
    assert [each.name for each in trials] == ["trial 0", "trial 1"]
    assert earlier.least_drop(trials, 300) == 0.01
    assert earlier.least_drop(trials, 200) == 0.02
    assert earlier.least_drop(trials, 100) == math.inf


def dense_of(zeros):
    """A model of one kernel of 20 weights, the first of them zero."""
    model = keras.Sequential([keras.layers.Input((4,)), keras.layers.Dense(5)])
    kernel = np.where(np.arange(20) < zeros, 0.0, 1.0).reshape(4, 5)
    model.set_weights([kernel, np.zeros(5)])
    return model


def setting_of(sparsity, quantization="dynamic", bits=None):
    return Setting(kpk.PrunePolicy(sparsity), quantization, bits)


@pytest.mark.parametrize(
    ("setting", "bits"),
    [
        (setting_of(0.5), 10 * 8),
        (setting_of(0.75, "none"), 5 * 32),
        (setting_of(0.75, "float16"), 5 * 16),
        (setting_of(0.8, "int8", 4), 4 * 4),
        (Setting(None, "dynamic"), 20 * 8),
        (Setting(kpk.PrunePolicy(kpk.KeepZeros()), "dynamic"), 20 * 8),
    ],
)
def test_the_bits_that_a_trial_leaves(setting, bits):
    assert earlier.stored_bits(setting, dense_of(0)) == bits


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_a_trial_goes_on_from_the_sparsest_milder_one_that_holds(tmp_path, scope):
    for zeros, drop in ((5, 0.0), (10, 0.01), (12, 0.02), (16, 0.0)):
        path = recorded(tmp_path, str(zeros), drop=drop, sparsity=zeros / 20)
        dense_of(zeros).save_weights(path / "checkpoint.weights.h5")
    other = recorded(tmp_path, "13", sparsity=13 / 20, weight_bits=4)
    trials = earlier.trials_beside(tmp_path / "trial_0")
    policy = kpk.PrunePolicy(0.7, scope=scope)  # 14 zeros
    model = dense_of(0)
    assert earlier.go_on(model, Setting(policy, "dynamic"), trials) == "trial 10"
    assert np.count_nonzero(model.get_weights()[0] == 0) == 10
    assert other.exists()


def test_a_trial_milder_than_all_keeps_its_weights(tmp_path):
    path = recorded(tmp_path, "1", sparsity=0.5)
    dense_of(10).save_weights(path / "checkpoint.weights.h5")
    model = dense_of(3)
    trials = earlier.trials_beside(tmp_path / "trial_0")
    assert earlier.go_on(model, setting_of(0.4), trials) is None
    assert np.count_nonzero(model.get_weights()[0] == 0) == 3


# The default search space.


@pytest.mark.parametrize(
    ("K", "with_samples", "expected"),
    [
        (keras, True, ["dynamic", "int8", "qat4"]),
        (keras, False, ["dynamic", "qat4"]),
        (tf_keras, True, ["dynamic", "int8"]),
    ],
)
def test_the_quantizations_that_make_small_files(K, with_samples, expected, data):
    samples = data[0][:64] if with_samples else None
    baseline = trained_once(compiled, K, data, epochs=4, batch_size=16)
    hypermodel = kpk.CompressionHyperModel(baseline, representative_data=samples)
    hp = keras_tuner.HyperParameters()
    hypermodel.choose(hp)
    (choice,) = (each for each in hp.space if each.name == "quantization")
    assert list(choice.values) == expected
    (density, *_) = (each for each in hp.space if each.name.startswith("density_"))
    assert (density.min_value, density.max_value) == pytest.approx((0.01, 0.5))
