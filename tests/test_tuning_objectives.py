"""What a search aims at: numbers out of measures, no model in sight."""

import itertools

import keras_tuner
import pytest

import keras_prune_kit as kpk
from keras_prune_kit.tuning.objectives import check_aim, value_of


def measures(size, accuracy, baseline=0.9):
    return {
        "gzip_bytes": float(size),
        "file_bytes": 2.0 * size,
        "size_ratio": 1_000_000 / size,
        "sparsity": 0.5,
        "tflite_accuracy": accuracy,
        "accuracy_drop": baseline - accuracy,
        "latency_ms": 1.0,
        "val_accuracy": accuracy,
    }


def several(*parts):
    """What KerasTuner makes of a list."""
    return keras_tuner.oracles.RandomSearchOracle(list(parts)).objective


def ranked(objective, trials):
    """The trials from the best one on."""
    sign = 1 if objective.direction == "min" else -1
    return sorted(trials, key=lambda m: sign * value_of(objective, m, 0.01))


def test_smallest_within_puts_size_first_where_it_may():
    objective = kpk.smallest_within(0.01)
    assert (objective.name, objective.direction) == ("smallest_within", "min")
    trials = [
        *(measures(20_000, 0.891), measures(30_000, 0.95), measures(300_000, 0.9)),
        *(measures(9_000, 0.88), measures(8_000, 0.85), measures(1_000, 0.1)),
    ]
    assert ranked(objective, reversed(trials)) == trials


def test_smallest_within_charges_sixteen_times_the_size_beyond():
    objective = kpk.smallest_within(0.01)
    within, beyond = measures(160_000, 0.9), measures(10_000, 0.8899)
    assert ranked(objective, [beyond, within]) == [within, beyond]
    far_larger = measures(170_000, 0.9)
    assert ranked(objective, [far_larger, beyond]) == [beyond, far_larger]


def test_smallest_within_grows_with_the_violation_alone():
    objective = kpk.smallest_within(0.01)
    values = [objective.get_value(measures(5_000, 0.9 - d / 100)) for d in range(2, 50)]
    assert all(a < b for a, b in itertools.pairwise(values))
    assert values[-1] < 30  # an outlier would hide all else from a model of it


def test_no_drop_at_all_is_a_limit_too():
    objective = kpk.smallest_within(0)
    trials = [measures(20_000, 0.9), measures(10_000, 0.8999)]
    assert ranked(objective, trials) == trials


def test_accuracy_size_score_trades_accuracy_for_halvings():
    objective = kpk.accuracy_size_score(0.01)
    assert (objective.name, objective.direction) == ("accuracy_size_score", "max")
    small, large = measures(10_000, 0.9), measures(20_000, 0.9)
    assert ranked(objective, [large, small]) == [small, large]
    assert ranked(objective, [measures(20_000, 0.92), small])[1] == small
    assert ranked(objective, [small, measures(20_000, 0.902)])[0] == small


@pytest.mark.parametrize("name", sorted(measures(1, 1)))
def test_each_measure_is_an_objective(name):
    objective = keras_tuner.Objective(name, "min")
    assert value_of(objective, measures(10, 0.8), 0.01) == measures(10, 0.8)[name]


def test_a_list_of_objectives_has_one_scale():
    """KerasTuner's plain sum would follow the bytes alone."""
    both = several(
        keras_tuner.Objective("tflite_accuracy", "max"),
        keras_tuner.Objective("gzip_bytes", "min"),
    )
    good, poor, large = measures(10_000, 0.9), measures(9_000, 0.6), measures(2e4, 0.9)
    assert both.get_value(poor) < both.get_value(good)
    assert ranked(both, [poor, large, good]) == [good, large, poor]
    # Half of the size is worth as much as the drop that is allowed.
    halved = measures(5_000, 0.89)
    assert value_of(both, halved, 0.01) == pytest.approx(value_of(both, good, 0.01))


def test_a_list_takes_what_has_a_scale():
    parts = [keras_tuner.Objective("loss", "min"), "val_accuracy"]
    with pytest.raises(ValueError, match="Received: 'loss'"):
        value_of(several(*parts), measures(10, 0.8), 0.01)
    parts = [keras_tuner.Objective("sparsity", "max"), "val_accuracy"]
    dense = {**measures(10, 0.8), "sparsity": 0.2}
    sparse = {**dense, "sparsity": 0.9}
    assert ranked(several(*parts), [dense, sparse])[0] == sparse


def test_an_unknown_objective_is_named():
    objective = keras_tuner.Objective("flops", "min")
    with pytest.raises(ValueError, match=r"gzip_bytes, .*Received.*'flops'"):
        value_of(objective, measures(10, 0.8), 0.01)


def test_a_list_scales_an_error_by_what_the_baseline_has():
    """A drop of 1 is 20 in the unit of this error: 1 % more is 0.2."""
    both = several(
        keras_tuner.Objective("tflite_accuracy", "min"),
        keras_tuner.Objective("gzip_bytes", "min"),
    )
    good, halved = measures(10_000, 20.0), measures(5_000, 20.2)
    values = [value_of(both, m, 0.01, 20.0) for m in (good, halved)]
    assert values[0] == pytest.approx(values[1])
    drops = several(
        keras_tuner.Objective("accuracy_drop", "min"),
        keras_tuner.Objective("gzip_bytes", "min"),
    )
    halved["accuracy_drop"] = good["accuracy_drop"] + 0.01
    values = [value_of(drops, m, 0.01, 20.0) for m in (good, halved)]
    assert values[0] == pytest.approx(values[1])


def test_an_objective_that_points_the_other_way_is_refused():
    for name in ("tflite_accuracy", "val_mae"):
        wrong = keras_tuner.Objective(name, "max")
        for objective in (wrong, several(wrong, "val_accuracy")):
            with pytest.raises(ValueError, match=rf"Objective\('{name}', 'min'\)"):
                check_aim(objective, "mae", "min")
        check_aim(keras_tuner.Objective(name, "min"), "mae", "min")
    check_aim(keras_tuner.Objective("val_accuracy", "max"), "accuracy", "max")


def test_accuracy_is_weighed_against_size_and_errors_are_not():
    with pytest.raises(ValueError, match="needs a metric of which more.*'mae'"):
        check_aim(kpk.accuracy_size_score(), "mae", "min")
    check_aim(kpk.accuracy_size_score(), "f1_score", "max")
    check_aim(kpk.smallest_within(0.01), "mae", "min")


@pytest.mark.parametrize("drop", [-0.01, 1, "0.01", None, True, float("nan")])
def test_a_drop_that_is_none(drop):
    with pytest.raises(ValueError, match="at least 0 and below 1"):
        kpk.smallest_within(drop)


@pytest.mark.parametrize("share", [0, 1, -1, "a"])
def test_a_share_that_is_none(share):
    with pytest.raises(ValueError, match="above 0 and below 1"):
        kpk.accuracy_size_score(share)
