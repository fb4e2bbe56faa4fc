"""Channels that contribute nothing leave, and the outputs stay the same.

Each test has a control: the same channels, cut without having been zeroed, must change
the outputs, so that none passes because nothing matters.
"""

import hypothesis
import keras
import numpy as np
import pytest
import tf_keras
from channel_graphs import graph_of, graphs
from channel_models import MODELS
from channel_tools import removed
from hypothesis import strategies as st
from marks import slow

import keras_prune_kit as kpk

WORLDS = (keras, tf_keras)
# The others lose half of their channels among the slow tests.
QUICK = ("shared_reshape", "nested", "stateful", "cross_attention", "output_inside")
# Statistics of a batch, a bias of another axis and code of a user's own can make a
# channel of zeros something else.
NOT_SILENT = ("in_training", "einsum", "own_layers", "own_masked")
# Outputs of the recurrent model hardly differ between samples: on processors with AVX2
# alone, float32's rounding of 3e-7 is 3e-5 of their spread.
TOLERANCES = {"in_float64": 1e-9, "recurrent": 1e-4}
# A bias that a constant moves into was not there before.
BIAS_IS_NEW = ("in_float64",)


def check(found, tolerance=1e-5):
    """Smaller, by as much as predicted, with equal outputs."""
    assert found.off < tolerance
    assert found.off_if_cut > max(1e-3, 100 * tolerance)
    assert found.small.count_params() < found.model.count_params()


@pytest.mark.each_value
@pytest.mark.parametrize("name", MODELS)
def test_zero_channels_leave_without_a_change(K, name):
    found = removed(lambda: MODELS[name](K))
    check(found, TOLERANCES.get(name, 1e-5))
    if name not in BIAS_IS_NEW:
        assert found.small.count_params() == found.parameters
    if name not in NOT_SILENT:
        assert np.isin(found.zeroed, found.silent).all()


@pytest.mark.each_value
@pytest.mark.parametrize("name", [n if n in QUICK else slow(n) for n in MODELS])
def test_half_of_the_channels_leave(K, name):
    model = MODELS[name](K)
    small = kpk.remove_channels(model, 0.5)
    assert small.count_params() < model.count_params()
    assert [x.name for x in small.layers] == [x.name for x in model.layers]
    assert small.name == model.name
    for group in kpk.channel_groups(small):
        assert group.channels >= 1


@hypothesis.given(st.sampled_from(WORLDS), graphs)
@hypothesis.settings(deadline=None, max_examples=8, derandomize=True)
def test_random_graphs(world, graph):
    _check_graph(world, graph)


@pytest.mark.slow
@hypothesis.given(st.sampled_from(WORLDS), graphs)
@hypothesis.settings(deadline=None, max_examples=150)
def test_many_random_graphs(world, graph):
    _check_graph(world, graph)


def _check_graph(world, graph):
    found = removed(lambda: graph_of(world, graph))
    check(found)
    assert found.small.count_params() == found.parameters
    assert np.isin(found.zeroed, found.silent).all()
