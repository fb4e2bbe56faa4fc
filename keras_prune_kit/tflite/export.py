"""The export of a Keras model to a .tflite file."""

from __future__ import annotations

import os
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import check_flag, is_one_of
from keras_prune_kit._tools.files import check_writable
from keras_prune_kit._tools.quantizations import (
    CALIBRATED,
    COMPARED,
    check_installed,
)
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.agreement import agreement
from keras_prune_kit.tflite.errors import ExportError
from keras_prune_kit.tflite.model import TFLiteModel
from keras_prune_kit.tflite.samples import (
    Sample,
    one_sample,
    representative_samples,
)
from keras_prune_kit.tflite.string_inputs import check_exportable
from keras_prune_kit.tflite.telling import (
    tell_coarse_columns,
    tell_disagreement,
    tell_float_operators,
    tell_float_weights,
    tell_masks,
)
from keras_prune_kit.worker import on_tensorflow

# The supported dtypes of inputs and outputs, by quantization.
_IO_DTYPES = {
    "none": ("float32",),
    "float16": ("float32",),
    "dynamic": ("float32",),
    "int8": ("float32", "int8", "uint8"),
    "int16x8": ("float32", "int16"),
    "int4": ("float32",),
}
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
    """Convert a Keras model to a .tflite file.

    Zeros survive every quantization, so a pruned model stays pruned. The file keeps
    the order of the Keras model's inputs and outputs, and needs built-in operators
    only. A file with recurrent layers has a fixed batch size of 1, because the
    converter needs it for loops. String inputs and lookup tables, as in
    `TextVectorization` or `StringLookup`, cannot be exported: the error says how to
    export the rest of the model.

    The signature of the file has the names of the Keras inputs and outputs; a single
    output that is not in a dict is called `output_0`. The file contains only what an
    interpreter needs, and for each tensor a short name, as other tools look them up by
    name: weights keep theirs, others are numbered. Channels between layers that compute
    in integers are sorted, so that the file compresses better, and fully connected ones
    flatten their inputs themselves; its results stay bit-identical.

    A model on the JAX or torch backend is converted in a child process under
    TensorFlow, which starts once (some seconds) and serves all later calls. The classes
    and functions of its layers must be in modules that can be imported, not in the
    script or the notebook itself, and must work on every backend (`keras.ops`).

    Args:
        model: A built Keras model, or the path of one (.keras, .h5). It is not
            changed.
        path: The path to write the file to, in an existing folder; `None` keeps it
            in memory only. Defaults to `None`.
        quantization: `"none"` keeps float32. `"float16"` halves the file.
            `"dynamic"` stores larger kernels in int8 and computes in float.
            `"int8"` also computes in int8, where the interpreter has int8 kernels.
            `"int16x8"` has int16 activations and int8 weights. `"int4"` stores the
            kernels of Dense and Conv layers in int4, and others in int8 if there are
            int8 operators for them; it computes like `"dynamic"`, and needs
            `pip install keras-prune-kit[int4]`. Defaults to `"none"`.
        representative_data: Typical inputs, used to calibrate `"int8"` and `"int16x8"`,
            and for these and `"int4"` to compare the file with the model: an array
            `(n, ...)`; for several inputs a list of arrays or a dict of arrays by input
            name; or an iterable of batches such as a `tf.data.Dataset` or a
            `DataLoader` of torch, with or without labels. At most 200 samples are used.
            Defaults to `None`.
        io_dtype: The dtype of inputs and outputs: `"float32"`; `"int8"` or `"uint8"`
            with `"int8"`; `"int16"` with `"int16x8"`. Defaults to `"float32"`.
        sparse_storage: If True, store nonzero values only. The file gets smaller, but
            neither smaller after compression nor faster. Defaults to `False`.

    Returns:
        The exported model.

    Raises:
        ImportError: If a package for `"int4"` is not installed.
        ExportError: If the model has string inputs, the converter fails, or the
            interpreter cannot run the converted file, which is tried in a separate
            process; the message has the reason.
        OSError: If the file cannot be written to `path`.
        RuntimeError: If the child process for a model of JAX or torch is killed.
        TypeError: If `model` is not a Keras model, or `representative_data` is of an
            unsupported type.
        ValueError: If options contradict each other, the model is not built, the data
            does not match its inputs, or the child process cannot import a class.

    Example:

    >>> import keras
    >>> model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    >>> export_tflite(model, quantization="float16").predict([[1, 2, 3, 4]]).shape
    (1, 2)
    """
    _check_options(quantization, io_dtype, sparse_storage)
    model = _keras.opened(model)
    signature = _keras.signature_of(model)
    check_exportable(model)
    is_quantized = _keras.is_quantization_aware(model)
    if is_quantized:
        _check_trained_for(quantization, model)
    samples: list[Sample] = []
    if quantization in COMPARED and representative_data is not None:
        samples = representative_samples(representative_data, signature.inputs)
    elif quantization in CALIBRATED and not is_quantized:
        raise ValueError(
            f"quantization='{quantization}' needs representative_data to find "
            "the range of activations. Received: None. Pass some 100 typical "
            "inputs, or use quantization='dynamic', which needs none."
        )
    if path is not None:
        # Early, as the conversion takes long.
        check_writable(path)
    exported = _converted(
        model, signature, quantization, samples, io_dtype, sparse_storage
    )
    # Last, so that an error above leaves no file.
    if path is not None:
        exported.save(path)
    return exported


@on_tensorflow
def _converted(
    model: Any,
    signature: _keras.Signature,
    quantization: str,
    samples: list[Sample],
    io_dtype: str,
    sparse_storage: bool,
) -> TFLiteModel:
    """Convert a model with options that are checked, and try the file."""
    # TensorFlow takes seconds to import, and running a file does not need it.
    from keras_prune_kit.tflite.convert import Conversion, ConversionFailed

    conversion = Conversion(model, signature)
    try:
        content = conversion.convert(
            quantization,
            samples if quantization in CALIBRATED else (),
            io_dtype=io_dtype,
            sparse_storage=sparse_storage,
        )
        sample = one_sample(signature.inputs, samples)
        exported = TFLiteModel.converted(content, sample)
        if sparse_storage:
            dense = conversion.convert(quantization, ())
            _check_nothing_lost(dense, content)
    except (ConversionFailed, ValueError, RuntimeError) as error:
        raise ExportError(
            f"Model '{model.name}' cannot be exported with quantization="
            f"'{quantization}': {error}"
        ) from error
    if quantization in CALIBRATED:
        tell_float_operators(model.name, quantization, content)
        tell_masks(model.name, quantization, conversion.masks)
        if samples:
            tell_coarse_columns(model.name, quantization, samples)
    if quantization == "int4":
        tell_float_weights(model.name, content)
    if samples:
        found = agreement(model, signature, exported, samples)
        tell_disagreement(model.name, quantization, found)
    return exported


def _check_options(quantization: str, io_dtype: str, sparse_storage: bool) -> None:
    if not is_one_of(quantization, list(_IO_DTYPES)):
        raise ValueError(
            f"quantization must be one of {list(_IO_DTYPES)}. Received: "
            f"{quantization!r}.{did_you_mean(quantization, _IO_DTYPES)}"
        )
    if not is_one_of(io_dtype, _IO_DTYPES[quantization]):
        raise ValueError(
            f"io_dtype must be one of {list(_IO_DTYPES[quantization])} with "
            f"quantization='{quantization}'. Received: {io_dtype!r}."
            + did_you_mean(io_dtype, _IO_DTYPES[quantization])
        )
    check_installed(quantization)
    check_flag("sparse_storage", sparse_storage)
    if sparse_storage and quantization not in _KEEPS_SPARSE_STORAGE:
        raise ValueError(
            "sparse_storage requires quantization "
            f"{' or '.join(map(repr, _KEEPS_SPARSE_STORAGE))}: the interpreter "
            "refuses quantized weights in sparse storage. Received: quantization="
            f"'{quantization}'. Leave it out and compress the file with gzip, which "
            "saves as much."
        )


def _check_trained_for(quantization: str, model: Any) -> None:
    if quantization != "int8":
        raise ValueError(
            "A model after quantization-aware training can only be exported with "
            f"quantization='int8'. Received: model '{model.name}' with quantization="
            f"'{quantization}'. For another quantization export "
            "kpk.strip_quantization(model)."
        )
    missing = _keras.without_range(model)
    if missing:
        raise ValueError(
            "The ranges of activations come from training: call fit on the quantized "
            "model for some steps before the export. Received: model "
            f"'{model.name}' without a range for {', '.join(missing[:3])}."
        )


def _check_nothing_lost(dense: bytes, sparse: bytes) -> None:
    """Raise a ValueError if the converter lost nonzero values in sparse storage.

    It does so with some small kernels, without a warning.
    """
    before, after = map(flatbuffer.sparsity_report, (dense, sparse))
    kept, stored = before.size - before.zeros, after.size - after.zeros
    if kept != stored:
        raise ValueError(
            f"of its {kept:,} nonzero weights the converter stored {stored:,} in "
            "sparse storage. This happens with small kernels, mostly those with fewer "
            "than four inputs. Leave sparse_storage out and compress the file with "
            "gzip, which saves as much."
        )
