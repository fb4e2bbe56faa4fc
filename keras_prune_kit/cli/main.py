"""Arguments, errors and exit codes of the command line."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence

from rich.console import Console

import keras_prune_kit as kpk


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Words of the command line. Defaults to those of the process.

    Returns:
        The exit code: 0, or 1 if the job failed (bad usage exits with 2).
    """
    options = _parser().parse_args(arguments)
    _quiet_native_logs()
    # The commands import TensorFlow, which `--help` need not wait for.
    command = importlib.import_module(f"keras_prune_kit.cli.{options.command}")
    try:
        command.run(options)
    except (ValueError, TypeError, OSError, RuntimeError) as error:
        Console(stderr=True).print(f"[red]error:[/red] {error}", highlight=False)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="keras-prune-kit", description="Makes Keras models smaller."
    )
    parser.add_argument("--version", action="version", version=kpk.__version__)
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    demo = commands.add_parser(
        "demo",
        help="train, prune, quantize and measure a small network in a minute",
        description="Trains a network on real handwritten digits that come with the "
        "package, prunes and quantizes it, and measures every file.",
    )
    demo.add_argument(
        "--out",
        metavar="DIR",
        default="keras_prune_kit_demo",
        help="where to write the models and the picture (default: %(default)s)",
    )
    demo.add_argument("--sparsity", type=_sparsity, default=0.8, metavar="FRACTION")
    inspect = commands.add_parser(
        "inspect",
        help="show the weights of a model file, their zeros and the file's sizes",
        description="Shows the weights of a model file, their zeros and its sizes.",
    )
    inspect.add_argument("model", metavar="MODEL", help="a .keras, .h5 or .tflite file")
    inspect.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _sparsity(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1:
        raise argparse.ArgumentTypeError(
            f"a fraction of at least 0 and below 1, such as 0.8, is needed, not {text}"
        )
    return value


def _quiet_native_logs() -> None:
    """Keeps TensorFlow's C++ notes off the terminal; Python's own errors stay on it.

    They are written to file descriptor 2 whatever the log level says. Who sets
    TF_CPP_MIN_LOG_LEVEL wants to see them.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ:
        return
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
    sys.stderr.flush()
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    os.close(nowhere)
