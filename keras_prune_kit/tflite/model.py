"""An exported model: run it, score it, look into it."""

from __future__ import annotations

import builtins
import itertools
import os
import time
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
    check_threads,
    open_interpreter,
)
from keras_prune_kit.tflite.sandbox import check_runs, check_works

Metric = Callable[[np.ndarray, np.ndarray], Any]

_WARM_UP_RUNS = 5


class TFLiteModel:
    """A .tflite file in memory, to be measured as it will be deployed.

    Runs on the LiteRT interpreter, without TensorFlow. It takes and gives real values,
    whatever the types inside the file are; a quantized input also takes arrays that are
    quantized already, of the type in the file.

    Args:
        source: The path of a .tflite file, or its bytes.

    Raises:
        FileNotFoundError: If there is no such file.
        TypeError: If it is neither a path nor bytes.
        ValueError: If it is not a .tflite file that the interpreter accepts.

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
        # Code that reads a damaged file can raise anything.
        try:
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
        """A file that the converter has just made; a `ValueError` if it does not run.

        Args:
            content: The file.
            sample: What to run it on, as `check_works` takes it.
        """
        check_works(content, sample)
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
        """The file itself."""
        return self._content

    @property
    def gzip_bytes(self) -> int:
        """The size of the file after compression with gzip."""
        return gzip_size(self._content)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the file as a whole or not at all.

        Args:
            path: Where to write, in an existing folder.

        Raises:
            OSError: If it cannot be written there.
        """
        with replacing(path) as part:
            part.write_bytes(self._content)

    def predict(
        self, x: Any, batch_size: int = 64, num_threads: int | None = None
    ) -> Any:
        """The outputs for many samples.

        Args:
            x: An array `(n, ...)`; a list of arrays or a dict of them by name for
                several inputs. Names are those of the Keras model, or the same with
                `_` for what is no letter or digit; a dict may have more. Of an input
                that is `int8`, `uint8` or `int16` in the file, arrays of just this
                type are taken as they are: as steps of `inputs[0].scale` from
                `inputs[0].zero_point`. All else, other integers too, are real values
                and get quantized. So pictures of bytes are real values for an `int8`
                file, and steps for a `uint8` one: give that `x.astype("float32")`
                unless its step is 1.
            batch_size: Samples run at once. Defaults to 64, past which two cores
                gain little. A file with a fixed batch uses its own.
            num_threads: Threads of the interpreter. Defaults to `None`: one a CPU.

        Returns:
            A float array `(n, ...)`, or a list of them for several outputs, in the
            order of the Keras model; `outputs` has their names. What is quantized in
            the file is turned into real values.

        Raises:
            ValueError: If the arrays do not fit the inputs.
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
        """How good the file is, measured on the file.

        Args:
            x: As for `predict`: arrays of the type of a quantized input as they are,
                all else as real values.
            y: Labels, one a sample; for several outputs a list of them in the order
                of the outputs, or a dict by their names. For `"accuracy"`: class
                numbers, one-hot rows, or 0 and 1 where the last dimension of the output
                is one (the threshold is 0.5).
            batch_size: Samples run at once. Defaults to 64.
            metric: `"accuracy"`, or a function `(y_true, y_pred)` that gives a
                number, or one number a sample. Defaults to `"accuracy"`.

        Returns:
            A float; a list of them for several outputs, in the order of these.

        Raises:
            ValueError: If labels do not fit the outputs.

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
        """The zeros of every weight, counted in the file itself.

        Returns:
            One record a weight (a constant of two or more dimensions; no biases),
            under the name that the file has for it.
        """
        return flatbuffer.sparsity_report(self._content)

    def latency(self, x: Any = None, *, runs: int = 50, num_threads: int = 1) -> float:
        """How long one sample takes on this machine.

        Args:
            x: As for `predict`; the first sample is used. Defaults to `None`:
                zeros, for inputs of known sizes.
            runs: How often to run it. Defaults to 50, after 5 runs to warm up.
            num_threads: Threads of the interpreter. Defaults to 1.

        Returns:
            Median milliseconds of one run, without conversions of the data.

        Raises:
            ValueError: If the arrays do not fit the inputs, or are missing where
                sizes are open.
        """
        check_whole("runs", runs)
        check_threads(num_threads)
        if x is None and any(spec.has_open_sizes for spec in self.inputs):
            raise ValueError(
                "x must be given where sizes of an input are open. Received: None for "
                f"{', '.join(map(str, self.inputs))}."
            )
        if x is None:
            arrays = [np.zeros((1, *spec.shape[1:])) for spec in self.inputs]  # pyright: ignore
        else:
            arrays = [array[:1] for array in self._arrays(x)]
        with using("x"):
            runner = Runner(self._content, num_threads)
            runner.run(arrays)
        for _ in range(_WARM_UP_RUNS):
            runner.interpreter.invoke()
        times = []
        for _ in range(runs):
            start = time.perf_counter()
            runner.interpreter.invoke()
            times.append(time.perf_counter() - start)
        return 1000 * float(np.median(times))

    def _open(self) -> None:
        self.inputs, self.outputs = _open(self._content)

    def _arrays(self, x: Any) -> list[np.ndarray]:
        """One array an input, in the order of the file, each of the right shape."""
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
    """The content and what to call it in messages."""
    if isinstance(source, bytes | bytearray | memoryview):
        return bytes(source), f"{len(source):,} bytes"
    if not isinstance(source, str | os.PathLike):
        raise TypeError(
            "source is the path of a .tflite file or its bytes. Received: "
            f"{type(source).__name__}."
        )
    path = as_path("source", source)
    if not path.is_file():
        raise FileNotFoundError(f"source must be an existing file: '{path}'.")
    return path.read_bytes(), f"the file '{path}'"


def _open(
    content: builtins.bytes,
) -> tuple[tuple[TensorSpec, ...], tuple[TensorSpec, ...]]:
    """The inputs and outputs of a file that the interpreter can run."""
    interpreter = open_interpreter(content, num_threads=1)
    input_names, output_names = flatbuffer.signature_names(content)
    inputs = _specs(interpreter.get_input_details(), input_names)
    outputs = _specs(interpreter.get_output_details(), output_names)
    # An image of one pixel, which open sizes start with, may be too small to run.
    if not any(spec.has_open_sizes for spec in inputs):
        interpreter.allocate_tensors()
    return inputs, outputs


def _specs(details: list[Any], names: list[str]) -> tuple[TensorSpec, ...]:
    pairs = itertools.zip_longest(details, names)  # Some files have no names.
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
