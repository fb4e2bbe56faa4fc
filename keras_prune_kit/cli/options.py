"""The options of one command, and what is wrong with them.

Whatever can be known before a file is opened is checked here, in milliseconds: neither
Keras nor numpy is imported for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from keras_prune_kit._tools.files import check_writable, check_writable_folder
from keras_prune_kit._tools.quantizations import CALIBRATED
from keras_prune_kit.cli.choices import SEARCH_FOLDER
from keras_prune_kit.cli.parser import parser_of_commands


def read_options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of one command.

    Args:
        words: Words of the command line. Defaults to those of the process.

    Raises:
        SystemExit: After `--help`, and with exit code 2 after an error, once it is
            told on stderr.
    """
    parser = parser_of_commands()
    options = parser.parse_args(words)
    problem = _problem(options)
    if problem:
        parser.exit(2, f"error: {problem}\n")
    return options


def _problem(options: argparse.Namespace) -> str | None:
    """What is wrong with options that are right one by one."""
    if options.command == "compare" and len(set(options.files)) < len(options.files):
        return "each FILE is compared once; one is given twice"
    needs_data = getattr(options, "quantize", None) in CALIBRATED
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
    if options.overwrite or not out.exists() or (is_folder and not any(out.iterdir())):
        return None
    if options.command == "search" and (out / SEARCH_FOLDER).is_dir():
        return None  # It goes on, if it is the same one.
    state = "is not empty" if is_folder else "is there already"
    return f"--out: {out} {state} and was left as it is; add --overwrite to replace it"
