"""A trial ends when no epoch that is left can bring it back, and not before."""

from types import SimpleNamespace

import pytest

from keras_prune_kit.reports import Allowance
from keras_prune_kit.tuning import stopping


@pytest.mark.parametrize(
    ("accuracy", "epoch", "is_at_target", "stops"),
    [
        # An epoch wins back three quarters at most; two are left: 0.16 / 16 = 0.01.
        (0.85, 0, True, False),
        (0.83, 0, True, True),
        (0.83, 0, False, False),  # The weights are not final yet.
        (0.97, 1, True, False),  # One is left: 0.04 / 4.
        (0.95, 1, True, True),
        (0.10, 2, True, False),  # It ends anyway.
    ],
)
def test_it_ends_what_cannot_come_back(
    monkeypatch, accuracy, epoch, is_at_target, stops
):
    pruner = SimpleNamespace(is_at_target=is_at_target)
    monkeypatch.setattr(stopping, "active_pruner", lambda model: pruner)
    stop = stopping.StopOutOfReach("accuracy", Allowance(1.0, 0.01))
    stop.set_params({"epochs": 3})
    stop._model = SimpleNamespace(stop_training=False)
    stop.on_epoch_end(epoch, {"val_accuracy": accuracy})
    assert stop.has_stopped is stop.model.stop_training is stops
