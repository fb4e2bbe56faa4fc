"""The hypermodel: what KerasTuner searches when it searches for a smaller file."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.errors import FatalValueError

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import as_arrays, check_rereadable
from keras_prune_kit._tools.checks import check_decision
from keras_prune_kit.compression.attempt import Setting
from keras_prune_kit.structures import Structure, Unstructured
from keras_prune_kit.tflite import check_exportable, check_samples
from keras_prune_kit.tuning.artifacts import check_judge, claim, write
from keras_prune_kit.tuning.baseline import Baseline
from keras_prune_kit.tuning.durable_oracle import keep_whole
from keras_prune_kit.tuning.objectives import (
    check_aim,
    check_drop,
    value_of,
    without_unnameable,
)
from keras_prune_kit.tuning.space import PolicyTemplate, Space
from keras_prune_kit.tuning.trial import Trial, check_data
from keras_prune_kit.tuning.trial_context import TrialContext

_EPOCHS = 3
_DATA = ("x", "y", "sample_weight", "validation_data")
_FIT_ORDER = ("x", "y", "batch_size", "epochs", "verbose")


class CompressionHyperModel(keras_tuner.HyperModel):
    """Lets KerasTuner search for the smallest .tflite that is good enough.

    A trial copies the baseline (which is never trained again), prunes the copy while it
    is fine-tuned, keeps the best epoch at the target sparsity, exports that and
    measures the file: `gzip_bytes`, `size_ratio`, `file_bytes`, `sparsity`,
    `tflite_accuracy`, `accuracy_drop` and `latency_ms` are what an objective can name.
    Without an objective of the tuner the smallest file within `max_accuracy_drop` wins;
    `tflite_accuracy` is the metric that decides, whichever it is. What is
    searched is the density (1 - sparsity) of each group of layers, `density_1of3` and
    so on; the global ranking, which is a choice of `structure`, leaves as many weights
    as the groups together would, where they matter most.

    Any KerasTuner tuner takes it. Its folder `trial_N` then has `model.keras`,
    `model.tflite` and `compression.json`, and `get_best_models` gives the very model
    that the file was made of. A `tf_keras` baseline needs `kpk.CompressionTuner`.

    Args:
        baseline: A trained and compiled model of either world, the path of one, or a
            function without arguments that gives one (called again for each copy, if
            Keras cannot copy the model).
        sparsity: The lowest and the highest final sparsity, 0 to 1. Defaults to
            `(0.5, 0.95)`.
        quantization: What to choose from, best from the largest to the smallest file:
            those of `export_tflite`, and `"qat8"` down to `"qat2"` for a model that is
            trained quantized (Keras 3 alone) with so many bits a weight, as by
            `quantize_aware`. Defaults to `("none", "float16", "dynamic", "int8")`.
        representative_data: Samples to calibrate `"int8"` and `"int16x8"` with.
            Defaults to `None`.
        max_accuracy_drop: How much may be lost of the metric that decides. Of an
            accuracy or another metric of which more is better that is a difference in
            its own unit; of an error it is relative to the baseline's (at most one
            percent more), or in its own unit where the baseline has less than 1e-6 of
            it. A trial that cannot get there any more stops early. Defaults to 0.01.
        groups: Into how many groups layers are put by depth, each with a sparsity of
            its own. Defaults to 3.
        structures: Structures to choose from. Weights that one does not fit are pruned
            one by one. Defaults to `[Unstructured()]`.
        policy: A function that takes `keras_tuner.HyperParameters` and gives a
            `PrunePolicy`, to choose by rules of your own; `sparsity`, `groups` and
            `structures` do not count then. Defaults to `None`.
        objective: The metric that decides which file is good enough, as `evaluate`
            calls it, such as `"f1_score"`, `"price_mae"` or `"loss"`. Defaults to
            `None`: the first that the baseline was compiled with.
        mode: `"max"` if more of that metric is better, `"min"` if less is. Defaults to
            `"auto"`: what Keras says of its own metrics and those derived from them, of
            others a word of the metric's name, such as accuracy or error.

    Raises:
        ExportError: If the baseline takes texts, which no .tflite does.
        OSError: If there is no such file.
        TypeError: If an argument is of the wrong kind.
        ValueError: If the baseline is not compiled with a metric or not trained, or the
            arguments are not possible. From the search, before it trains, if nobody
            knows whether more or less of the metric is better.

    Example:

    ```python
    hypermodel = kpk.CompressionHyperModel(model, representative_data=x[:200])
    tuner = keras_tuner.BayesianOptimization(hypermodel, max_trials=20)
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=3)
    print(kpk.pareto_front(tuner))
    ```
    """

    def __init__(
        self,
        baseline: Any,
        *,
        sparsity: tuple[float, float] = (0.5, 0.95),
        quantization: Sequence[str] = ("none", "float16", "dynamic", "int8"),
        representative_data: Any = None,
        max_accuracy_drop: float = 0.01,
        groups: int = 3,
        structures: Sequence[Structure] = (Unstructured(),),
        policy: PolicyTemplate | None = None,
        objective: str | None = None,
        mode: str = "auto",
    ) -> None:
        super().__init__()
        self._space = Space(sparsity, quantization, groups, structures, policy)
        check_drop("max_accuracy_drop", max_accuracy_drop)
        self.max_accuracy_drop = max_accuracy_drop
        check_decision(objective, mode)
        if self._space.is_calibrated and representative_data is None:
            raise ValueError(
                "quantization 'int8' and 'int16x8' need representative_data to find "
                "the range of activations. Received: None. Pass some 100 typical "
                f"inputs, or leave these out of quantization={tuple(quantization)}."
            )
        self._baseline = Baseline(baseline, objective, mode)
        check_exportable(self._baseline.model)
        if representative_data is not None:
            check_rereadable(representative_data, "representative_data")
            check_samples(self._baseline.model, representative_data)
        self._representative_data = representative_data
        self._arrays: dict[str, tuple[Any, Any]] = {}
        self._baseline.check_quantizable(self._space.weight_bits)
        self._space.choose(keras_tuner.HyperParameters(), self._baseline.model)

    @property
    def baseline(self) -> Any:
        """The trained model. It stays as it is."""
        return self._baseline.model

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        """Copies the baseline for a trial.

        Args:
            hp: The hyperparameters.

        Raises:
            ValueError: If the baseline is of `tf_keras`.
        """
        if _keras.is_tf_keras(self.baseline):
            raise FatalValueError(
                "KerasTuner's own tuners take Keras 3 models alone. Received a "
                "baseline of tf_keras. Use kpk.CompressionTuner(oracle=..., "
                "hypermodel=...)."
            )
        return self.copy(hp)

    def copy(self, hp: keras_tuner.HyperParameters) -> Any:
        """Copies the baseline for a trial, whichever world it is from.

        Args:
            hp: The hyperparameters.

        Returns:
            A compiled model; one that trains quantized, if `hp` says so.
        """
        return self._baseline.copy(self.choose(hp).weight_bits)

    def fit(
        self, hp: keras_tuner.HyperParameters, model: Any, *args: Any, **kwargs: Any
    ) -> dict[str, float]:
        """Fine-tunes, prunes, exports and measures: one trial.

        Args:
            hp: The hyperparameters.
            model: What `build` gave.
            *args: What `search` was given: as for `model.fit`.
            **kwargs: Likewise; `validation_data` must be among them. `epochs` defaults
                to 3.

        Returns:
            What was measured, and the value of the objective.

        Raises:
            FatalValueError: If the data or the objective are not possible.
        """
        arguments = {**dict(zip(_FIT_ORDER, args, strict=False)), **kwargs}
        arguments |= self._in_arrays(arguments)
        arguments.setdefault("epochs", _EPOCHS)
        context, arguments["callbacks"] = TrialContext.found_in(
            arguments.get("callbacks", ()), model
        )
        check_data(arguments)
        if context:
            self.claim(context.folder.parent)
            self._check_aim(context, arguments["validation_data"])
            keep_whole(context.tuner.oracle)
        trial = Trial(
            self._baseline,
            self.choose(hp),
            self._representative_data,
            self.max_accuracy_drop,
        )
        measures, exported, record = trial.run(model, arguments)
        if not context:
            return measures
        allowance = self._baseline.allowance_on(
            arguments["validation_data"], self.max_accuracy_drop
        )
        value = value_of(
            context.objective, measures, allowance.max_drop, allowance.unit
        )
        if context.is_best(value):
            record = {"hyperparameters": dict(hp.values), **record}
            write(context.folder, model, exported, record)
        told = without_unnameable(measures, context.objective)
        return {**told, context.objective.name: value}

    def choose(self, hp: keras_tuner.HyperParameters) -> Setting:
        """Asks the hyperparameters what a trial does.

        Args:
            hp: The hyperparameters, which learn of their space this way.
        """
        return self._space.choose(hp, self.baseline)

    def _check_aim(self, context: TrialContext, validation_data: Any) -> None:
        """Finds out before it trains whether the search can be judged so."""
        evaluation, _ = self._baseline.scored_on(validation_data)
        metric, mode = evaluation.metric, evaluation.known_mode()
        check_aim(context.objective, metric, mode)
        check_judge(context.folder.parent, metric, mode)

    def claim(self, folder: str | os.PathLike[str]) -> None:
        """Finds out whether a folder is free for this search, or has the begin of it.

        Args:
            folder: The folder that a tuner makes for a project.

        Raises:
            FatalValueError: If it holds the trials of another one.
        """
        identity = {
            "baseline": self._baseline.digest,
            **self._space.describe(),
            "max_accuracy_drop": self.max_accuracy_drop,
        }
        claim(Path(folder), identity)

    def _in_arrays(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Turn the tensors and frames among the arguments of `fit` into arrays, once.

        Each trial brings the same ones, and what is found out about them is kept.
        """
        for name in _DATA:
            given = arguments.get(name)
            if name not in self._arrays or self._arrays[name][0] is not given:
                self._arrays[name] = given, as_arrays(given, name)
        return {name: self._arrays[name][1] for name in arguments if name in _DATA}
