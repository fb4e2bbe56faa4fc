"""The page of the command line: what each command answers to `--help`."""

from __future__ import annotations

import argparse
import os

from keras_prune_kit.cli.parser import parser_of_commands


def command_line() -> str:
    """Return the page, in Markdown."""
    os.environ["COLUMNS"] = "82"  # argparse leaves two of them free
    parser = parser_of_commands()
    parts = ["# Command line", _help(parser)]
    for name, command in _commands(parser).items():
        parts += [f"## {name}", _help(command)]
    return "\n\n".join(parts)


def _help(parser: argparse.ArgumentParser) -> str:
    return f"```text\n{parser.format_help()}```"


def _commands(
    parser: argparse.ArgumentParser,
) -> dict[str, argparse.ArgumentParser]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            return action.choices
    raise LookupError("keras-prune-kit has no commands.")
