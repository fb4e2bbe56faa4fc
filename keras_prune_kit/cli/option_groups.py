"""Options that several commands share."""

from __future__ import annotations

import argparse
from collections.abc import Callable

from keras_prune_kit._tools.checks import MAX_ACCURACY_DROP
from keras_prune_kit._tools.quantizations import QUANTIZATIONS
from keras_prune_kit.cli import arguments
from keras_prune_kit.cli.choices import KERAS_FILES


def add_model(parser: argparse.ArgumentParser) -> None:
    """Add the file of the model to work on."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=arguments.existing(KERAS_FILES),
        help="a .keras or .h5 file of Keras 3 or Keras 2",
    )


def add_training(
    parser: argparse.ArgumentParser, use: str, *, can_calibrate: bool = False
) -> None:
    """Add the training data, or inputs to do without, and the validation data."""
    group = parser.add_mutually_exclusive_group(required=True)
    group.add_argument(
        "--train", metavar="DATA", type=arguments.data, help="data to train with"
    )
    if can_calibrate:
        group.add_argument(
            "--calibrate",
            metavar="DATA",
            type=arguments.data,
            help="some hundred inputs, to prune and repair with and without training; "
            "an .npz or a function may have x alone",
        )
    parser.add_argument(
        "--validation",
        metavar="DATA",
        type=arguments.data,
        help=f"data to {use} (default: x_val and y_val of the .npz to train with, or "
        "else a tenth of its data, always the same)",
    )


def add_epochs(
    parser: argparse.ArgumentParser,
    default: int | None,
    meaning: str = "%(default)s",
    number: Callable[[str], int] = arguments.count,
) -> None:
    """Add the number of epochs and the batch size."""
    parser.add_argument(
        "--epochs",
        type=number,
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


def add_sparsity(
    parser: argparse._ActionsContainer,
    default: float | None = 0.8,
    meaning: str = "%(default)s",
) -> None:
    """Add the target sparsity."""
    parser.add_argument(
        "--sparsity",
        type=arguments.sparsity,
        default=default,
        metavar="FRACTION",
        help=f"how much of all kernels together becomes zero (default: {meaning})",
    )


def add_quantize(
    parser: argparse.ArgumentParser, default: str | None, meaning: str = "%(default)s"
) -> None:
    """Add the quantization of the .tflite."""
    parser.add_argument(
        "--quantize",
        choices=QUANTIZATIONS,
        default=default,
        metavar="KIND",
        help=f"one of {', '.join(QUANTIZATIONS)}, of which int4 needs pip install "
        f"keras-prune-kit[int4] (default: {meaning})",
    )


def add_decision(parser: argparse.ArgumentParser) -> None:
    """Add the metric that decides, and its accepted drop."""
    parser.add_argument(
        "--max-drop",
        type=arguments.sparsity,
        default=MAX_ACCURACY_DROP,
        metavar="FRACTION",
        help="how much the metric on the validation data may drop in a search: an "
        "absolute drop of accuracy and the like, a relative increase of an error "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--objective",
        metavar="METRIC",
        help="the metric that decides, such as mae (default: the model's first)",
    )
    parser.add_argument(
        "--mode",
        choices=("auto", "max", "min"),
        default="auto",
        help="max if more of that metric is better, min if less is (default: auto, "
        "the direction that Keras knows)",
    )


def add_scale(parser: argparse.ArgumentParser) -> None:
    """Add the scaling of the inputs."""
    parser.add_argument(
        "--scale",
        metavar="FACTOR[,OFFSET]",
        type=arguments.scale,
        default=(1.0, 0.0),
        help="scale inputs to what the model expects: multiply by FACTOR, then add "
        "OFFSET; 1/255 turns pictures of 0 to 255 into 0 to 1, and 1/127.5,-1 into -1 "
        "to 1 (default: 1, inputs unchanged)",
    )


def add_out_folder(parser: argparse.ArgumentParser, default: str | None = None):
    """Add the output folder."""
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


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the output format, and the trust in code of a model file."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON and no progress"
    )
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="run code that a model file contains or names, such as Lambda layers; "
        "only for files from a source that you trust",
    )
