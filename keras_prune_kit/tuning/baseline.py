"""The trained model that every trial starts from."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras_tuner.errors import FatalValueError

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import check_rereadable
from keras_prune_kit._tools.checks import check_objective
from keras_prune_kit.compression.attempt import copy_for, prunes_while_quantized
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.measuring.sizes import gzip_bytes
from keras_prune_kit.reports import Allowance

_TRIED_SAMPLES = 8


class Baseline:
    """A trained model, measured once and copied for each trial.

    Args:
        source: A trained and compiled model, the path of one, or a function without
            arguments that gives one.
        objective: The metric that decides, as `evaluate` calls it. Defaults to `None`:
            the model's first.
        mode: `"max"` if more of it is better, `"min"` if less is. Defaults to `"auto"`.

    Raises:
        OSError: If there is no such file.
        TypeError: If it is none of these.
        ValueError: If the model is not built, not compiled with a metric, or not
            trained; or what decides is known to be none of its metrics or one of which
            nobody knows the mode.
    """

    def __init__(
        self, source: Any, objective: str | None = None, mode: str = "auto"
    ) -> None:
        self._build: Callable[[], Any] | None = None
        if _is_function(source):
            self._build = source
            self.model = source()
        else:
            self.model = _keras.opened(source, compiled=True)
        self._scored: tuple[Any, Evaluation, float] | None = None
        _keras.world(self.model, "baseline")
        _keras.check_built(self.model)
        _check_compiled(self.model, objective)
        _check_trained(self.model)
        self._decision = {"objective": objective, "mode": mode}
        _check_decidable(self.model, objective, mode)

    @functools.cached_property
    def gzip_bytes(self) -> int:
        """The size of its weights as an .h5 file, gzipped."""
        return gzip_bytes(self.model)

    @functools.cached_property
    def digest(self) -> str:
        """A name for its weights."""
        digest = hashlib.sha256()
        for array in self.model.get_weights():
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def copy(self, weight_bits: int | None = None) -> Any:
        """A copy to train, compiled alike with a fresh optimizer.

        Args:
            weight_bits: What `quantize_aware` takes, for a copy that trains quantized.
                Defaults to `None`: an ordinary copy.

        Raises:
            ValueError: If Keras cannot copy it, or it cannot be trained quantized.
        """
        try:
            return copy_for(self.model, weight_bits)
        except ValueError:
            if weight_bits is not None or self._build is None:
                raise
        copied = self._build()
        _keras.copy_state(self.model, copied)
        _keras.compile_like(self.model, copied)
        return copied

    def check_quantizable(self, weight_bits: Sequence[int]) -> None:
        """Raises a `ValueError` if it cannot be pruned as it trains quantized."""
        if weight_bits and not prunes_while_quantized(self.model):
            raise ValueError(
                "Pruning and quantization can be trained together in Keras 3 alone. "
                f"Received: 'qat{weight_bits[0]}' with a baseline of tf_keras. Leave "
                "it out of quantization."
            )
        for bits in weight_bits:
            self.copy(bits)

    def scored_on(self, data: Any) -> tuple[Evaluation, float]:
        """What scores models on these data, and what it says of the baseline.

        Both are found once, as each trial brings the same data.

        Args:
            data: What `evaluate` takes.

        Raises:
            ValueError: If the data can be read only once, or nobody knows whether more
                or less of the metric that decides is better.
        """
        if self._scored is None or self._scored[0] is not data:
            check_rereadable(data, "validation_data")
            data_once = tuple(data) if isinstance(data, list) else data
            evaluation = Evaluation(data_once, self.model, **self._decision)
            score = _score(evaluation, self.model)
            try:
                evaluation.known_mode()
                samples = evaluation.inputs(_TRIED_SAMPLES)
                _keras.check_copy(self.model, self.copy(), samples)
            except ValueError as error:
                raise FatalValueError(str(error)) from error
            self._scored = data, evaluation, score
        return self._scored[1:]

    def allowance_on(self, data: Any, max_drop: float) -> Allowance:
        """What may be lost of what the baseline has on these data.

        Args:
            data: What `evaluate` takes.
            max_drop: How much may be lost.

        Raises:
            ValueError: As by `scored_on`.
        """
        evaluation, score = self.scored_on(data)
        return Allowance(score, max_drop, evaluation.known_mode())


def _score(evaluation: Evaluation, model: Any) -> float:
    """What decides. No trial can do what the baseline cannot, so an error is fatal."""
    try:
        return evaluation.keras(model)[evaluation.metric]
    except Exception as error:  # Keras and TensorFlow have one each.
        raise FatalValueError(
            "The baseline cannot be evaluated on validation_data with the metrics "
            f"that it is compiled with: {error}"
        ) from error


def _is_function(source: Any) -> bool:
    """Whether it builds a model and is none; models can be called too."""
    try:
        _keras.world(source)
    except TypeError:
        return callable(source) and not isinstance(source, type)
    return False


def _check_compiled(model: Any, objective: str | None) -> None:
    if not _keras.is_compiled(model):
        raise ValueError(
            f"The baseline, model '{model.name}', must be compiled, so that its copies "
            "can be trained. Call model.compile(optimizer, loss, metrics) first."
        )
    if objective is None and not _keras.has_metrics(model):
        raise ValueError(
            f"The baseline, model '{model.name}', must be compiled with a metric to "
            "judge trials by. Add metrics=['accuracy'] to model.compile(...), or pass "
            "objective='loss'."
        )


def _check_decidable(model: Any, objective: str | None, mode: str) -> None:
    """Finds out what decides as far as Keras has made the metrics already."""
    logged = _keras.logged_metrics(model)
    names = _keras.metric_names(model, logged)
    if not names:
        return
    if objective is not None:
        check_objective(objective, logged)
    if mode == "auto":
        metric = objective or names[0]
        _keras.known_direction(metric, _keras.metric_direction(model, metric))


def _check_trained(model: Any) -> None:
    """Training moves biases and averages from where all of them start."""
    vectors = [np.asarray(array) for array in model.get_weights()]
    vectors = [array for array in vectors if array.ndim == 1 and array.size]
    is_fresh = all(((v == v[0]) & np.isin(v, (0, 1))).all() for v in vectors)
    if int(model.optimizer.iterations) == 0 and vectors and is_fresh:
        raise ValueError(
            f"The baseline, model '{model.name}', must be trained: every bias in it "
            "has the value that it started from. Call fit first, or load its weights."
        )
