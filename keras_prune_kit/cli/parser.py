"""The argument parser of the command line."""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

import keras_prune_kit as kpk
from keras_prune_kit._tools.checks import SEARCHED_SPARSITY
from keras_prune_kit._tools.quantizations import QUANTIZATIONS, TRAINED
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.cli import arguments
from keras_prune_kit.cli.choices import KERAS_FILES
from keras_prune_kit.cli.option_groups import (
    add_common,
    add_decision,
    add_epochs,
    add_model,
    add_out_folder,
    add_quantize,
    add_scale,
    add_sparsity,
    add_training,
)

_EXIT_CODES = """\
exit codes: 0 done; 1 the job failed; 2 bad usage, found before any work (a
wrong option, a missing path, an output that exists already); 130 interrupted"""
_DATA = """\
DATA is one of
  FILE.npz         arrays x and y, or x_train and y_train to train with, x_val
                   and y_val to choose the best epoch with, x_test and y_test
                   to measure with; x_test is never used to train or choose
  DIR              pictures, one folder per class; the classes are numbered in
                   the alphabetical order of their folders, the pictures are
                   resized to the input of the model
  MODULE:FUNCTION  a function without arguments that returns (x, y) or a
                   dataset of batches; the current folder is searched first

"""


class _Parser(argparse.ArgumentParser):
    """A parser that prints errors in one line, with what a mistyped word may mean."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += "." + did_you_mean(value, action.choices or ())
            raise


class _CommandParser(_Parser):
    """The parser of one command, which names an unknown option before all else."""

    def parse_known_args(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, args: Any = None, namespace: Any = None
    ) -> Any:
        options = self._option_string_actions
        for word in args or ():
            name = word.partition("=")[0]
            # An unambiguous beginning of an option stands for it.
            if name.startswith("--") and not any(o.startswith(name) for o in options):
                self.error(f"there is no option {name}.{did_you_mean(name, options)}")
        return super().parse_known_args(args, namespace)


def parser_of_commands() -> argparse.ArgumentParser:
    """Return the parser of `keras-prune-kit`."""
    parser = _Parser(
        prog="keras-prune-kit",
        description="Make Keras models smaller.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    # The package imports its modules on first use, so this takes no time.
    parser.add_argument("--version", action="version", version=kpk.__version__)
    adder = parser.add_subparsers(
        dest="command",
        required=True,
        metavar="COMMAND",
        parser_class=_CommandParser,
    )
    for name, add_arguments, summary, epilog in (
        ("demo", _demo, "train, prune, quantize and measure a small network", ""),
        ("inspect", _inspect, "show the layers of a model file, zeros and sizes", ""),
        ("compress", _compress, "prune, fine-tune, quantize and measure", _DATA),
        ("search", _search, "find the smallest file that is good enough", _DATA),
        ("compare", _compare, "measure model files side by side", _DATA),
        ("export", _export, "convert a model file to .tflite", _DATA),
    ):
        command = adder.add_parser(
            name,
            help=summary,
            description=add_arguments.__doc__,  # what `--help` prints
            epilog=epilog + _EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_arguments(command)
    return parser


def _demo(parser: argparse.ArgumentParser) -> None:
    """\
Train a network on real handwritten digits that come with the package, prune
and quantize it, and measure every file, in about a minute."""
    parser.set_defaults(json=False)
    add_out_folder(parser, default="keras_prune_kit_demo")
    add_sparsity(parser)


def _inspect(parser: argparse.ArgumentParser) -> None:
    """\
Show the layers of a model file, their shapes and zeros, and the file's size."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=arguments.existing((*KERAS_FILES, ".tflite")),
        help="a .keras, .h5 or .tflite file",
    )
    add_common(parser)


def _compress(parser: argparse.ArgumentParser) -> None:
    """\
Prune a trained model while fine-tuning it, keep the best epoch, export it to
.tflite and measure every file. Write the pruned model, the .tflite and a
report; the original model stays unchanged. With --target smallest, try several
sparsities and keep the smallest file whose metric is good enough. With
--speedup, --macs or --target fastest, whole filters and units leave the model,
which makes it faster everywhere. With --calibrate or --epochs 0, nothing is
trained: weights go at once, and those that are left make up for them."""
    add_model(parser)
    add_training(parser, "choose the best epoch and measure with", can_calibrate=True)
    how_sparse = parser.add_mutually_exclusive_group()
    add_sparsity(
        how_sparse,
        None,
        "0.8; with --target smallest, found by the search; none if channels leave",
    )
    how_sparse.add_argument(
        "--policy",
        metavar="FILE.json",
        type=arguments.existing((".json",)),
        help="a policy, as PrunePolicy.to_dict() returns it",
    )
    how_far = parser.add_mutually_exclusive_group()
    how_far.add_argument(
        "--target",
        choices=("smallest", "fastest"),
        metavar="BEST",
        help="smallest or fastest: search for that file, of those whose metric is good "
        "enough",
    )
    how_far.add_argument(
        "--speedup",
        type=arguments.speedup,
        metavar="N",
        help="take channels out until the .tflite is measured to be N times as fast, "
        "such as 2",
    )
    how_far.add_argument(
        "--macs",
        type=arguments.part,
        metavar="SHARE",
        help="take channels out until this share of the multiplications is left",
    )
    parser.add_argument(
        "--multiple-of",
        type=arguments.count,
        default=8,
        metavar="N",
        help="large groups of channels keep a multiple of N (default: %(default)s)",
    )
    add_decision(parser)
    add_quantize(
        parser, None, "int8; with --target smallest, quantization-aware training"
    )
    add_epochs(
        parser,
        None,
        "5; with --target 20, of all attempts together; 0 with --calibrate",
        arguments.count_or_none,
    )
    add_scale(parser)
    add_out_folder(parser)
    add_common(parser)


def _search(parser: argparse.ArgumentParser) -> None:
    """\
Try sparsities, schedules and quantizations on copies of a trained model,
measure each .tflite, and write the smallest one that is good enough, with a
report of all trials. Repeat the command to resume an interrupted search."""
    add_model(parser)
    add_training(parser, "measure every file with")
    parser.add_argument(
        "--max-trials",
        type=arguments.count,
        default=20,
        metavar="N",
        help="how many files to try (default: %(default)s)",
    )
    add_decision(parser)
    parser.add_argument(
        "--sparsity",
        type=arguments.sparsity,
        nargs=2,
        default=SEARCHED_SPARSITY,
        metavar=("LOW", "HIGH"),
        help="the lowest and the highest sparsity to try (default: 0.5 0.99)",
    )
    parser.add_argument(
        "--quantize",
        type=arguments.some_of((*QUANTIZATIONS, *TRAINED)),
        default=None,
        metavar="KIND,...",
        help=f"some of {', '.join(QUANTIZATIONS)}, and, with quantization-aware "
        f"training, {', '.join(TRAINED)}, by bits of a weight (default: "
        "dynamic,int8,qat4, the last if the model can be trained so)",
    )
    add_epochs(parser, default=3)
    add_scale(parser)
    add_out_folder(parser)
    add_common(parser)


def _compare(parser: argparse.ArgumentParser) -> None:
    """\
Measure model files on the same data: score, sizes, zeros, latency. The first
file is the reference of the others."""
    parser.add_argument(
        "files",
        metavar="FILE",
        nargs="+",
        type=arguments.existing((*KERAS_FILES, ".tflite")),
        help="a .keras, .h5 or .tflite file",
    )
    parser.add_argument(
        "--data",
        metavar="DATA",
        required=True,
        type=arguments.data,
        help="data to measure with",
    )
    add_scale(parser)
    add_common(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    """Convert a model file to .tflite, with or without quantization."""
    add_model(parser)
    add_quantize(parser, default="none")
    parser.add_argument(
        "--representative",
        metavar="DATA",
        type=arguments.data,
        help="representative inputs, about 200 of which calibrate int8 and int16x8; "
        "int4 is compared with the model on them",
    )
    add_scale(parser)
    parser.add_argument(
        "--out",
        metavar="FILE.tflite",
        required=True,
        type=arguments.ending((".tflite",)),
        help="the file to write",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace that file")
    add_common(parser)
