"""Schedules: literal values, updates, and TFMOT's own numbers."""

import dataclasses

import pytest

import keras_prune_kit as kpk

RAMPS = [
    kpk.PolynomialDecay(0.2, 0.8, begin_step=10, end_step=110),
    kpk.CosineDecay(0.2, 0.8, begin_step=10, end_step=110),
]


@pytest.mark.parametrize("ramp", RAMPS)
def test_ramp_starts_and_ends_exactly(ramp):
    assert ramp(0) == ramp(10) == pytest.approx(0.2)
    assert ramp(110) == ramp(10_000) == 0.8


@pytest.mark.parametrize("ramp", RAMPS)
def test_ramp_never_falls(ramp):
    values = [ramp(step) for step in range(200)]
    assert values == sorted(values)


def test_half_way_values():
    assert kpk.PolynomialDecay(0, 0.8, 0, 100)(50) == pytest.approx(0.7)
    assert kpk.PolynomialDecay(0, 0.8, 0, 100, power=1)(50) == pytest.approx(0.4)
    assert kpk.CosineDecay(0, 0.8, 0, 100)(50) == pytest.approx(0.4)


def test_ramp_without_length_jumps_to_its_end():
    ramp = kpk.PolynomialDecay(0.0, 0.5, begin_step=7, end_step=7)
    assert ramp.last_update(6) is None
    assert ramp.last_update(7) == 7
    assert ramp(7) == 0.5


def test_updates_come_every_frequency_steps_and_at_the_end():
    ramp = kpk.PolynomialDecay(0, 0.8, begin_step=10, end_step=35, frequency=10)
    updates = [ramp.last_update(step) for step in (9, 10, 19, 20, 34, 35, 99)]
    assert updates == [None, 10, 10, 20, 30, 35, 35]


def test_default_frequency_spreads_about_100_updates():
    ramp = kpk.PolynomialDecay(0, 0.8, begin_step=0, end_step=1234)
    updates = {ramp.last_update(step) for step in range(2000)}
    assert 100 <= len(updates) <= 105
    assert max(updates) == 1234


def test_short_ramps_update_at_every_step():
    ramp = kpk.PolynomialDecay(0, 0.8, begin_step=0, end_step=3)
    assert [ramp.last_update(step) for step in range(5)] == [0, 1, 2, 3, 3]


def test_constant_updates_once_unless_told_otherwise():
    assert kpk.ConstantSparsity(0.5, 4).last_update(3) is None
    assert kpk.ConstantSparsity(0.5, 4).last_update(4000) == 4
    assert kpk.ConstantSparsity(0.5, 4, frequency=10).last_update(25) == 24


def test_tfmot_spelling_of_no_end():
    constant = kpk.ConstantSparsity(0.5, 0, end_step=-1)
    assert constant == kpk.ConstantSparsity(0.5, 0)


def test_epochs_and_fractions_resolve_to_steps():
    ramp = kpk.PolynomialDecay(0, 0.8, kpk.Epochs(1), kpk.Fraction(0.5))
    assert not ramp.is_resolved
    plain = ramp.resolve(steps_per_epoch=100, epochs=6)
    assert plain == kpk.PolynomialDecay(0, 0.8, 100, 300)
    assert plain.is_resolved


def test_an_unresolved_schedule_asks_to_be_resolved():
    with pytest.raises(ValueError, match="resolve"):
        kpk.PolynomialDecay(0, 0.8)(5)


def test_begin_after_end_is_found_when_the_length_is_known():
    ramp = kpk.PolynomialDecay(0, 0.8, kpk.Epochs(4), kpk.Fraction(0.5))
    with pytest.raises(ValueError, match="begin_step must not come after end_step"):
        ramp.resolve(steps_per_epoch=10, epochs=6)


def test_with_final_sparsity_keeps_the_timing():
    ramp = kpk.PolynomialDecay(0.5, 0.8, 5, 50, power=2, frequency=3)
    lower = ramp.with_final_sparsity(0.4)
    assert lower == dataclasses.replace(ramp, initial_sparsity=0.4, final_sparsity=0.4)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: kpk.PolynomialDecay(0, 80), "write 0.8 for 80 %"),
        (lambda: kpk.PolynomialDecay(-0.1, 0.8), "initial_sparsity=-0.1"),
        (lambda: kpk.PolynomialDecay(0, 1.0), "final_sparsity=1.0"),
        (lambda: kpk.PolynomialDecay(0, float("nan")), "final_sparsity=nan"),
        (lambda: kpk.PolynomialDecay(0, "0.8"), "final_sparsity='0.8'"),
        (lambda: kpk.PolynomialDecay(0, True), "final_sparsity=True"),
        (lambda: kpk.PolynomialDecay(0.9, 0.8), "Sparsity can only rise"),
        (lambda: kpk.CosineDecay(0.9, 0.8), "Sparsity can only rise"),
        (lambda: kpk.PolynomialDecay(0, 0.8, 9, 8), "begin_step must not come after"),
        (lambda: kpk.PolynomialDecay(0, 0.8, -1, 8), "begin_step=-1"),
        (lambda: kpk.PolynomialDecay(0, 0.8, 0, -1), "end_step=-1"),
        (lambda: kpk.PolynomialDecay(0, 0.8, 0.5, 8), "begin_step=0.5"),
        (lambda: kpk.PolynomialDecay(0, 0.8, power=0), "power=0"),
        (lambda: kpk.PolynomialDecay(0, 0.8, frequency=0), "frequency=0"),
        (lambda: kpk.ConstantSparsity(1.5), "target_sparsity=1.5"),
        (lambda: kpk.Epochs(-1), r"Epochs\(-1\)"),
        (lambda: kpk.Fraction(1.5), r"Fraction\(1.5\)"),
    ],
)
def test_bad_values_are_named(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_part_of_an_epoch_is_rounded_to_a_step():
    schedule = kpk.ConstantSparsity(0.5, kpk.Epochs(0.29))  # 28.999... of 100 steps
    assert schedule.resolve(steps_per_epoch=100, epochs=1).begin_step == 29


def test_updates_are_spread_over_the_ramp_whenever_it_begins():
    late = kpk.PolynomialDecay(0, 0.8, 10_000, 10_200)
    assert [late.last_update(step) for step in (10_001, 10_006, 10_013)] == [
        *(10_000, 10_006, 10_012)
    ]


@pytest.mark.parametrize("ramp,updates", [(5, 6), (12, 13), (48, 9), (1000, 101)])
def test_short_ramps_have_fewer_updates_and_end_exactly(ramp, updates):
    schedule = kpk.PolynomialDecay(0, 0.8, 0, ramp)
    seen = [schedule.last_update(step) for step in range(ramp + 3)]
    assert len(set(seen)) == updates
    assert seen[-3:] == [ramp, ramp, ramp] and schedule(ramp) == 0.8
