"""What KerasTuner writes of a search, safe from a process that is killed."""

from __future__ import annotations

import functools
import json
import os
import threading
from typing import Any

import keras_tuner

from keras_prune_kit._tools.files import replacing


def write_json(path: str | os.PathLike[str], content: Any) -> None:
    """Writes a file of JSON whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(content), "utf-8")


def keep_whole(oracle: Any) -> None:
    """Lets an oracle write each of its files whole, and only what is settled.

    KerasTuner writes in place, and no search goes on from half a file. Also it writes
    that a trial has ended while it still counts it among those under way: killed then,
    a search would run the trial again.

    Args:
        oracle: Of this process; one that asks a chief for everything writes nothing.
    """
    if not isinstance(oracle, keras_tuner.Oracle) or "save" in vars(oracle):
        return
    end_trial, this_thread = oracle.end_trial, threading.local()

    def save() -> None:
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
    """Completes what an oracle remembers of a search that was cut off.

    A trial that was counted but not begun is forgotten, as nobody would run it. What
    was measured in one that did not end is forgotten too, or what is measured when it
    runs again would be thrown away. A grid, which KerasTuner does not write down, is
    gone over again from its trials.

    Args:
        oracle: Just reloaded.
    """
    begun = set(oracle.start_order)
    # KerasTuner reloads trials in no order, and of equal ones the first one wins.
    trials = sorted(oracle.trials.items())
    oracle.trials = {name: trial for name, trial in trials if name in begun}
    for name in begun.difference(oracle.end_order):
        trial = oracle.trials[name]
        trial.metrics = type(trial.metrics)()
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
