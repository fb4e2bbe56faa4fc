"""The options of one command, and checks across several options.

All checks that need no open file run here, in milliseconds, because they import neither
Keras nor numpy.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from keras_prune_kit._tools.files import check_writable, check_writable_folder
from keras_prune_kit._tools.quantizations import CALIBRATED, check_installed
from keras_prune_kit.cli.choices import SEARCH_FOLDER
from keras_prune_kit.cli.parser import parser_of_commands


def read_options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Return the options of one command.

    Args:
        words: Words of the command line. Defaults to `None`: those of the process.

    Raises:
        SystemExit: After `--help`; with exit code 2 after an error, which is printed
            to stderr.
    """
    parser = parser_of_commands()
    options = parser.parse_args(words)
    problem = _problem(options)
    if problem:
        parser.exit(2, f"error: {problem}\n")
    return options


def _problem(options: argparse.Namespace) -> str | None:
    """Return the problem of options that are valid only one by one, or `None`."""
    if options.command == "compare" and len(set(options.files)) < len(options.files):
        return "each FILE must be a different one; one is given twice"
    if getattr(options, "calibrate", None) and options.epochs:
        return (
            "--calibrate gives inputs to do without training; to train for "
            f"{options.epochs} epochs, pass labelled data with --train DATA"
        )
    quantization = getattr(options, "quantize", None)
    try:
        # A search has several.
        one = isinstance(quantization, str)
        check_installed(*((quantization,) if one else quantization or ()))
    except ImportError as error:
        return str(error)
    needs_data = quantization in CALIBRATED
    if needs_data and options.command == "export" and not options.representative:
        return f"--quantize {options.quantize} needs --representative DATA"
    if not hasattr(options, "out"):
        return None
    out = Path(options.out)
    is_folder = options.command != "export"
    try:
        (check_writable_folder if is_folder else check_writable)(out)
    except OSError as error:
        return f"--out: {error}"
    # Before any work: a job of hours must not end at a folder in use.
    if options.overwrite or not out.exists() or (is_folder and not any(out.iterdir())):
        return None
    if options.command == "search" and (out / SEARCH_FOLDER).is_dir():
        return None  # A search resumes in its own folder.
    state = "is not empty" if is_folder else "exists already"
    return f"--out: {out} {state} and was left unchanged; add --overwrite to replace it"
