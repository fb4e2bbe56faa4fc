"""Exporting: from a Keras model to the file that gets deployed."""

from __future__ import annotations

import logging
import os
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_flag, is_one_of
from keras_prune_kit._tools.files import check_writable
from keras_prune_kit._tools.quantizations import CALIBRATED
from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.agreement import largest_deviation
from keras_prune_kit.tflite.errors import ExportError
from keras_prune_kit.tflite.masking import Bounded
from keras_prune_kit.tflite.model import TFLiteModel
from keras_prune_kit.tflite.samples import (
    Sample,
    coarse_columns,
    one_sample,
    representative_samples,
)
from keras_prune_kit.tflite.string_inputs import check_exportable

_LOGGER = logging.getLogger(__name__)

# Which types of input and output a file can have, by quantization.
_IO_DTYPES = {
    "none": ("float32",),
    "float16": ("float32",),
    "dynamic": ("float32",),
    "int8": ("float32", "int8", "uint8"),
    "int16x8": ("float32", "int16"),
}
_MOST_DEVIATION = 0.5
_KEEPS_SPARSE_STORAGE = ("none", "float16")


def export_tflite(
    model: Any,
    path: str | os.PathLike[str] | None = None,
    *,
    quantization: str = "none",
    representative_data: Any = None,
    io_dtype: str = "float32",
    sparse_storage: bool = False,
) -> TFLiteModel:
    """Converts a Keras model to a .tflite file.

    Zeros survive every quantization, so a pruned model stays pruned. The file gives
    and takes tensors in the order of the Keras model, and needs no operators beyond
    the built-in ones. Recurrent layers make a file with a fixed batch of one, as
    the converter cannot do better. Texts and tables, as in a `TextVectorization` or
    a `StringLookup`, cannot be exported: the error says how to export what is behind.

    The signature of the file has the names that Keras knows; a single output that is
    not in a dict is called `output_0`. The file holds only what an interpreter
    computes with and the names of weights, inputs and outputs. Between layers that
    compute in integers the channels are sorted, with the same results to the bit, so
    that it compresses better.

    Args:
        model: A built Keras model, or the path of one (.keras, .h5). It stays as it is.
        path: Where to write the file, in an existing folder. `None` keeps it in
            memory. Defaults to `None`.
        quantization: `"none"` keeps float32. `"float16"` halves the file.
            `"dynamic"` stores larger kernels in int8 and computes in float.
            `"int8"` also computes in int8, where there are kernels for that.
            `"int16x8"` has int16 activations and int8 weights. Defaults to
            `"none"`.
        representative_data: Typical inputs, for `"int8"` and `"int16x8"` alone: an
            array `(n, ...)`, a list of arrays or a dict of them by name for
            several inputs, or an iterable of batches such as a `tf.data.Dataset`,
            with or without labels. At most 200 samples are used. Defaults to
            `None`.
        io_dtype: Type of inputs and outputs: `"float32"`; `"int8"` or `"uint8"`
            with `"int8"`; `"int16"` with `"int16x8"`. Defaults to `"float32"`.
        sparse_storage: Whether to store only the values that are not zero. The
            file gets smaller without compression, not with it, and not faster.
            Defaults to `False`.

    Returns:
        The exported model.

    Raises:
        ExportError: If the model takes texts, the converter fails, or it makes a file
            that the interpreter does not run, which is tried in a process of its own;
            the message has the reason.
        OSError: If the file cannot be written at `path`.
        TypeError: If `model` is not a Keras model, or the data of no known kind.
        ValueError: If options do not fit each other, the model is not built, or
            the data does not fit its inputs.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> export_tflite(model, quantization="float16").predict([[1, 2, 3, 4]]).shape
    (1, 2)
    """
    _check_options(quantization, io_dtype, sparse_storage)
    model = _keras.opened(model)
    signature = _keras.signature_of(model)
    _check_backend(model)
    check_exportable(model)
    is_quantized = _keras.is_quantization_aware(model)
    if is_quantized:
        _check_trained_for(quantization, model)
    samples: list[Sample] = []
    if quantization in CALIBRATED and representative_data is not None:
        samples = representative_samples(representative_data, signature.inputs)
    elif quantization in CALIBRATED and not is_quantized:
        raise ValueError(
            f"quantization='{quantization}' needs representative_data to find "
            "the range of activations. Received: None. Pass some 100 typical "
            "inputs, or use quantization='dynamic', which needs none."
        )
    if path is not None:
        check_writable(path)
    # TensorFlow takes seconds to import; a file is read without it.
    from keras_prune_kit.tflite.convert import Conversion, ConversionFailed

    conversion = Conversion(model, signature)
    try:
        content = conversion.convert(
            quantization, samples, io_dtype=io_dtype, sparse_storage=sparse_storage
        )
        sample = one_sample(signature.inputs, samples)
        exported = TFLiteModel.converted(content, sample)
        if sparse_storage:
            dense = conversion.convert(quantization, samples)
            _check_nothing_lost(dense, content)
    except (ConversionFailed, ValueError, RuntimeError) as error:
        raise ExportError(
            f"Model '{model.name}' cannot be exported with quantization="
            f"'{quantization}': {error}"
        ) from error
    if quantization in CALIBRATED:
        _tell_float_operators(model.name, quantization, content)
        _tell_masks(model.name, quantization, conversion.masks)
        if samples:
            _tell_coarse_columns(model.name, quantization, samples)
            _tell_deviation(
                model.name,
                quantization,
                largest_deviation(model, signature, exported, samples),
            )
    if path is not None:
        exported.save(path)
    return exported


def _check_options(quantization: str, io_dtype: str, sparse_storage: bool) -> None:
    if not is_one_of(quantization, list(_IO_DTYPES)):
        raise ValueError(
            f"quantization must be one of {list(_IO_DTYPES)}. Received: "
            f"{quantization!r}."
        )
    if not is_one_of(io_dtype, _IO_DTYPES[quantization]):
        raise ValueError(
            f"io_dtype must be one of {list(_IO_DTYPES[quantization])} with "
            f"quantization='{quantization}'. Received: {io_dtype!r}."
        )
    check_flag("sparse_storage", sparse_storage)
    if sparse_storage and quantization not in _KEEPS_SPARSE_STORAGE:
        raise ValueError(
            "sparse_storage works with quantization "
            f"{' or '.join(map(repr, _KEEPS_SPARSE_STORAGE))}: the interpreter "
            "refuses quantized weights in sparse storage. Received: quantization="
            f"'{quantization}'. Compress the file instead, which saves as much."
        )


def _check_trained_for(quantization: str, model: Any) -> None:
    if quantization != "int8":
        raise ValueError(
            "A model that was trained quantized is exported with quantization='int8', "
            f"as it was trained. Received: model '{model.name}' with quantization="
            f"'{quantization}'. For any other file export "
            "kpk.strip_quantization(model)."
        )
    missing = _keras.without_range(model)
    if missing:
        raise ValueError(
            "Ranges of activations come from training: call fit on the quantized model "
            f"for some steps before you export it. Received: model '{model.name}' "
            f"without a range for {', '.join(missing[:3])}."
        )


def _check_backend(model: Any) -> None:
    world = _keras.world(model)
    backend = world.backend.backend()
    if backend != "tensorflow":
        raise ValueError(
            "Only models on Keras' TensorFlow backend can be exported. Received a "
            f"model on the backend: '{backend}'. Load it with "
            "KERAS_BACKEND=tensorflow."
        )


def _check_nothing_lost(dense: bytes, sparse: bytes) -> None:
    """The converter drops values of some small kernels without a word."""
    before, after = map(flatbuffer.sparsity_report, (dense, sparse))
    kept, stored = before.size - before.zeros, after.size - after.zeros
    if kept != stored:
        raise ValueError(
            f"of its {kept:,} weights that are not zero the converter stored "
            f"{stored:,} in sparse storage. That happens to small kernels, above all "
            "with fewer than four inputs. Leave sparse_storage out and compress the "
            "file, which saves as much."
        )


def _tell_float_operators(name: str, quantization: str, content: bytes) -> None:
    operators = flatbuffer.float_operator_names(content)
    if operators:
        _LOGGER.warning(
            "The %s file of model '%s' computes these in float32, as the converter "
            "has no integer kernel for them: %s.",
            quantization,
            name,
            ", ".join(sorted(operators)),
        )


def _tell_deviation(name: str, quantization: str, deviation: float) -> None:
    if deviation > _MOST_DEVIATION:
        _LOGGER.warning(
            "The %s file of model '%s' computes something else than the model: on "
            "representative_data its outputs are off by %.0f %% of how much they vary. "
            "Look at compare(...), and use quantization='dynamic' if it is no better "
            "with other data.",
            quantization,
            name,
            100 * deviation,
        )


def _tell_coarse_columns(name: str, quantization: str, samples: list[Sample]) -> None:
    steps = np.iinfo(np.int8 if quantization == "int8" else np.int16).max * 2 + 1
    for key, columns in coarse_columns(samples, steps).items():
        if columns:
            _LOGGER.warning(
                "Input '%s' of model '%s' has one scale for all of its columns in %s, "
                "by which %s vary by fewer than 8 steps, so that the file hardly sees "
                "them. Normalize columns before the model, not in it, or use "
                "quantization='dynamic'.",
                key,
                name,
                quantization,
                ", ".join(map(str, columns[:8])),
            )


def _tell_masks(name: str, quantization: str, masks: Bounded) -> None:
    if masks.changes:
        pairs = [f"{before:.3g} became {after:.3g}" for before, after in masks.changes]
        _LOGGER.info(
            "The %s file of model '%s' masks scores less, as masks near minus infinity "
            "would leave the scores no steps: %s.",
            quantization,
            name,
            ", ".join(pairs),
        )
    if masks.left:
        _LOGGER.warning(
            "The %s file of model '%s' masks scores by what leaves them no steps, and "
            "cannot by less without changing them: %s. Compare it with the model.",
            quantization,
            name,
            ", ".join(f"{value:.3g}" for value in masks.left),
        )
