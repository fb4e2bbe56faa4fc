"""Commands with one word that is wrong, missing or too many."""

import contextlib
import io

import hypothesis.strategies as st

from fuzzing.fixtures import FILES
from fuzzing.values import NUMBERS, TEXTS
from keras_prune_kit.cli import main

_TRAIN = ["--train", "data.npz", "--epochs", "1", "--overwrite", "--out", "out"]
COMMANDS = (
    ["inspect", "model.keras"],
    ["inspect", "model.tflite", "--json"],
    ["export", "model.h5", "--quantize", "none", "--overwrite", "--out", "out.tflite"],
    ["export", "model.keras", "--quantize", "int8", "--representative", "data.npz"]
    + ["--overwrite", "--out", "out.tflite"],
    ["compare", "model.keras", "model.tflite", "--data", "data.npz", "--scale", "1"],
    ["compress", "model.keras", "--sparsity", "0.5", "--batch-size", "16", *_TRAIN],
    ["compress", "model.h5", "--policy", "policy.json", "--quantize", "none", *_TRAIN],
    ["compress", "model.keras", "--calibrate", "data.npz", "--epochs", "0"]
    + ["--overwrite", "--out", "out"],
    ["search", "model.keras", "--max-trials", "1", "--max-drop", "0.5", *_TRAIN],
)
# How much work is asked for; any number is as good as another.
_AMOUNTS = ("--epochs", "--max-trials")

WORDS = st.one_of(
    TEXTS, NUMBERS.map(str), st.sampled_from([*FILES, "--no-such", "", "--json", "-1"])
)
MISTAKES = st.tuples(
    st.sampled_from(COMMANDS),
    st.sampled_from(["replace", "replace", "replace", "drop", "add"]),
    st.floats(0, 1, exclude_max=True),
    WORDS,
).filter(lambda mistake: not _is_much(*mistake))


def mistaken(command, how, where, word):
    """The words of a command with a mistake in them, and the option it is about."""
    at = 1 + int(where * (len(command) - 1))
    rest = command[at + 1 :] if how != "add" else command[at:]
    words = [*command[:at], *([] if how == "drop" else [word]), *rest]
    return words, command[at - 1]


def call(words):
    """Runs a command.

    Returns:
        The exit code and what it said on stderr.
    """
    out, error = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
        try:
            code = main(words)
        except SystemExit as end:
            code = end.code
    return code, error.getvalue()


def complaint(code, error, words):
    """What is wrong with how a command ended, or nothing."""
    if code not in (0, 1, 2):
        return f"exit code {code}"
    if code and ("error:" not in error or "Traceback" in error):
        return f"no error message: {error}"
    if "python -X dev" in error:
        return f"unexpected {error}"
    said = "".join(error.split())
    named = [word for word in words if word and "".join(word.split()) in said]
    needed = [
        part in error for part in ("required", "is needed", "MODEL", "unrecognized")
    ]
    return "" if not code or named or any(needed) else f"names nothing: {error}"


def _is_much(command, how, where, word):
    words, option = mistaken(command, how, where, word)
    return any(
        option in _AMOUNTS and len(word) > 2
        for option, word in zip(words, words[1:], strict=False)
    )
