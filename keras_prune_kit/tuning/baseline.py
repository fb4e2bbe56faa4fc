"""The trained model that every trial starts from."""

from __future__ import annotations

import functools
import hashlib
import logging
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras_tuner.errors import FatalValueError

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import check_rereadable, is_arrays
from keras_prune_kit._tools.checks import check_objective
from keras_prune_kit._tools.quantizations import TRAINED
from keras_prune_kit.compression.attempt import copy_for, prunes_while_quantized
from keras_prune_kit.compression.repairing import repair_samples
from keras_prune_kit.compression.sounding import followed_density
from keras_prune_kit.compression.thinning import Thinning
from keras_prune_kit.measuring.evaluation import Evaluation, warn_of_few_samples
from keras_prune_kit.measuring.sizes import gzip_bytes
from keras_prune_kit.policies import WeightBits
from keras_prune_kit.reports import Allowance

_log = logging.getLogger(__name__)

_TRIED_SAMPLES = 8
_FEW_BITS = "qat4"


class Baseline:
    """A trained model, measured once and copied for each trial.

    Args:
        source: A trained and compiled model, the path of one, or a function without
            arguments that returns one.
        objective: The metric that decides, by its name in `evaluate`. Defaults to
            `None`: the first metric of the model.
        mode: `"max"` if more of it is better, `"min"` if less is. Defaults to `"auto"`.

    Raises:
        OSError: If the file does not exist.
        TypeError: If `source` is neither a model, a path nor a function.
        ValueError: If the model is not built, not compiled with a metric, or not
            trained; or, where Keras has created its metrics already, if `objective` is
            not among them or the mode of the deciding one is unknown.
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
        self._thinned: dict[Thinning, Any] = {}
        self._scored: tuple[Any, Evaluation, float] | None = None
        _keras.world(self.model, "baseline")
        _keras.check_built(self.model)
        _check_compiled(self.model, objective)
        _check_trained(self.model)
        self._decision = {"objective": objective, "mode": mode}
        _check_decidable(self.model, objective, mode)

    @functools.cached_property
    def gzip_bytes(self) -> int:
        """The gzipped size of the weights as an .h5 file, in bytes."""
        return gzip_bytes(self.model)

    @functools.cached_property
    def digest(self) -> str:
        """A hash that identifies the weights."""
        digest = hashlib.sha256()
        for array in self.model.get_weights():
            # The same bytes may be arrays of other shapes.
            digest.update(f"{array.shape}{array.dtype}".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        # 64 bits are enough to tell the models of one folder apart.
        return digest.hexdigest()[:16]

    def thinned(self, thinning: Thinning | None) -> Any:
        """Return the baseline without the channels that leave, which must not change.

        Args:
            thinning: These channels; `None` for the baseline itself.
        """
        if thinning is None:
            return self.model
        if thinning not in self._thinned:
            # Only the last one: a search tries as many as it has trials.
            self._thinned = {thinning: thinning.at_once(self.model)}
        return self._thinned[thinning]

    def copy(
        self, weight_bits: WeightBits | None = None, thinning: Thinning | None = None
    ) -> Any:
        """Return a copy to train, compiled like the baseline with a new optimizer.

        Args:
            weight_bits: Bits per weight of a quantization-aware copy. Defaults to
                `None`: an ordinary copy.
            thinning: The channels that the copy does without. Defaults to `None`: none.

        Raises:
            ValueError: If Keras cannot copy the model, or it cannot be trained
                quantization-aware.
        """
        try:
            return copy_for(self.thinned(thinning), weight_bits)
        except ValueError:
            # The function of the user builds ordinary models only.
            is_ordinary = weight_bits is None and thinning is None
            if not is_ordinary or self._build is None:
                raise
        copied = self._build()
        _keras.copy_state(self.model, copied)
        _keras.compile_like(self.model, copied)
        return copied

    def quantizations(self, has_samples: bool) -> tuple[str, ...]:
        """Return the choices that small files of this model can have.

        Args:
            has_samples: True if there are samples to calibrate with.
        """
        names = ("dynamic", "int8") if has_samples else ("dynamic",)
        try:
            self.check_quantizable([TRAINED[_FEW_BITS]])
        except ValueError as error:
            _log.debug("No trial has weights of few bits: %s", error)
            return names
        return (*names, _FEW_BITS)

    def check_quantizable(self, weight_bits: Sequence[int]) -> None:
        """Raise a `ValueError` if copies cannot be pruned while trained quantized."""
        if weight_bits and not prunes_while_quantized(self.model):
            raise ValueError(
                "Pruning during quantization-aware training needs a Keras 3 model. "
                f"Received: 'qat{weight_bits[0]}' with a baseline of tf_keras. Remove "
                "it from quantization."
            )
        for bits in weight_bits:
            # Only for its errors, before the search begins.
            self.copy(bits)

    def density_for(self, x: Any) -> float | None:
        """Return the lowest density that training can follow; `None` if unknown.

        Args:
            x: The training inputs, arrays or a dataset.
        """
        data = (x,) if is_arrays(x) else x
        try:
            check_rereadable(x, "x")
            return followed_density(self.model, repair_samples(self.model, data))
        except (TypeError, ValueError) as error:
            _log.debug("The model cannot be repaired: %s", error)
            return None

    def scored_on(self, data: Any) -> tuple[Evaluation, float]:
        """Return the evaluation on these data, and the baseline's score in it.

        Both are computed once, as every trial passes the same data.

        Args:
            data: Data as `evaluate` accepts them.

        Raises:
            ValueError: If the data can be read only once.
            FatalValueError: If the baseline cannot be evaluated on them, the mode of
                the deciding metric is unknown, or a copy computes something else.
        """
        # By identity: comparing large arrays takes long, and trials pass the same ones.
        if self._scored is None or self._scored[0] is not data:
            check_rereadable(data, "validation_data")
            # Keras accepts validation data as a list, too.
            data_once = tuple(data) if isinstance(data, list) else data
            evaluation = Evaluation(data_once, self.model, **self._decision)
            score = _score(evaluation, self.model)
            warn_of_few_samples(data_once, "validation_data")
            try:
                evaluation.known_mode()
                samples = evaluation.inputs(_TRIED_SAMPLES)
                _keras.check_copy(self.model, self.copy(), samples)
            except ValueError as error:
                raise FatalValueError(str(error)) from error
            self._scored = data, evaluation, score
        return self._scored[1:]

    def allowance_on(self, data: Any, max_drop: float) -> Allowance:
        """Return the accepted drop from the baseline's score on these data.

        Args:
            data: Data as `evaluate` accepts them.
            max_drop: The largest accepted drop.

        Raises:
            ValueError: As in `scored_on`.
        """
        evaluation, score = self.scored_on(data)
        return Allowance(score, max_drop, evaluation.known_mode())


def _score(evaluation: Evaluation, model: Any) -> float:
    """Return a model's deciding metric; errors are fatal, as all trials would fail."""
    try:
        return evaluation.keras(model)[evaluation.metric]
    except Exception as error:  # Keras and TensorFlow raise their own classes.
        raise FatalValueError(
            "The baseline cannot be evaluated on validation_data with the metrics "
            f"that it is compiled with: {error}"
        ) from error


def _is_function(source: Any) -> bool:
    """Return True for a function that builds a model; models are callable, too."""
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
    """Check the deciding metric, if Keras has created the model's metrics already."""
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
    """Raise a `ValueError` if the model looks untrained.

    Training moves biases and moving averages away from their initial zeros and ones.
    """
    vectors = [np.asarray(array) for array in model.get_weights()]
    # Kernels begin at random values, which tell nothing.
    vectors = [array for array in vectors if array.ndim == 1 and array.size]
    is_fresh = all(((v == v[0]) & np.isin(v, (0, 1))).all() for v in vectors)
    # Loaded weights are trained, too, but by an optimizer that is gone.
    if int(model.optimizer.iterations) == 0 and vectors and is_fresh:
        raise ValueError(
            f"The baseline, model '{model.name}', must be trained: every bias in it "
            "has the value that it started from. Call fit first, or load its weights."
        )
