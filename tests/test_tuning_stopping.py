"""A trial ends when no epoch that is left can bring it back, and not before."""

import math
from types import SimpleNamespace

import pytest

from keras_prune_kit.reports import Allowance
from keras_prune_kit.tuning import stopping


@pytest.mark.parametrize(
    ("accuracy", "epoch", "is_at_target", "drop_to_beat", "stops"),
    [
        # An epoch wins back three quarters at most; two are left: 0.16 / 16 = 0.01.
        (0.85, 0, True, math.inf, False),
        (0.83, 0, True, math.inf, True),
        (0.83, 0, False, math.inf, False),  # The weights are not final yet.
        (0.97, 1, True, math.inf, False),  # One is left: 0.04 / 4.
        (0.95, 1, True, math.inf, True),
        (0.10, 2, True, math.inf, False),  # It ends anyway.
        # A smaller file has lost no more than 0.005: 0.015 / 4 gets there.
        (0.985, 1, True, 0.005, False),
        (0.97, 1, True, 0.005, True),
        (0.97, 1, True, 0.5, False),  # One that has lost more says nothing.
    ],
)
def test_it_ends_what_cannot_come_back(
    monkeypatch, accuracy, epoch, is_at_target, drop_to_beat, stops
):
    pruner = SimpleNamespace(is_at_target=is_at_target)
    monkeypatch.setattr(stopping, "active_pruner", lambda model: pruner)
    stop = stopping.StopOutOfReach("accuracy", Allowance(1.0, 0.01), drop_to_beat)
    stop.set_params({"epochs": 3})
    stop._model = SimpleNamespace(stop_training=False)
    stop.on_epoch_end(epoch, {"val_accuracy": accuracy})
    assert stop.has_stopped is stop.model.stop_training is stops
