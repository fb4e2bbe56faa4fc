"""The benchmark of large models does what it says, with small ones."""

import argparse

import load
import pytest

OPTIONS = argparse.Namespace(
    weights=4000, dense=2, optimizer="adam", layers=120, rules=30
)


@pytest.mark.each_value
@pytest.mark.parametrize("kind", ["names", "regexes"])
def test_every_rule_is_for_a_layer_of_its_own(K, kind):
    _, weights, ruled = load.plan_seconds(OPTIONS, K.__name__, kind, OPTIONS.rules)
    assert (weights, ruled) == (OPTIONS.layers, OPTIONS.rules)


@pytest.mark.parametrize("scope", load.SCOPES)
def test_masks_change_in_every_step(K, scope):
    seconds, size = load.update_seconds(OPTIONS, K.__name__, scope)
    assert len(seconds) == load.STEPS
    assert size == 2 * 44 * 44


def test_a_peak_is_of_the_process_and_holds_the_weights(K):
    peak, weights = load.train(OPTIONS, K.__name__, "layer")
    assert weights == 4 * 2 * 44 * 44
    assert peak > 50_000_000  # TensorFlow alone takes more.
