"""How much of a metric may be lost, by literal numbers."""

import pytest

from keras_prune_kit.reports import Allowance


@pytest.mark.parametrize(
    ("mode", "baseline", "limit", "holds", "fails"),
    [
        ("max", 0.9, 0.89, 0.89, 0.8899),
        ("max", 0.0, -0.01, -0.01, -0.011),  # a correlation
        ("min", 20.0, 20.2, 20.2, 20.21),
        ("min", 0.001, 0.00101, 0.00101, 0.00102),
        ("min", -0.5, -0.495, -0.495, -0.49),  # the loss cosine_similarity
        ("min", 0.0, 0.01, 0.01, 0.0101),  # no error at all has no percentage
        ("min", 1e-8, 0.01000001, 0.01, 0.0101),
    ],
)
def test_the_limit_and_what_is_beyond(mode, baseline, limit, holds, fails):
    allowance = Allowance(baseline, 0.01, mode)
    assert allowance.limit == pytest.approx(limit)
    assert allowance.holds(holds) and not allowance.holds(fails)
    assert not allowance.holds(float("nan"))


def test_a_drop_is_what_is_lost():
    assert Allowance(0.9, 0.01).drop(0.8) == pytest.approx(0.1)
    assert Allowance(0.9, 0.01).drop(0.95) == pytest.approx(-0.05)
    assert Allowance(20.0, 0.01, "min").drop(25.0) == pytest.approx(0.25)
    assert Allowance(20.0, 0.01, "min").drop(15.0) == pytest.approx(-0.25)


def test_it_reads_as_a_person_says_it():
    assert str(Allowance(0.9, 0.002)) == "less 0.002"
    assert str(Allowance(1.0, 0.002, "min")) == "plus 0.2 %"
    assert str(Allowance(0.0, 0.002, "min")) == "plus 0.002"
