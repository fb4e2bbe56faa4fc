"""Log messages on where a quantized file falls short of its model."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np

from keras_prune_kit._tools.quantizations import CALIBRATED
from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.agreement import Agreement
from keras_prune_kit.tflite.constants import constants
from keras_prune_kit.tflite.masking import Bounded
from keras_prune_kit.tflite.samples import Sample, coarse_columns

_LOGGER = logging.getLogger(__name__)

# Half way from an exact file (0) to one that ignores its inputs (about 1).
_MOST_DEVIATION = 0.5
# Of embeddings, which are compared by it; classes are told apart at less.
_LEAST_COSINE = 0.95
# Float values, fewer of which hardly count for the size of a file.
_MANY = 1024
_MOST_NAMED = 8
_OTHER_DATA = (
    "use quantization='dynamic' if other representative data does not help: it has a "
    "range for each input, where one range for all of them has no steps left beside a "
    "few large values"
)
_WAYS_OUT = {
    **dict.fromkeys(CALIBRATED, _OTHER_DATA),
    "int4": "use quantization='dynamic', or train it with quantize_aware(model, "
    "weight_bits=4)",
}


def tell_float_operators(name: str, quantization: str, content: bytes) -> None:
    """Warn of operators that an integer file computes in float."""
    operators = flatbuffer.float_operator_names(content)
    if operators:
        _LOGGER.warning(
            "The %s file of model '%s' computes these operators in float32, because "
            "the converter has no integer kernels for them: %s.",
            quantization,
            name,
            ", ".join(sorted(operators)),
        )


def tell_float_weights(name: str, content: bytes) -> None:
    """Warn of weights that stay float in a file of int4."""
    found = [
        weight
        for weight in constants(content)
        # Not the factors of a normalization, whatever their rank.
        if weight.dtype == "float32" and weight.size > max(weight.shape)
    ]
    if sum(weight.size for weight in found) >= _MANY:
        _LOGGER.warning(
            "The int4 file of model '%s' keeps these weights in float32, because "
            "LiteRT's quantizer does not take the operators that use them: %s. If they "
            "are most of the model, quantization='dynamic' gives a smaller file.",
            name,
            ", ".join(weight.name for weight in found[:_MOST_NAMED]),
        )


def tell_disagreement(name: str, quantization: str, found: Agreement) -> None:
    """Warn if the outputs of a file are far from those of its model."""
    if found.deviation > _MOST_DEVIATION or found.cosine < _LEAST_COSINE:
        _LOGGER.warning(
            "The %s file of model '%s' does not reproduce the model: on "
            "representative_data the mean error of its outputs is %.0f %% of their "
            "mean deviation, and their mean cosine to the model's is %.3f. Check it "
            "with compare(...), and %s.",
            quantization,
            name,
            100 * found.deviation,
            found.cosine,
            _WAYS_OUT[quantization],
        )


def tell_coarse_columns(
    name: str, quantization: str, samples: Sequence[Sample]
) -> None:
    """Warn of columns that vary by less than the file can tell."""
    steps = np.iinfo(np.int8 if quantization == "int8" else np.int16).max * 2 + 1
    for key, columns in coarse_columns(samples, steps).items():
        if columns:
            _LOGGER.warning(
                "Input '%s' of model '%s' has one scale for all of its columns in %s, "
                "with which columns %s vary by fewer than 8 steps, so that the file "
                "hardly uses them. Normalize the columns before the model, not inside "
                "it, or use quantization='dynamic'.",
                key,
                name,
                quantization,
                ", ".join(map(str, columns[:_MOST_NAMED])),
            )


def tell_masks(name: str, quantization: str, masks: Bounded) -> None:
    """Tell which masks near minus infinity the file has in another size."""
    if masks.changes:
        pairs = [f"{before:.3g} became {after:.3g}" for before, after in masks.changes]
        _LOGGER.info(
            "In the %s file of model '%s' masks near minus infinity were reduced, "
            "because the scores share their quantization range: %s.",
            quantization,
            name,
            ", ".join(pairs),
        )
    if masks.left:
        _LOGGER.warning(
            "The %s file of model '%s' keeps masks near minus infinity, which leave "
            "the scores too few quantization steps and could not be reduced without "
            "changing the scores: %s. Check the file with compare(...).",
            quantization,
            name,
            ", ".join(f"{value:.3g}" for value in masks.left),
        )
