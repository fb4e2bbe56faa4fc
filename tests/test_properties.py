"""What holds for every schedule, structure and policy, on cases that nobody chose."""

import gzip
import json
import re

import hypothesis
import keras
import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes

import keras_prune_kit as kpk
from keras_prune_kit import _keras
from keras_prune_kit.policies.matching import WeightIndex, covers_layer

hypothesis.settings.register_profile("quick", deadline=None, max_examples=60)
hypothesis.settings.load_profile("quick")

sparsities = st.floats(0, 0.999)
steps = st.integers(0, 3000)


@st.composite
def ramps(draw):
    """Schedules that rise between two steps, in plain steps."""
    low, high = sorted(draw(st.tuples(sparsities, sparsities)))
    begin, end = sorted(draw(st.tuples(steps, steps)))
    frequency = draw(st.none() | st.integers(1, 500))
    if draw(st.booleans()):
        return kpk.CosineDecay(low, high, begin, end, frequency=frequency)
    power = draw(st.floats(0.5, 6))
    return kpk.PolynomialDecay(low, high, begin, end, power, frequency)


constants = st.builds(
    kpk.ConstantSparsity, sparsities, steps, frequency=st.none() | st.integers(1, 500)
)
schedules = ramps() | constants
structures = (
    st.just(kpk.Unstructured())
    | st.builds(
        kpk.Block,
        st.tuples(st.integers(1, 4), st.integers(1, 4)),
        st.sampled_from(["avg", "max"]),
    )
    | st.sampled_from([kpk.NofM(2, 4), kpk.NofM(1, 2), kpk.NofM(3, 8)])
    | st.builds(kpk.Channel, st.sampled_from([-1, -2]))
)
rules = st.builds(
    kpk.Rule,
    st.sampled_from(["a", "b", "a|b", ".*", "b/kernel"]),
    st.none() | sparsities | schedules,
    structure=st.none() | structures,
    criterion=st.none() | st.sampled_from([kpk.lamp, kpk.taylor, kpk.random_scores(3)]),
)
policies = st.builds(
    kpk.PrunePolicy,
    schedules | sparsities,
    st.lists(rules, max_size=3),
    structure=structures,
    criterion=st.sampled_from([kpk.magnitude, kpk.movement, kpk.lamp]),
    scope=st.just("layer"),
)


moments = (
    steps
    | st.builds(kpk.Epochs, st.floats(0, 9))
    | st.builds(kpk.Fraction, st.floats(0, 1))
)


@st.composite
def unresolved(draw):
    """Schedules as people write them, in steps, epochs and parts of the run."""
    end = draw(moments)
    if draw(st.booleans()):
        return kpk.ConstantSparsity(draw(sparsities), draw(moments))
    low, high = sorted(draw(st.tuples(sparsities, sparsities)))
    kind = draw(st.sampled_from([kpk.PolynomialDecay, kpk.CosineDecay]))
    return kind(low, high, end_step=end)


all_rules = rules | st.builds(
    kpk.Rule,
    st.sampled_from([keras.layers.Dense, ["a", keras.layers.Conv2D], ["a", "b"]]),
    st.none() | unresolved(),
)
all_policies = policies | st.builds(
    kpk.PrunePolicy,
    unresolved(),
    st.lists(all_rules, max_size=3).map(
        lambda chosen: [kpk.Rule(rule.match, rule.schedule) for rule in chosen]
    ),
    scope=st.sampled_from(["layer", "global"]),
)


@st.composite
def scores(draw, divisor=8):
    """Scores of any rank that a kernel has, with ties, inputs a multiple of 8."""
    spatial = draw(st.lists(st.integers(1, 3), max_size=2))
    inputs, outputs = divisor * draw(st.integers(1, 3)), draw(st.integers(1, 9))
    seed, levels = draw(st.integers(0, 999)), draw(st.sampled_from([2, 5, 10_000]))
    rng = np.random.default_rng(seed)
    return rng.integers(0, levels, (*spatial, inputs, outputs)).astype("float32")


@hypothesis.given(schedules, st.lists(steps, min_size=2))
def test_a_schedule_never_falls_and_stays_below_one(schedule, moments):
    values = [schedule(step) for step in sorted(moments)]
    assert values == sorted(values)
    assert 0 <= values[0] and values[-1] <= schedule.final_sparsity < 1


@hypothesis.given(ramps(), st.integers(0, 5000))
def test_a_ramp_hits_both_ends_exactly(ramp, later):
    assert ramp(ramp.end_step + later) == ramp.final_sparsity
    if ramp.begin_step < ramp.end_step:
        assert ramp(ramp.begin_step) == pytest.approx(ramp.initial_sparsity, abs=1e-12)


@hypothesis.given(unresolved(), st.integers(1, 300), st.integers(1, 9))
def test_a_schedule_keeps_its_bounds_whatever_the_length_of_the_run(
    schedule, steps_per_epoch, epochs
):
    whole = schedule.resolve(steps_per_epoch=steps_per_epoch, epochs=epochs)
    assert whole.is_resolved
    end = whole.begin_step if whole.end_step is None else whole.end_step
    values = [whole(step) for step in range(0, end + 2, max(1, end // 50))]
    assert values == sorted(values)
    assert 0 <= values[0] and values[-1] <= whole(end) == schedule.final_sparsity
    if whole.begin_step < end:
        low = whole.initial_sparsity
        assert whole(whole.begin_step) == pytest.approx(low, abs=1e-12)


@hypothesis.given(schedules, steps, steps)
def test_a_resumed_run_updates_when_the_whole_one_does(schedule, start, end):
    """The update that is due depends on the step alone, and never goes back."""
    start, end = sorted((start, end))
    before, after = schedule.last_update(start), schedule.last_update(end)
    if before is not None:
        assert before <= start and before <= after
        assert schedule.last_update(before) == before
    assert after is None or after <= end


@hypothesis.given(scores(), sparsities)
def test_single_weights_go_in_exactly_the_number_that_is_asked_for(values, sparsity):
    mask = kpk.Unstructured().mask(values, sparsity)
    assert (~mask).sum() == min(round(sparsity * values.size), values.size - 1)


@hypothesis.given(scores(), structures, sparsities, sparsities)
def test_a_higher_sparsity_takes_more_of_the_same(values, structure, one, other):
    low, high = sorted((one, other))
    sparse, sparser = structure.mask(values, low), structure.mask(values, high)
    assert not (sparser & ~sparse).any()


@hypothesis.given(scores(), structures, sparsities)
def test_a_structure_counts_the_zeros_that_it_makes(values, structure, sparsity):
    mask = structure.mask(values, sparsity)
    assert mask.shape == values.shape and mask.dtype == bool and mask.any()
    found = structure.sparsity(mask.astype("float32"))
    if isinstance(structure, kpk.NofM):  # No more than its own pattern.
        sparsity = min(sparsity, 1 - structure.n / structure.m)
    count = units(structure, values.shape)
    assert found == pytest.approx(min(round(sparsity * count), count - 1) / count)


@hypothesis.given(
    array_shapes(min_dims=2, max_dims=5, max_side=7), structures, sparsities
)
def test_every_shape_gets_exactly_the_zeros_that_are_asked_for(
    shape, structure, sparsity
):
    """Also where blocks do not divide it; n of m, which must, is above."""
    hypothesis.assume(not isinstance(structure, kpk.NofM))
    values = np.random.default_rng(0).normal(size=shape)
    mask = structure.mask(np.abs(values), sparsity)
    count = units(structure, shape)
    gone = structure.sparsity(np.where(mask, values, 0)) * count
    assert gone == pytest.approx(min(round(sparsity * count), count - 1))


def units(structure, shape):
    """How many weights, blocks or channels there are."""
    *spatial, inputs, outputs = shape
    if isinstance(structure, kpk.Block):
        height, width = structure.shape
        inputs, outputs = -(-inputs // height), -(-outputs // width)
    if isinstance(structure, kpk.Channel):
        return outputs if structure.axis == -1 else inputs
    return int(np.prod(spatial)) * inputs * outputs


@hypothesis.given(scores(), st.sampled_from([(2, 4), (1, 2), (3, 8), (1, 8)]))
def test_n_of_every_m_inputs_stay(values, pattern):
    n, m = pattern
    mask = kpk.NofM(n, m).mask(values, 1 - n / m)
    groups = np.moveaxis(mask, -2, -1).reshape(-1, m)
    assert (groups.sum(axis=1) == n).all()


@hypothesis.given(all_policies)
def test_policies_go_through_json(policy):
    data = json.loads(json.dumps(policy.to_dict()))
    assert kpk.PrunePolicy.from_dict(data) == policy


@hypothesis.given(st.lists(st.tuples(st.sampled_from("abc"), sparsities), max_size=5))
@hypothesis.settings(max_examples=25)
def test_the_last_rule_that_matches_wins(chosen):
    names = [name for name, _ in chosen]
    layers = [keras.layers.Dense(4, name=name) for name in "abc"]
    model = keras.Sequential([keras.layers.Input((4,)), *layers])
    policy = kpk.PrunePolicy(0.25, [kpk.Rule(name, s) for name, s in chosen])
    for weight in policy.plan(model).weights:
        name = weight.path.split("/")[0]
        last = len(names) - 1 - names[::-1].index(name) if name in names else None
        expected = 0.25 if last is None else chosen[last][1]
        assert weight.schedule.final_sparsity == expected


@pytest.fixture(scope="module")
def small_model():
    layers = [keras.layers.Dense(8, use_bias=False), keras.layers.Dense(4)]
    return keras.Sequential([keras.layers.Input((8,)), *layers])


@hypothesis.given(
    ramps(),
    st.lists(st.integers(0, 400), max_size=6),
    st.sampled_from(["layer", "global"]),
    st.integers(0, 99),
)
@hypothesis.settings(max_examples=25)
def test_sparsity_never_falls_while_weights_move(small_model, ramp, gaps, scope, seed):
    """Nor does it depend on which steps were looked at, as after a resume."""
    rng = np.random.default_rng(seed)
    kernels = [layer.kernel for layer in small_model.layers]
    for kernel in kernels:
        kernel.assign(rng.normal(size=kernel.shape))
    pruner = kpk.Pruner(small_model, kpk.PrunePolicy(ramp, scope=scope))
    pruner.start()
    seen = [pruner.sparsity]
    for step in [*np.cumsum(gaps, dtype=int).tolist(), 10_000]:
        for kernel in kernels:  # As an optimizer does.
            moved = kernel.value + rng.normal(size=kernel.shape)
            kernel.assign(kernel.constraint(moved))
        pruner.step(step)
        seen.append(pruner.sparsity)
    assert seen == sorted(seen)
    sizes = [kernel.shape[0] * kernel.shape[1] for kernel in kernels]
    zeros = sum(min(round(ramp.final_sparsity * size), size - 1) for size in sizes)
    assert pruner.finalize().zeros == zeros


def compiles(text):
    try:
        re.compile(text)
        return True
    except (re.error, FutureWarning):  # Such as of [[, which may mean more one day.
        return False


def weight_at(path):
    return _keras.PrunableWeight(path, "kernel", None, (), "", False, (0, 1), 0)


@hypothesis.given(
    st.text("ab/.*+|()[]?^$\\", max_size=8).filter(compiles) | st.just("a/b/kernel"),
    st.lists(st.text("ab./", min_size=1, max_size=6), max_size=8),
)
def test_one_look_at_all_paths_finds_what_a_look_at_each_weight_does(regex, paths):
    weights = [weight_at(path) for path in paths]
    found = {id(weight) for weight in WeightIndex(weights).covered(regex)}
    expected = {id(w) for w in weights if covers_layer(regex, w.path, ())}
    assert found == expected


@hypothesis.given(st.binary(max_size=5000))
def test_gzip_says_the_same_each_time(content):
    size = kpk.gzip_bytes(content)
    assert size == kpk.gzip_bytes(content) == len(gzip.compress(content, 9, mtime=0))
