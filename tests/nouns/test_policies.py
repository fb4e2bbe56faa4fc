"""Policies as values: what they mean, and as plain data."""

import json

import pytest

import keras_prune_kit as kpk


def test_a_float_means_a_polynomial_ramp_from_zero():
    assert kpk.PrunePolicy(0.8).schedule == kpk.PolynomialDecay(0.0, 0.8)


def test_global_policies_survive_json():
    policy = kpk.PrunePolicy(0.8, scope="global")
    assert kpk.PrunePolicy.from_dict(json.loads(json.dumps(policy.to_dict()))) == policy


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (lambda: kpk.PrunePolicy(0.5, [kpk.Rule(lambda _: True, 0.1)]), "callable"),
        (lambda: kpk.PrunePolicy(0.5, criterion=lambda w: w), "keras_prune_kit"),
        (lambda: kpk.PrunePolicy(0.5, [kpk.Rule(dict, 0.1)]), "built-in layer"),
    ],
)
def test_what_cannot_be_written_down_says_so(policy, message):
    with pytest.raises(ValueError, match=message):
        policy().to_dict()


@pytest.mark.parametrize(
    "data",
    [{}, {"schedule": {"name": "Nothing"}}, {"schedule": {"names": 1}}, [], None],
)
def test_data_that_are_no_policy_say_so(data):
    with pytest.raises(ValueError, match="policy|Unknown"):
        kpk.PrunePolicy.from_dict(data)


@pytest.mark.parametrize(
    ("build", "error", "message"),
    [
        (lambda: kpk.PrunePolicy(80), ValueError, "write 0.8"),
        (lambda: kpk.PrunePolicy("x"), ValueError, "schedule='x'"),
        (lambda: kpk.PrunePolicy(0.8, ["conv"]), TypeError, "Rule"),
        (lambda: kpk.PrunePolicy(0.8, structure=kpk.Block), TypeError, "structure"),
        (lambda: kpk.PrunePolicy(0.8, criterion="l1"), TypeError, "criterion"),
        (lambda: kpk.PrunePolicy(0.8, scope="all"), ValueError, "scope='all'"),
        (
            lambda: kpk.PrunePolicy(0.5, scope="global", structure=kpk.NofM(2, 4)),
            ValueError,
            "single weights",
        ),
        (lambda: kpk.Rule("(", 0.5), ValueError, "regex that compiles"),
        (lambda: kpk.Rule(5, 0.5), TypeError, "Received: 5"),
        (lambda: kpk.Rule("a", 5), ValueError, "schedule=5"),
        (lambda: kpk.Rule("a", 0.5, structure=1), TypeError, "structure"),
    ],
)
def test_bad_values_are_named(build, error, message):
    with pytest.raises(error, match=message):
        build()
