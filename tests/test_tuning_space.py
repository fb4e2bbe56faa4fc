"""What a trial may choose from."""

import keras
import keras_tuner
import models
import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.tuning.space import Space

LEVELS = dict(sparsity=(0.5, 0.95), quantization=("dynamic", "qat4"), groups=2)


def space_of(*structures, **arguments):
    structures = structures or (kpk.Unstructured(),)
    return Space(structures=structures, policy=None, **{**LEVELS, **arguments})


def samples(space, model, count=30):
    """The settings of random trials, with their hyperparameters."""
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=count, seed=0)

    class Build(keras_tuner.HyperModel):
        def build(self, hp):
            space.choose(hp, model)

    tuner = keras_tuner.Tuner(oracle, Build(), directory="tuner")
    for _ in range(count):
        trial = oracle.create_trial(tuner.tuner_id)
        oracle.ongoing_trials.clear()
        yield trial.hyperparameters.values, space.choose(trial.hyperparameters, model)


@pytest.fixture(autouse=True)
def _quiet(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def test_layers_are_grouped_by_depth():
    model = models.residual(keras)
    seen = set()
    for values, settings in samples(space_of(), model):
        plan = settings.policy.plan(model)
        finals = [weight.schedule.final_sparsity for weight in plan.weights]
        densities = [values["density_1of2"], values["density_2of2"]]
        if settings.policy.scope == "global":
            sizes = [np.prod(weight.shape) for weight in plan.weights]
            overall = 1 - np.average(densities, weights=sizes)
            assert finals == pytest.approx([overall] * 2)
        else:
            assert finals == pytest.approx([1 - density for density in densities])
        assert all(0.5 <= final <= 0.95 for final in finals)
        seen |= {settings.policy.scope, type(settings.policy.schedule).__name__}
    schedules = {"PolynomialDecay", "CosineDecay", "ConstantSparsity"}
    assert seen == {"layer", "global"} | schedules


def test_quantization_names_an_export_or_trained_bits():
    found = {
        (values["quantization"], settings.quantization, settings.weight_bits)
        for values, settings in samples(space_of(), models.sequential(keras))
    }
    assert found == {("dynamic", "dynamic", None), ("qat4", "int8", 4)}


def test_a_structure_is_for_the_weights_that_it_fits():
    """Four channels of twelve inputs fit 2:4; three inputs do not."""
    model = keras.Sequential(
        [
            keras.layers.Input((3,)),
            keras.layers.Dense(12, name="odd"),
            keras.layers.Dense(4, name="even"),
        ]
    )
    space = space_of(kpk.NofM(2, 4), kpk.Block((4, 1)), groups=1)
    seen = set()
    for values, settings in samples(space, model):
        odd, even = settings.policy.plan(model).weights
        assert odd.structure == kpk.Unstructured()
        final = pytest.approx(1 - values["density_1of1"])
        assert odd.schedule.final_sparsity == final
        seen.add(even.structure)
        is_pattern = even.structure == kpk.NofM(2, 4)
        assert even.schedule.final_sparsity == (0.5 if is_pattern else final)
    assert seen == {kpk.NofM(2, 4), kpk.Block((4, 1))}


def test_densities_are_even_in_halvings():
    values = [
        values["density_1of2"]
        for values, _ in samples(space_of(), models.sequential(keras), 200)
    ]
    assert 0.05 <= min(values) < 0.06
    assert 0.45 < max(values) <= 0.5
    assert np.median(values) == pytest.approx(np.sqrt(0.05 * 0.5), abs=0.03)


def test_all_hyperparameters_count_always():
    """KerasTuner's Bayesian oracle repeats itself where some depend on others."""
    hp = keras_tuner.HyperParameters()
    space_of(kpk.Unstructured(), kpk.NofM(2, 4)).choose(hp, models.sequential(keras))
    assert not any(item.conditions for item in hp.space)
    assert {type(item).__name__ for item in hp.space} == {"Choice", "Float"}


def test_a_range_of_one_sparsity():
    for _, settings in samples(space_of(sparsity=(0.9, 0.9)), models.sequential(keras)):
        assert settings.policy.schedule.final_sparsity == pytest.approx(0.9)


def test_there_are_no_more_groups_than_weights():
    hp = keras_tuner.HyperParameters()
    space_of(groups=10).choose(hp, models.sequential(keras))
    names = {item.name for item in hp.space}
    assert {"density_1of2", "density_2of2"} <= names


def test_a_policy_that_does_not_fit_is_told():
    rule = kpk.Rule("no_such_layer", 0.5)
    space = Space(
        structures=[kpk.Unstructured()],
        policy=lambda hp: kpk.PrunePolicy(0.5, rule),
        **LEVELS,
    )
    with pytest.raises(ValueError, match="no_such_layer"):
        space.choose(keras_tuner.HyperParameters(), models.sequential(keras))


def test_a_search_begins_where_least_is_pruned():
    hp = keras_tuner.HyperParameters()
    space_of(groups=1).choose(hp, models.sequential(keras))
    assert hp.get("density_1of1") == pytest.approx(1 - LEVELS["sparsity"][0])
