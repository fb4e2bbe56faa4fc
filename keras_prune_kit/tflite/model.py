"""The class that runs, scores and inspects a .tflite file."""

from __future__ import annotations

# Inside the class the name `bytes` is its property, in annotations too.
import builtins
import itertools
import os
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_prune_kit._tools.checks import (
    as_array,
    as_path,
    check_whole,
    is_one_of,
    using,
)
from keras_prune_kit._tools.files import gzip_size, replacing
from keras_prune_kit._tools.names import keys_of, labels_by_output
from keras_prune_kit._tools.progress import track
from keras_prune_kit.reports import SparsityReport
from keras_prune_kit.tflite import flatbuffer
from keras_prune_kit.tflite.accuracy import accuracy
from keras_prune_kit.tflite.runner import (
    Runner,
    TensorSpec,
    allocate,
    check_threads,
    open_interpreter,
)
from keras_prune_kit.tflite.sandbox import check_runs, check_works
from keras_prune_kit.tflite.timing import median_milliseconds
from keras_prune_kit.tflite.unpacking import with_whole_bytes

Metric = Callable[[np.ndarray, np.ndarray], Any]


class TFLiteModel:
    """A .tflite file in memory, measured as it will be deployed.

    Runs on the LiteRT interpreter, without TensorFlow. Inputs and outputs are real
    values, even if those of the file are quantized; a quantized input also accepts
    arrays that are already quantized, in the dtype that it has in the file.

    Args:
        source: The path of a .tflite file, or its bytes.

    Raises:
        FileNotFoundError: If `source` is a path at which no file exists.
        TypeError: If `source` is neither a path nor bytes.
        ValueError: If the interpreter does not accept it as a .tflite file.

    Example:

    >>> model = TFLiteModel("model.tflite")  # doctest: +SKIP
    >>> model.evaluate(x_test, y_test)  # doctest: +SKIP
    0.9912
    """

    def __init__(self, source: str | os.PathLike[str] | builtins.bytes) -> None:
        self._content, origin = _read(source)
        if not flatbuffer.looks_like_tflite(self._content):
            raise ValueError(
                "source must be a .tflite file, which has 'TFL3' at byte 4. Received: "
                f"{origin}."
            )
        # The interpreter and the schema raise arbitrary errors for damaged files.
        try:
            # First: opening a damaged file in this process might end it.
            check_runs(self._content)
            self._open()
            flatbuffer.sparsity_report(self._content)
        except Exception as error:
            raise ValueError(
                f"The interpreter does not accept {origin} as source; it is damaged or "
                f"needs operators that are not built in: {error}"
            ) from error

    @classmethod
    def converted(
        cls, content: builtins.bytes, sample: Sequence[np.ndarray]
    ) -> TFLiteModel:
        """Return the model of a newly converted file, after a trial run.

        Args:
            content: The file.
            sample: One sample of each input, or empty, as for `check_works`.

        Raises:
            ValueError: If the interpreter cannot run the file.
        """
        check_works(content, sample)
        # Past `__init__`, which would try the file once more.
        model = cls.__new__(cls)
        model._content = content
        model._open()
        return model

    def __repr__(self) -> str:
        inputs = ", ".join(map(str, self.inputs))
        outputs = ", ".join(map(str, self.outputs))
        return f"<TFLiteModel of {len(self._content):,} bytes: {inputs} -> {outputs}>"

    @property
    def bytes(self) -> builtins.bytes:
        """The content of the file."""
        return self._content

    @property
    def gzip_bytes(self) -> int:
        """The size of the file in bytes after gzip compression."""
        return gzip_size(self._content)

    @property
    def operators(self) -> tuple[str, ...]:
        """The name of each operator, such as `"CONV_2D"`, in the order of the file.

        A runtime on which operators are chosen, such as TFLite Micro, needs those in
        `set(model.operators)`; `collections.Counter(model.operators)` counts them. The
        names are those of the .tflite schema, or of custom operators their own.
        """
        return flatbuffer.operator_names(self._content)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the file completely or not at all.

        Args:
            path: The path to write to, in an existing folder.

        Raises:
            OSError: If the file cannot be written there.
        """
        with replacing(path) as part:
            part.write_bytes(self._content)

    def unpacked(self) -> TFLiteModel:
        """Return the file with the weights of convolutions in a byte each.

        Weights of 4 bits and fewer are packed by two. LiteRT computes with those of
        fully connected layers as they are, but unpacks those of convolutions in each
        run, which mostly takes longer than the convolution. Convolutions of the
        returned file are as fast as those of 8 bits, which on some processors is slower
        if they have few channels: compare `latency` of both on the device. The values
        of all weights are the same, and outputs but for the rounding of LiteRT's
        kernels. Before compression the file is up to twice as large, after it at most
        about a tenth larger.

        Returns:
            The new file; this one if it has no such weights, or if its convolutions
            read floats, as in a file of `quantization="int4"`.

        Example:

        >>> small = compress(model, train_data, ...).tflite  # doctest: +SKIP
        >>> fast = small.unpacked()  # doctest: +SKIP
        """
        content = with_whole_bytes(self._content)
        return self if content is self._content else TFLiteModel(content)

    def predict(
        self, x: Any, batch_size: int = 64, num_threads: int | None = None
    ) -> Any:
        """Return the outputs of the file for a batch of samples.

        Args:
            x: An array `(n, ...)`; for several inputs a list of arrays, or a dict of
                arrays by input name. Names are those of the Keras model, or the same
                with `_` for every character that is not a letter or digit; a dict
                may have further keys. If an input is quantized (`int8`, `uint8` or
                `int16`), an array of exactly that dtype is used as is: as quantized
                values with the input's `scale` and `zero_point` in `inputs`. Any
                other array, of other integers too, is real values and gets quantized.
                So 8-bit images are real values for an `int8` file, but quantized
                values for a `uint8` file: pass `x.astype("float32")` to the latter
                unless its scale is 1.
            batch_size: Samples per run. Defaults to 64; more is hardly faster on two
                cores. A file with a fixed batch size uses its own.
            num_threads: Threads of the interpreter. Defaults to `None`: one per CPU.

        Returns:
            A float array `(n, ...)`, or a list of them for several outputs, in the
            order of the Keras model and of `outputs`. Quantized outputs are
            dequantized.

        Raises:
            ValueError: If the arrays do not match the inputs.
        """
        check_whole("batch_size", batch_size)
        if num_threads is not None:
            check_threads(num_threads)
        arrays = self._arrays(x)
        starts = range(0, len(arrays[0]), batch_size)
        with using("x"):
            runner = Runner(self._content, num_threads or os.cpu_count() or 1)
            parts = [
                runner.run([array[start : start + batch_size] for array in arrays])
                for start in track(starts, "running the .tflite")
            ]
        outputs = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
        return outputs[0] if len(outputs) == 1 else outputs

    def evaluate(
        self,
        x: Any,
        y: Any,
        batch_size: int = 64,
        metric: str | Metric = "accuracy",
    ) -> Any:
        """Compute a metric of the file's predictions.

        Args:
            x: Inputs, as for `predict`.
            y: Labels, one per sample; for several outputs a list of them in the order
                of the outputs, or a dict by output name. For `"accuracy"`: class
                numbers, one-hot rows, or 0 and 1 if the last dimension of the output
                is 1 (the threshold is 0.5).
            batch_size: Samples per run. Defaults to 64.
            metric: `"accuracy"`, or a function `(y_true, y_pred)` that returns one
                number, or one number per sample. Defaults to `"accuracy"`.

        Returns:
            The mean of the metric; for several outputs a list, in their order.

        Raises:
            ValueError: If the labels do not match the outputs.

        Example:

        >>> mse = keras.losses.mean_squared_error  # doctest: +SKIP
        >>> model.evaluate(x, y, metric=mse)  # doctest: +SKIP
        0.0213
        """
        if not is_one_of(metric, ("accuracy",)) and not callable(metric):
            raise ValueError(
                "metric must be 'accuracy' or a function (y_true, y_pred). Received: "
                f"{metric!r}."
            )
        score: Metric = accuracy if isinstance(metric, str) else metric
        labels = labels_by_output(y, [item.name for item in self.outputs])
        predictions = self.predict(x, batch_size)
        if len(self.outputs) == 1:
            return _score(score, labels[0], predictions)
        return [_score(score, *pair) for pair in zip(labels, predictions, strict=True)]

    def sparsity_report(self) -> SparsityReport:
        """Count the zeros of every weight in the file.

        Returns:
            One record per weight (a constant of two or more dimensions that is no bias,
            scale or slope), with its name in the file.
        """
        return flatbuffer.sparsity_report(self._content)

    def latency(self, x: Any = None, *, runs: int = 50, num_threads: int = 1) -> float:
        """Measure the latency of one sample on this machine.

        Args:
            x: Inputs, as for `predict`; only the first sample is used. Defaults to
                `None`: zeros, which needs inputs of known sizes.
            runs: Number of timed runs. Defaults to 50, after 5 warm-up runs.
            num_threads: Threads of the interpreter. Defaults to 1.

        Returns:
            The median time of one run in milliseconds, without data conversion.

        Raises:
            ValueError: If the arrays do not match the inputs, or `x` is missing and
                an input has unknown sizes besides the batch.
        """
        check_whole("runs", runs)
        invoke = self.invoker(x, num_threads)
        return median_milliseconds([invoke], runs)[0]

    def invoker(self, x: Any = None, num_threads: int = 1) -> Callable[[], None]:
        """Return a function that runs the model once on one sample, for timing.

        Args:
            x: Inputs, as for `latency`.
            num_threads: Threads of the interpreter. Defaults to 1.
        """
        check_threads(num_threads)
        if x is None and any(spec.has_open_sizes for spec in self.inputs):
            raise ValueError(
                "x must be given if an input has unknown sizes besides the batch. "
                f"Received: None for {', '.join(map(str, self.inputs))}."
            )
        if x is None:
            arrays = [np.zeros((1, *spec.shape[1:])) for spec in self.inputs]  # pyright: ignore
        else:
            arrays = [array[:1] for array in self._arrays(x)]
        with using("x"):
            runner = Runner(self._content, num_threads)
            # Sets the inputs and allocates, neither of which is timed.
            runner.run(arrays)
        return runner.interpreter.invoke

    def _open(self) -> None:
        self.inputs, self.outputs = _open(self._content)

    def _arrays(self, x: Any) -> list[np.ndarray]:
        """Return one checked array per input, in the order of the file."""
        if isinstance(x, Mapping):
            names = [item.name for item in self.inputs]
            keys = keys_of(names, x)
            if keys is None:
                raise ValueError(
                    f"x must have an array for each of the inputs {names}. Received "
                    f"the names: {list(x)}."
                )
            items = [x[key] for key in keys]
        elif len(self.inputs) == 1:
            # A list of one array may be the inputs or a batch of one: the rank tells.
            one_in_a_list = isinstance(x, list | tuple) and len(x) == 1
            is_array = one_in_a_list and hasattr(x[0], "shape")
            rank = len(self.inputs[0].shape)
            items = list(x) if is_array and np.ndim(x[0]) == rank else [x]
        else:
            items = list(x) if isinstance(x, list | tuple) else [x]
        if len(items) != len(self.inputs):
            raise ValueError(
                f"x must be a list of {len(self.inputs)} arrays, one for each of the "
                f"inputs {[item.name for item in self.inputs]}. Received: "
                f"{len(items)}."
            )
        arrays = [
            spec.checked(as_array("x", item))
            for spec, item in zip(self.inputs, items, strict=True)
        ]
        lengths = {len(array) for array in arrays}
        if len(lengths) != 1 or 0 in lengths:
            raise ValueError(
                "All arrays of x must have the same number of samples, at least one. "
                f"Received: {[len(array) for array in arrays]}."
            )
        return arrays


def _read(source: Any) -> tuple[builtins.bytes, str]:
    """Return the content of a file, and a name for it in messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        # A copy, as the caller may go on writing to a bytearray.
        return bytes(source), f"{len(source):,} bytes"
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            "source must be the path of a .tflite file or its bytes. Received: "
            f"{type(source).__name__}."
        )
    path = as_path("source", source)
    if not path.is_file():
        raise FileNotFoundError(f"source must be an existing file: '{path}'.")
    return path.read_bytes(), f"the file '{path}'"


def _open(
    content: builtins.bytes,
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """Return the inputs and outputs of a file; raise if it cannot be allocated."""
    interpreter = open_interpreter(content, num_threads=1)
    input_names, output_names = flatbuffer.signature_names(content)
    inputs = _specs(interpreter.get_input_details(), input_names)
    outputs = _specs(interpreter.get_output_details(), output_names)
    # The interpreter sets unknown sizes to 1, which may be too small to allocate.
    if not any(spec.has_open_sizes for spec in inputs):
        allocate(interpreter)
    return inputs, outputs


def _specs(details: list[Any], names: list[str]) -> tuple[TensorSpec, ...]:
    pairs = itertools.zip_longest(details, names)  # Names may be missing.
    return tuple(TensorSpec.of(detail, name) for detail, name in pairs)


def _score(metric: Metric, y: Any, predictions: np.ndarray) -> float:
    y = as_array("y", y, least_axes=1)
    if len(y) != len(predictions):
        raise ValueError(
            f"y must have one label for each of the {len(predictions)} samples. "
            f"Received: {len(y)}."
        )
    with using("metric"):
        return float(np.mean(np.asarray(metric(y, predictions))))
