"""Single cases: which there are, and what comes of one."""

import contextlib
import io
import math
import os
import re
import shutil
import warnings
import zlib
from dataclasses import dataclass

import hypothesis.strategies as st

import keras_prune_kit as kpk
from fuzzing import commands, files
from fuzzing.fixtures import WORLDS, of_world
from fuzzing.targets import targets
from fuzzing.values import ANY, Made, drawn

COMMAND_LINE = "command line"
_DOCUMENTED = (ValueError, TypeError, OSError, kpk.ExportError)
_DOCUMENTED += (kpk.IncompletePruningError,)
# How much work is asked for: a large whole number is no mistake, and takes long.
_AMOUNTS = ("epochs", "runs", "latency_runs")
# What may stand for the file in a message.
_READ_AS = ("policy", "The baseline", "schedule", "sparsity", "rule")
_COMMAND_WEIGHT, _READER_WEIGHT = 25, 12


@dataclass(frozen=True)
class Outcome:
    """What came of a case.

    Attributes:
        kind: `"accepted"`, `"refused"`, or what went wrong.
        case: What was called with what.
        text: What was said.
    """

    kind: str
    case: str
    text: str = ""

    @property
    def is_failure(self):
        return self.kind not in ("accepted", "refused")


def target_names():
    return [*targets(), *files.READERS, COMMAND_LINE]


def counts(total):
    """How many cases each target gets of so many in all, at least one."""
    weights = {name: len(target.parameters) for name, target in targets().items()}
    weights |= dict.fromkeys(files.READERS, _READER_WEIGHT)
    weights[COMMAND_LINE] = _COMMAND_WEIGHT
    share = total / sum(weights.values())
    return {name: math.ceil(weight * share) for name, weight in weights.items()}


def cases(name, count, seed):
    """The cases of a target, the same for the same seed."""
    if name == COMMAND_LINE:
        strategy = commands.MISTAKES
    elif name in files.READERS:
        strategy = st.tuples(st.sampled_from(files.READERS[name][0]), files.DAMAGE)
    else:
        arguments = st.sampled_from(targets()[name].parameters)
        strategy = st.tuples(arguments, ANY).filter(lambda case: not _is_much(*case))
    return drawn(strategy, count, zlib.crc32(f"{seed} {name}".encode()))


def run(name, number, case):
    """Runs one case.

    Args:
        name: The target.
        number: The number of the case; it chooses the world.
        case: One of `cases`.
    """
    f = of_world("tf_keras" if name.startswith("tfmot") else WORLDS[number % 2])
    before = os.getcwd()
    os.chdir(f.folder)
    try:
        with _quiet():
            outcome = _outcome(f, name, case)
        if not f.check_unchanged():
            return Outcome("changed model", outcome.case, outcome.text)
        return outcome
    finally:
        os.chdir(before)


def clean_up():
    """Removes what the cases wrote."""
    for world in WORLDS:
        shutil.rmtree(of_world(world).folder, ignore_errors=True)


def _outcome(f, name, case):
    if name == COMMAND_LINE:
        return _command(f, case)
    if name in files.READERS:
        file, damage = case
        path = f.path(file)
        with open(path, "wb") as target:
            target.write(files.damaged(f.files, file, damage))
        read = files.READERS[name][1]
        return _judged(f"{name} {case!r}", [file, *_READ_AS], lambda: read(f, path))
    argument, value = case
    target = targets()[name]
    arguments = target.valid(f, argument)
    function = target.get(f)
    arguments[argument] = made(f, value)
    names = [argument, *(str(v) for v in [value] if isinstance(v, str) and v)]
    # A model has a name of its own.
    names += ["model"] if isinstance(value, Made) else []
    case = f"{name}({argument}={value!r})"
    return _judged(case[:300], names, lambda: function(**arguments))


def _judged(case, names, call):
    """What a call gives, and whether it refuses the way it should."""
    try:
        call()
    except _DOCUMENTED as error:
        text = f"{type(error).__name__}: {error}"
        is_named = any(_names(str(error), name) for name in names)
        return Outcome("refused" if is_named else "no name", case, text[:400])
    except BaseException as error:
        return Outcome(
            "wrong exception", case, f"{type(error).__name__}: {error}"[:400]
        )
    return Outcome("accepted", case)


def _names(text, name):
    """Whether a text has a name as a word of its own, or as the first of a plural."""
    if not name.isidentifier():
        return name in text
    return re.search(rf"\b{name}(s|\b)", text, re.IGNORECASE) is not None


def _command(f, case):
    for file in f.files:
        f.path(file)
    words, option = commands.mistaken(*case)
    code, error = commands.call(words)
    wrong = commands.complaint(code, error, [option, *words])
    if wrong:
        return Outcome("wrong message", repr(words)[:300], wrong[:400])
    return Outcome("refused" if code else "accepted", repr(words)[:300], error[:400])


def made(f, value):
    """A value with what it says is to be made for the case."""
    if isinstance(value, Made):
        return f.made(value.name)
    if isinstance(value, dict):
        return {key: made(f, item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(made(f, item) for item in value)
    return value


def _is_much(argument, value):
    return argument in _AMOUNTS and isinstance(value, int) and value > 50


@contextlib.contextmanager
def _quiet():
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stderr(io.StringIO()):
            yield
