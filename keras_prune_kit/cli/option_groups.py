"""Options that several commands have."""

from __future__ import annotations

import argparse

from keras_prune_kit._tools.quantizations import QUANTIZATIONS
from keras_prune_kit.cli import arguments
from keras_prune_kit.cli.choices import KERAS_FILES


def add_model(parser: argparse.ArgumentParser) -> None:
    """The file of the model to work on."""
    parser.add_argument(
        "model",
        metavar="MODEL",
        type=arguments.existing(KERAS_FILES),
        help="a .keras or .h5 file of Keras 3 or Keras 2",
    )


def add_training(parser: argparse.ArgumentParser, use: str) -> None:
    """The data to train with, and those held out."""
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


def add_epochs(
    parser: argparse.ArgumentParser, default: int | None, meaning: str = "%(default)s"
) -> None:
    """How long to fine-tune."""
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


def add_sparsity(
    parser: argparse._ActionsContainer,
    default: float | None = 0.8,
    meaning: str = "%(default)s",
) -> None:
    """How much becomes zero."""
    parser.add_argument(
        "--sparsity",
        type=arguments.sparsity,
        default=default,
        metavar="FRACTION",
        help=f"how much of each kernel becomes zero (default: {meaning})",
    )


def add_quantize(
    parser: argparse.ArgumentParser, default: str | None, meaning: str = "%(default)s"
) -> None:
    """The numbers in the .tflite."""
    parser.add_argument(
        "--quantize",
        choices=QUANTIZATIONS,
        default=default,
        metavar="KIND",
        help=f"one of {', '.join(QUANTIZATIONS)} (default: {meaning})",
    )


def add_decision(parser: argparse.ArgumentParser, drop: float) -> None:
    """What decides whether a model is good enough."""
    parser.add_argument(
        "--max-drop",
        type=arguments.sparsity,
        default=drop,
        metavar="FRACTION",
        help="how much of the metric on the validation data a search may give up: "
        "accuracy and the like in their own unit, an error relative to the model's "
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
        help="max if more of that metric is better, min if less is (default: what "
        "Keras knows)",
    )


def add_scale(parser: argparse.ArgumentParser) -> None:
    """How inputs become what the model expects."""
    parser.add_argument(
        "--scale",
        metavar="FACTOR[,OFFSET]",
        type=arguments.scale,
        default=(1.0, 0.0),
        help="what the model expects: inputs are multiplied by FACTOR, then OFFSET is "
        "added, so that pictures of 0 to 255 become 0 to 1 with 1/255, -1 to 1 with "
        "1/127.5,-1 (default: 1, inputs as they are)",
    )


def add_out_folder(parser: argparse.ArgumentParser, default: str | None = None):
    """Where results go."""
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
    """How to answer, and how far to trust a model file."""
    parser.add_argument(
        "--json", action="store_true", help="print JSON and no progress"
    )
    parser.add_argument(
        "--unsafe",
        action="store_true",
        help="run code that a model file holds or names, such as Lambda layers: only "
        "for files whose maker you trust",
    )
