"""The words of the command line, and what is wrong with them.

Whatever can be known before a file is opened is checked here, in milliseconds: neither
Keras nor numpy is imported for it.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

import keras_prune_kit as kpk
from keras_prune_kit.cli import arguments
from keras_prune_kit.files import check_writable, check_writable_folder

# As `export_tflite` knows them, without the import of what converts.
QUANTIZATIONS = ("none", "float16", "dynamic", "int8", "int16x8")
TRAINED_QUANTIZATIONS = ("qat8", "qat6", "qat5", "qat4", "qat3", "qat2")
CALIBRATED = ("int8", "int16x8")
SEARCH_FOLDER = "search"
KERAS_FILES = (".keras", ".h5", ".hdf5")

_EXIT_CODES = """\
exit codes: 0 done; 1 the job failed; 2 bad usage, found before any work (a
wrong option, a path that is not there, an output that is); 130 interrupted"""
_DATA = """\
DATA is one of
  FILE.npz         arrays x and y, or x_train and y_train to train with, x_val
                   and y_val to choose the best epoch with, x_test and y_test
                   to measure with; test data never train or choose
  DIR              pictures, one folder a class; the classes are numbered in
                   the alphabetical order of their folders, the pictures are
                   resized to what the model takes
  MODULE:FUNCTION  a function without arguments that returns (x, y) or a
                   dataset of batches; it is looked for here first

"""


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message} (see {self.prog} --help)\n")


def read_options(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The options of one command.

    Args:
        words: Words of the command line. Defaults to those of the process.

    Raises:
        SystemExit: After `--help`, and with exit code 2 after an error, once it is
            told on stderr.
    """
    parser = _parser()
    options = parser.parse_args(words)
    problem = _problem(options)
    if problem:
        parser.exit(2, f"error: {problem}\n")
    return options


def _parser() -> _Parser:
    parser = _Parser(
        prog="keras-prune-kit",
        description="Makes Keras models smaller.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=kpk.__version__)
    adder = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
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
            description=add_arguments.__doc__,
            epilog=epilog + _EXIT_CODES,
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        add_arguments(command)
    return parser


def _demo(parser: argparse.ArgumentParser) -> None:
    """\
Trains a network on real handwritten digits that come with the package,
prunes and quantizes it, and measures every file. Takes half a minute."""
    parser.set_defaults(json=False)
    _add_out_folder(parser, default="keras_prune_kit_demo")
    _add_sparsity(parser)


def _inspect(parser: argparse.ArgumentParser) -> None:
    """\
Shows the layers of a model file, their shapes and zeros, and what the file
weighs."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=arguments.existing((*KERAS_FILES, ".tflite")),
        help="a .keras, .h5 or .tflite file",
    )
    _add_common(parser)


def _compress(parser: argparse.ArgumentParser) -> None:
    """\
Fine-tunes a trained model while it prunes it, keeps the best epoch, exports
it to .tflite and measures every file. Writes the pruned model, the .tflite
and a report. The model itself stays as it is. With --target smallest it tries
several sparsities and keeps the smallest file whose accuracy holds."""
    _add_model(parser)
    _add_training(parser, "choose the best epoch with")
    how_sparse = parser.add_mutually_exclusive_group()
    _add_sparsity(how_sparse, None, "0.8; with --target, what the search finds")
    how_sparse.add_argument(
        "--policy",
        metavar="FILE.json",
        type=arguments.existing((".json",)),
        help="a policy, as PrunePolicy.to_dict() gives it",
    )
    parser.add_argument(
        "--target",
        choices=("smallest",),
        help="smallest: search for the smallest file whose accuracy holds",
    )
    parser.add_argument(
        "--max-drop",
        type=arguments.sparsity,
        default=0.002,
        metavar="FRACTION",
        help="accuracy on the validation data that a search may give up (default: "
        "%(default)s)",
    )
    _add_quantize(parser, None, "int8; with --target, trained quantized")
    _add_epochs(parser, None, "5; with --target 20, of all attempts together")
    _add_scale(parser)
    _add_out_folder(parser)
    _add_common(parser)


def _search(parser: argparse.ArgumentParser) -> None:
    """\
Tries out sparsities, schedules and quantizations on copies of a trained model,
measures each .tflite, and writes the smallest one that is good enough, with a
report of all. The same command again goes on where a search was cut off."""
    _add_model(parser)
    _add_training(parser, "measure every file with")
    parser.add_argument(
        "--max-trials",
        type=arguments.count,
        default=20,
        metavar="N",
        help="how many files to try (default: %(default)s)",
    )
    parser.add_argument(
        "--max-drop",
        type=arguments.sparsity,
        default=0.01,
        metavar="FRACTION",
        help="how much accuracy may be lost (default: %(default)s)",
    )
    parser.add_argument(
        "--sparsity",
        type=arguments.sparsity,
        nargs=2,
        default=(0.5, 0.95),
        metavar=("LOW", "HIGH"),
        help="the lowest and the highest sparsity to try (default: 0.5 0.95)",
    )
    parser.add_argument(
        "--quantize",
        type=arguments.some_of((*QUANTIZATIONS, *TRAINED_QUANTIZATIONS)),
        default=("none", "float16", "dynamic", "int8"),
        metavar="KIND,...",
        help=f"some of {', '.join(QUANTIZATIONS)}, and, trained quantized with weights "
        f"of so many bits, {', '.join(TRAINED_QUANTIZATIONS)} (default: "
        "none,float16,dynamic,int8)",
    )
    _add_epochs(parser, default=3)
    _add_scale(parser)
    _add_out_folder(parser)
    _add_common(parser)


def _compare(parser: argparse.ArgumentParser) -> None:
    """\
Measures model files on the same data: score, sizes, zeros, latency. The first
one is what the others are compared with."""
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
        help="to measure with",
    )
    _add_scale(parser)
    _add_common(parser)


def _export(parser: argparse.ArgumentParser) -> None:
    """Converts a model file to .tflite, quantized or not."""
    _add_model(parser)
    _add_quantize(parser, default="none")
    parser.add_argument(
        "--representative",
        metavar="DATA",
        type=arguments.data,
        help="typical inputs, of which some 200 calibrate int8 and int16x8",
    )
    _add_scale(parser)
    parser.add_argument(
        "--out",
        metavar="FILE.tflite",
        required=True,
        type=arguments.ending((".tflite",)),
        help="the file to write",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace that file")
    _add_common(parser)


def _add_model(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=arguments.existing(KERAS_FILES),
        help="a .keras or .h5 file of Keras 3 or Keras 2",
    )


def _add_training(parser: argparse.ArgumentParser, use: str) -> None:
    parser.add_argument(
        "--train",
        metavar="DATA",
        required=True,
        type=arguments.data,
        help="to train with",
    )
    parser.add_argument(
        "--validation",
        metavar="DATA",
        type=arguments.data,
        help=f"to {use} (default: x_val and y_val of the .npz to train with, or else a "
        "tenth of its data, always the same)",
    )


def _add_epochs(
    parser: argparse.ArgumentParser, default: int | None, meaning: str = "%(default)s"
) -> None:
    parser.add_argument(
        "--epochs",
        type=arguments.count,
        default=default,
        metavar="N",
        help=f"epochs of fine-tuning (default: {meaning})",
    )
    parser.add_argument(
        "--batch-size",
        type=arguments.count,
        metavar="N",
        help="samples in a batch (default: 32)",
    )


def _add_sparsity(
    parser: argparse._ActionsContainer,
    default: float | None = 0.8,
    meaning: str = "%(default)s",
) -> None:
    parser.add_argument(
        "--sparsity",
        type=arguments.sparsity,
        default=default,
        metavar="FRACTION",
        help=f"how much of each kernel becomes zero (default: {meaning})",
    )


def _add_quantize(
    parser: argparse.ArgumentParser, default: str | None, meaning: str = "%(default)s"
) -> None:
    parser.add_argument(
        "--quantize",
        choices=QUANTIZATIONS,
        default=default,
        metavar="KIND",
        help=f"one of {', '.join(QUANTIZATIONS)} (default: {meaning})",
    )


def _add_scale(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--scale",
        metavar="FACTOR[,OFFSET]",
        type=arguments.scale,
        default=(1.0, 0.0),
        help="what the model expects: inputs are multiplied by FACTOR, then OFFSET is "
        "added, so that pictures of 0 to 255 become 0 to 1 with 1/255, -1 to 1 with "
        "1/127.5,-1 (default: 1, inputs as they are)",
    )


def _add_out_folder(parser: argparse.ArgumentParser, default: str | None = None):
    parser.add_argument(
        "--out",
        metavar="DIR",
        default=default,
        required=default is None,
        help="the folder to write" + (" (default: %(default)s)" if default else ""),
    )
    parser.add_argument(
        "--overwrite",
        action="store_true",
        help="write even if that folder is not empty; other files in it stay",
    )


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--json", action="store_true", help="print JSON and no progress"
    )
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="run code that a model file holds or names, such as Lambda layers: only "
        "for files whose maker you trust",
    )


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
