"""Atomic and consistent writing of KerasTuner's search state."""

from __future__ import annotations

import functools
import json
import os
import threading
from typing import Any

import keras_tuner

from keras_prune_kit._tools.files import replacing


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Write a JSON file atomically."""
    with replacing(path) as part:
        part.write_text(json.dumps(content), "utf-8")


def keep_whole(oracle: Any) -> None:
    """Make an oracle write its files atomically and only in consistent states.

    KerasTuner writes in place, and a search cannot resume from a truncated file. It
    also saves that a trial has ended while still listing it as ongoing: after a kill at
    that moment, the resumed search would run the trial again.

    Args:
        oracle: An oracle of this process. A client of a chief oracle is ignored, as it
            writes nothing.
    """
    # An instance attribute `save` shows that this function was here before.
    if not isinstance(oracle, keras_tuner.Oracle) or "save" in vars(oracle):
        return
    # A chief oracle serves its workers in several threads.
    end_trial, this_thread = oracle.end_trial, threading.local()

    def save() -> None:
        # `end_trial` saves while the trial is still among the ongoing ones.
        if not getattr(this_thread, "is_ending", False):
            write_json(oracle._get_oracle_fname(), oracle.get_state())

    def save_trial(trial: Any) -> None:
        folder = oracle._get_trial_dir(trial.trial_id)
        write_json(os.path.join(folder, "trial.json"), trial.get_state())

    def end(*arguments: Any, **options: Any) -> None:
        this_thread.is_ending = True
        try:
            end_trial(*arguments, **options)
        finally:
            this_thread.is_ending = False
        save()

    oracle.save = save
    oracle._save_trial = save_trial
    oracle.end_trial = end


def settle(oracle: Any) -> None:
    """Repair the state of an oracle after an interrupted search.

    Remove trials that were created but not started, as KerasTuner would never run them.
    Remove the measurements of unfinished trials, which would otherwise take precedence
    over those of the rerun. Rebuild the order of a grid search from its trials, as
    KerasTuner does not save it.

    Args:
        oracle: An oracle that was just reloaded.
    """
    begun = set(oracle.start_order)
    # KerasTuner reloads trials in arbitrary order, but of equal scores the first wins.
    trials = sorted(oracle.trials.items())
    oracle.trials = {name: trial for name, trial in trials if name in begun}
    for name in begun.difference(oracle.end_order):
        trial = oracle.trials[name]
        trial.metrics = type(trial.metrics)()  # An empty tracker.
    if isinstance(oracle, keras_tuner.oracles.GridSearchOracle):
        _settle_grid(oracle)


def _settle_grid(oracle: Any) -> None:
    def values(name: str) -> dict[str, Any]:
        return oracle.trials[name].hyperparameters.values

    def compare(a: str, b: str) -> int:
        return oracle._compare(values(a), values(b))

    before = None
    for name in sorted(oracle.start_order, key=functools.cmp_to_key(compare)):
        oracle._ordered_ids.insert(name, before)
        before = name
    oracle._populate_next = list(oracle.start_order)
