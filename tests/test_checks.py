"""Checks of arguments: what passes, and that each message has the argument's name."""

import inspect
import math
from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest

import keras_prune_kit as kpk
from keras_prune_kit._tools import checks
from keras_prune_kit.cli.parser import parser_of_commands


@pytest.mark.parametrize("value", [0, -1, 1.0, True, math.nan, "3", None, [1]])
def test_not_a_whole_number(value):
    with pytest.raises(ValueError, match=r"^epochs is a whole number of at least 1\."):
        checks.check_whole("epochs", value)


@pytest.mark.parametrize("value", [1, np.int64(7), 10**30])
def test_a_whole_number(value):
    assert checks.is_whole(value)
    checks.check_whole("epochs", value)


@pytest.mark.parametrize("value", [-0.1, 1.1, math.nan, math.inf, "0.5", True, 1j])
def test_not_a_number_in_bounds(value):
    with pytest.raises(ValueError, match=r"^weight is a number of 0 to 1\."):
        checks.check_number("weight", value, 0, 1)


@pytest.mark.parametrize("value", [0, 1, 0.5, np.float32(0.5)])
def test_a_number_in_bounds(value):
    checks.check_number("weight", value, 0, 1)


def test_a_choice_is_of_the_same_kind():
    assert checks.is_one_of("avg", ("avg", "max"))
    assert checks.is_one_of(-1, (-1, -2))
    for value in (np.array(["avg", "max"]), True, 1.0, None, ["avg"]):
        assert not checks.is_one_of(value, ("avg", "max", 1))


@pytest.mark.parametrize(
    ("value", "kind"),
    [(3, TypeError), (None, TypeError), (b"out", TypeError), (["a"], TypeError)]
    + [("", ValueError), ("a\0b", ValueError), ("\ud800", ValueError)],
)
def test_no_path(value, kind):
    with pytest.raises(kind, match="^filepath "):
        checks.as_path("filepath", value)


def test_a_path(tmp_path):
    assert checks.as_path("path", "a/Ångström 模型.png") == Path("a/Ångström 模型.png")
    assert checks.as_path("path", tmp_path) == tmp_path


@pytest.mark.parametrize("value", ["text", [1, [2]], object(), 1j, [Decimal(1)], None])
def test_no_array_of_numbers(value):
    with pytest.raises(TypeError, match="^scores is an array of numbers"):
        checks.as_array("scores", value)


def test_an_array_of_too_few_axes():
    assert checks.as_array("scores", [[1, 2]], least_axes=2).shape == (1, 2)
    with pytest.raises(ValueError, match="^scores must have 2 axes or more"):
        checks.as_array("scores", [1, 2], least_axes=2)


def test_what_code_of_others_cannot_use_is_named():
    with pytest.raises(ValueError, match="^x cannot be used: no$") as raised:
        with checks.using("x"):
            raise RuntimeError("no\nand much more")
    assert isinstance(raised.value.__cause__, RuntimeError)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: kpk.Unstructured().mask("scores", 0.5), TypeError, "scores"),
        (lambda: kpk.Channel().mask(np.ones((2, 2)), 2), ValueError, "sparsity"),
        (lambda: kpk.Block().sparsity(None), TypeError, "weights"),
        (lambda: kpk.NofM().mask(np.ones((3, 2)), 0.5), ValueError, "scores"),
        (lambda: kpk.NofM().check("shape", 0.5), TypeError, "shape"),
        (lambda: kpk.Channel(np.array([-1, -2])), ValueError, "axis"),  # pyright: ignore
        (lambda: kpk.lamp("weights"), TypeError, "weights"),
        (lambda: kpk.taylor(np.ones(3), np.ones(2)), ValueError, "gradients"),
        (lambda: kpk.needs_gradients("signed", 0)(len), ValueError, "batch_size"),
        (lambda: kpk.Epochs(-1), ValueError, "count"),
        (lambda: kpk.Fraction(2), ValueError, "of_run"),
        (
            lambda: kpk.ConstantSparsity(0.5).last_update(math.nan),
            ValueError,
            "step",
        ),
        (
            lambda: kpk.PolynomialDecay(0, 0.5).resolve(steps_per_epoch=0),
            ValueError,
            "steps_per_epoch",
        ),
        (lambda: kpk.PruningCallback(7), ValueError, "policy"),
        (lambda: kpk.PrunePolicy.from_dict([]), ValueError, "data"),
        (lambda: kpk.PrunePolicy(0.5, 3), TypeError, "rules"),
        (lambda: kpk.PruningCallback(0.5, on_incomplete=[]), ValueError, "incomplete"),
        (lambda: kpk.SparsitySummaries(3), TypeError, "log_dir"),
        (lambda: kpk.BackupAndRestore(None), TypeError, "backup_dir"),
        (lambda: kpk.TargetSparsityCheckpoint(None), TypeError, "filepath"),
        (lambda: kpk.TargetSparsityCheckpoint("a", mode="up"), ValueError, "mode"),
        (lambda: kpk.pareto_front(3), TypeError, "tuner"),
        (lambda: kpk.sparsity_report(3), TypeError, "item"),
        (lambda: kpk.soft_targets(3, ()), TypeError, "teacher"),
        (lambda: kpk.compare({"it": 3}, np.ones(2), np.ones(2)), TypeError, "entries"),
        (lambda: kpk.PrunableDense(0), ValueError, "units"),
        (
            lambda: kpk.plot_sparsity({"sparsity": [0.5]}, "picture"),
            ValueError,
            "path",
        ),
        (lambda: kpk.tfmot.callbacks(3), TypeError, "log_dir"),
    ],
)
def test_bad_arguments_that_the_fuzzer_found(call, kind, message):
    with pytest.raises(kind, match=message):
        call()


def test_one_default_for_the_accepted_drop():
    functions = kpk.compress, kpk.CompressionHyperModel
    drops = {
        inspect.signature(f).parameters["max_accuracy_drop"].default for f in functions
    }
    (subparsers,) = parser_of_commands()._subparsers._group_actions
    words = [
        action.default
        for command in subparsers.choices.values()
        for action in command._actions
        if action.dest == "max_drop"
    ]
    assert drops == {0.01} and words == [0.01, 0.01]
