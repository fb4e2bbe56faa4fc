"""The conversion itself; only it and what it imports here import TensorFlow."""

from __future__ import annotations

import contextlib
import logging
import os
import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_prune_kit import _keras
from keras_prune_kit._tools import progress
from keras_prune_kit._tools.chatter import without_chatter
from keras_prune_kit._tools.files import scratch_folder, telling_full_disk
from keras_prune_kit._tools.names import plain_names
from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.calibration import calibrate_with_care
from keras_prune_kit.tflite.float16_range import restore_large
from keras_prune_kit.tflite.int4 import to_int4
from keras_prune_kit.tflite.lstm import mend_cells, mend_states
from keras_prune_kit.tflite.masking import Bounded
from keras_prune_kit.tflite.naming import rename
from keras_prune_kit.tflite.new_axes import spell_out_new_axes
from keras_prune_kit.tflite.one_hot import mend_one_hot
from keras_prune_kit.tflite.operator_layers import layers_using
from keras_prune_kit.tflite.samples import Sample
from keras_prune_kit.tflite.shrinking import shrink

_OPS = tf.lite.OpsSet
_INTEGER_OPS = {
    "int8": _OPS.TFLITE_BUILTINS_INT8,
    "int16x8": _OPS.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8,
}
# The operators of a traced `tf.while_loop`, which recurrent layers use.
_LOOPS = {"While", "StatelessWhile"}


class ConversionFailed(Exception):
    """A failure of the converter; the message is its reason."""


class Conversion:
    """A model traced for inference, ready to be converted.

    `tf.lite.TFLiteConverter.from_keras_model` loses the order of inputs and outputs,
    prints to the terminal and does not accept a batch size. The function traced here
    has names from which the order is restored.

    Args:
        model: A built Keras model on the TensorFlow backend.
        signature: The inputs of the model.

    Attributes:
        masks: The changes to attention masks in the last calibrated conversion.
    """

    def __init__(self, model: Any, signature: _keras.Signature) -> None:
        self._model = model
        self._signature = signature
        self._batch: int | None = signature.inputs[0].shape[0]
        # The model's names by plain ones, as a traced function accepts no others.
        self._inputs = _traced_names([item.name for item in signature.inputs], "input")
        self._outputs: dict[str, str] = {}
        self.masks = Bounded()
        self._function = self._trace()
        self._operators = _graph_operators(self._function)
        if self._batch is None and "TensorListReserve" in self._operators:
            # The converter needs static shapes for the state of loops over time.
            self._batch = 1
            self._function = self._trace()

    def convert(
        self,
        quantization: str,
        samples: Sequence[Sample],
        *,
        io_dtype: str = "float32",
        sparse_storage: bool = False,
    ) -> bytes:
        """Convert the model and return the bytes of the .tflite file.

        Args:
            quantization: As in `export_tflite`.
            samples: Representative data; empty if no calibration is needed.
            io_dtype: As in `export_tflite`.
            sparse_storage: As in `export_tflite`.

        Raises:
            ConversionFailed: If the converter fails.
        """
        if quantization in _INTEGER_OPS:
            self._check_recurrent(quantization)
        with (
            without_chatter(),
            _quiet(),
            _keras.at_rest(self._model),
            scratch_folder() as folder,
            telling_full_disk(folder.parent),
        ):
            converter = self._converter(os.fspath(folder))
            _quantize(converter, quantization, is_calibrated=bool(samples))
            if samples:
                converter.representative_dataset = lambda: map(
                    self._feed, progress.track(samples, "calibrating")
                )
                calibrate_with_care(
                    converter,
                    lambda: map(self._feed, samples),
                    quantization,
                    self._remember,
                )
            if quantization in _INTEGER_OPS:
                converter.inference_input_type = tf.as_dtype(io_dtype)
                converter.inference_output_type = tf.as_dtype(io_dtype)
            if sparse_storage:
                converter.optimizations.append(tf.lite.Optimize.EXPERIMENTAL_SPARSITY)
            try:
                with progress.stage("converting"):
                    content = converter.convert()
            except Exception as error:  # The converter raises any type.
                raise ConversionFailed(_reason(str(error), self._users)) from error
        # Before `shrink`, which names tensors after the signature.
        content = rename(content, self._inputs, self._outputs)
        content = shrink(mend_one_hot(mend_states(mend_cells(content))))
        if quantization == "float16":
            content = restore_large(content, lambda: self.convert("none", ()))
        if quantization == "int4":
            content = shrink(_in_int4(content))
        return content

    def _trace(self) -> Any:
        def serve(*tensors: Any) -> dict[str, Any]:
            with _keras.exporting():
                outputs = self._model(self._signature.pack(tensors), training=False)
            named = _keras.named_outputs(self._model, outputs)
            # Noted while tracing, as the outputs' names come with the first call.
            self._outputs = _traced_names(list(named), "output")
            pairs = zip(self._outputs, named.values(), strict=True)
            # Without a copy, one tensor under two names would be one output.
            return {name: tf.identity(tensor) for name, tensor in pairs}

        specs = [
            tf.TensorSpec((self._batch, *item.shape[1:]), item.dtype, name)
            for item, name in zip(self._signature.inputs, self._inputs, strict=True)
        ]
        function = tf.function(serve, input_signature=specs, autograph=False)
        return function.get_concrete_function()

    def _converter(self, folder: str) -> Any:
        module = tf.Module()
        # A SavedModel must track the variables that its functions capture.
        module.captured = list(self._function.graph.variables)  # pyright: ignore
        tf.saved_model.save(module, folder, signatures=self._function)
        spell_out_new_axes(folder)
        return tf.lite.TFLiteConverter.from_saved_model(folder)

    def _remember(self, masks: Bounded) -> None:
        self.masks = masks

    def _feed(self, sample: Sample) -> Sample:
        """Return the sample under its traced names, repeated to fill a fixed batch."""
        repeats = self._batch or 1
        return {
            traced: np.repeat(sample[name], repeats, 0)
            for traced, name in self._inputs.items()
        }

    def _check_recurrent(self, quantization: str) -> None:
        """Raise for int16x8 LSTMs, and for loops, whose calibration crashes Python."""
        if not self._operators & _LOOPS:
            return
        # Only a trial tells, as the converter makes one operator of some loops: the
        # LSTM of tf_keras is fused.
        operators = flatbuffer.operator_names(self.convert("none", ()))
        if "WHILE" in operators:
            raise ConversionFailed(
                "the converter cannot calibrate loops, and a recurrent layer of this "
                "model becomes one. Build that layer with unroll=True, or use "
                "quantization='dynamic'."
            )
        if quantization == "int16x8" and "UNIDIRECTIONAL_SEQUENCE_LSTM" in operators:
            raise ConversionFailed(
                "the converter leaves the states of an LSTM in float, which "
                "interpreters refuse. Use quantization='int8' or 'dynamic'."
            )

    def _users(self, operators: str) -> str:
        """Return the layers with some operators as the end of a sentence."""
        names = re.split(r",\s*", operators.replace("Flex", ""))
        layers = layers_using(self._model, self._function.graph, names)
        more = f" and {len(layers) - 3} more" if len(layers) > 3 else ""
        return f", in {', '.join(layers[:3])}{more}" if layers else ""


def _traced_names(names: Sequence[str], fallback: str) -> dict[str, str]:
    """Return the names of inputs or outputs by their names in the traced function."""
    return dict(zip(plain_names(names, fallback), names, strict=True))


def _graph_operators(function: Any) -> set[str]:
    graph = function.graph.as_graph_def()
    inner = (node for item in graph.library.function for node in item.node_def)
    return {node.op for node in graph.node} | {node.op for node in inner}


def _quantize(converter: Any, quantization: str, *, is_calibrated: bool) -> None:
    converter.optimizations = []
    if quantization in ("none", "int4"):  # int4 is made of the float file.
        return
    converter.optimizations.append(tf.lite.Optimize.DEFAULT)
    if quantization == "float16":
        converter.target_spec.supported_types = [tf.float16]
    if quantization in _INTEGER_OPS and is_calibrated:
        # The float operators are a fallback for those without an integer kernel.
        converter.target_spec.supported_ops = [
            _INTEGER_OPS[quantization],
            _OPS.TFLITE_BUILTINS,
        ]


def _in_int4(content: bytes) -> bytes:
    try:
        with progress.stage("quantizing"):
            return to_int4(content)
    except Exception as error:  # Like the converter, it raises any type.
        raise ConversionFailed(f"LiteRT's quantizer cannot take it: {error}") from error


def _reason(text: str, users: Callable[[str], str]) -> str:
    """Extract the reason of a failure from the converter's long error text.

    Args:
        text: The error text.
        users: Returns the layers with some operators as the end of a sentence.
    """
    # The converter's messages are MLIR's: types are written tensor<?x3xf16>.
    missing = re.search(r"(?:Select|Flex|Custom) ops: (.+)", text)
    if missing and re.search(r"xb?f16>", text):
        return (
            "it computes in half precision, for which there are no built-in "
            "operators. Build it with the dtype policy 'float32' and copy the weights "
            "with set_weights; quantization='float16' still halves the file."
        )
    if missing:
        return (
            f"it needs operators that are not built in: {missing[1]}"
            f"{users(missing[1])}. Express them with other operators, or leave that "
            "part out of the file."
        )
    if re.search(r"Max and min for dynamic tensors should be recorded", text):
        return (
            "there are no int16x8 operators for integer tensors, such as the row "
            "indices of a Keras 3 Embedding. Use quantization='int8' or 'dynamic', or "
            "export a model of the layers after the Embedding."
        )
    lines = (re.sub(r"^.*error: ", "", line).strip() for line in text.splitlines())
    return next(filter(None, lines), "the converter gives no reason")


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence converter messages on which a user cannot act."""
    loggers = [logging.getLogger("absl"), tf.get_logger()]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        # The calibrator runs on the interpreter that TensorFlow deprecates.
        warnings.filterwarnings("ignore", r"\s*Warning: tf.lite.Interpreter is depre")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
