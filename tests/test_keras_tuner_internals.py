"""The private parts of KerasTuner that `tuning/` uses or replaces.

`pyproject.toml` has an upper bound for keras-tuner. Before it is raised, all of this
must hold with the new version; `test_tuning_resume.py` then shows that it still means
the same.
"""

import inspect

import keras_tuner
import pytest
from keras_tuner.engine import metrics_tracking
from keras_tuner.src.engine import tuner_utils

ORACLE = {
    # Replaced on an oracle, by `durable_oracle.keep_whole`.
    "save": [],
    "_save_trial": ["trial"],
    "end_trial": ["kwargs"],  # behind the wrapper of a lock: (*args, **kwargs)
    # Called.
    "get_state": [],
    "_get_oracle_fname": [],
    "_get_trial_dir": ["trial_id"],
}
TUNER = {
    # Overridden by `CompressionTuner`.
    "save": [],
    "reload": [],
    "search": ["fit_args", "fit_kwargs"],
    "load_model": ["trial"],
    "run_trial": ["trial", "args", "kwargs"],
    # Called.
    "get_trial_dir": ["trial_id"],
    "_get_tuner_fname": [],
    "_is_worker": [],
}


@pytest.mark.parametrize("name", ORACLE)
def test_methods_of_oracles(name):
    method = inspect.unwrap(getattr(keras_tuner.Oracle, name))
    assert list(inspect.signature(method).parameters)[1:] == ORACLE[name]


@pytest.mark.parametrize("name", TUNER)
def test_methods_of_tuners(name):
    method = inspect.unwrap(getattr(keras_tuner.Tuner, name))
    assert list(inspect.signature(method).parameters)[1:] == TUNER[name]


def test_what_oracles_remember():
    objective = keras_tuner.Objective("gzip_bytes", "min")
    oracle = keras_tuner.oracles.RandomSearchOracle(objective, max_trials=1)
    assert (oracle.trials, oracle.start_order, oracle.end_order) == ({}, [], [])
    grid = keras_tuner.oracles.GridSearchOracle(objective)
    assert grid._populate_next == []
    grid._ordered_ids.insert("0", None)
    grid._ordered_ids.insert("1", "0")
    assert grid._ordered_ids.next("0") == "1"
    assert list(inspect.signature(grid._compare).parameters) == ["a", "b"]


def test_the_callbacks_that_a_trial_context_is_read_from():
    assert tuner_utils.SaveBestEpoch.__name__ == "SaveBestEpoch"
    callback = tuner_utils.TunerCallback(tuner="tuner", trial="trial")
    assert (callback.tuner, callback.trial) == ("tuner", "trial")
    assert callable(metrics_tracking.infer_metric_direction)
