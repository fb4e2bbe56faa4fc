"""The KerasTuner hypermodel whose trials compress copies of a trained model."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras_tuner
from keras_tuner.errors import FatalValueError

from keras_prune_kit import _keras
from keras_prune_kit._keras.datasets import as_arrays, check_rereadable
from keras_prune_kit._tools.chatter import without_tracing_advice
from keras_prune_kit._tools.checks import (
    MAX_ACCURACY_DROP,
    SEARCHED_SPARSITY,
    check_decision,
    check_drop,
)
from keras_prune_kit.compression.attempt import Setting
from keras_prune_kit.compression.scales import warn_of_other_scales
from keras_prune_kit.structures import Structure, Unstructured
from keras_prune_kit.tflite import check_exportable, check_samples
from keras_prune_kit.tuning.artifacts import check_judge, claim, write
from keras_prune_kit.tuning.baseline import Baseline
from keras_prune_kit.tuning.durable_oracle import keep_whole
from keras_prune_kit.tuning.first_trials import (
    begin_with,
    can_begin,
    first_values,
    has_densities,
)
from keras_prune_kit.tuning.objectives import (
    check_aim,
    value_of,
    without_unnameable,
)
from keras_prune_kit.tuning.space import PolicyTemplate, Space
from keras_prune_kit.tuning.trial import Trial, check_data
from keras_prune_kit.tuning.trial_context import TrialContext

_EPOCHS = 3
_ANY = ("dynamic",)  # until the model tells which it can have
_DATA = ("x", "y", "sample_weight", "validation_data")
# The positional arguments of Keras' `fit`, which `search` passes on.
_FIT_ORDER = ("x", "y", "batch_size", "epochs", "verbose")


class CompressionHyperModel(keras_tuner.HyperModel):
    """Hypermodel with which KerasTuner searches for the smallest sufficient .tflite.

    A trial copies the baseline, which itself is never trained. It prunes the copy
    during fine-tuning, keeps the best epoch at the target sparsity, exports it and
    measures the file. An objective can name any of the measures: `gzip_bytes`,
    `size_ratio`, `file_bytes`, `sparsity`, `tflite_accuracy`, `accuracy_drop`,
    `latency_ms` and `macs`. `tflite_accuracy` is the file's value of the metric that
    decides, even if that is not an accuracy. If the tuner has no objective, the
    smallest file within `max_accuracy_drop` wins.

    First, the search prunes the baseline at once, to several densities, and repairs
    what is left without training, which takes seconds. The first trials are around the
    density that training can follow from there, the mildest first; they are at most
    half of `max_trials`. With KerasTuner's own tuners they come after the first trial,
    and a grid search keeps its order. A trial goes on from the weights of the sparsest
    earlier one that is good enough, has no more zeros and as many bits; without one, it
    starts repaired if training can follow. It stops early if it can no longer hold
    `max_accuracy_drop`, or reach what a smaller file has reached.

    Any KerasTuner tuner accepts it. Each folder `trial_N` contains `model.keras`,
    `model.tflite` and `compression.json`, and `get_best_models` returns the model that
    the file was exported from. A `tf_keras` baseline needs `kpk.CompressionTuner`.
    Trials of a baseline on the JAX or torch backend train on that backend; their files
    are exported as in `export_tflite`, and `"qat"` choices are refused.

    Args:
        baseline: A trained and compiled `keras` or `tf_keras` model, the path of one,
            or a function without arguments that returns one (called for each copy, if
            Keras cannot copy the model).
        sparsity: The lowest and the highest final sparsity, 0 to 1. Defaults to
            `(0.5, 0.99)`.
        quantization: The choices, preferably from the largest to the smallest file:
            those of `export_tflite`, and `"qat8"` down to `"qat2"` (Keras 3 only) for
            quantization-aware training with that many bits per weight. Defaults to
            `None`: `"dynamic"`, with `representative_data` `"int8"`, and `"qat4"` if
            the baseline can be trained so.
        representative_data: Samples to calibrate `"int8"` and `"int16x8"` with.
            Defaults to `None`.
        max_accuracy_drop: The largest accepted drop of the metric that decides. If more
            is better, it is absolute, in the unit of the metric. For an error, it is
            relative to the baseline's error (0.01: at most one percent more), or
            absolute if that is below 1e-6. Defaults to 0.01.
        groups: The number of groups that layers are divided into by depth, each with a
            sparsity of its own. Defaults to 3.
        structures: Structures to choose from. Weights that a structure does not fit are
            pruned unstructured. Defaults to `[Unstructured()]`.
        policy: A function from `keras_tuner.HyperParameters` to a `PrunePolicy`, for a
            search space of your own; `sparsity`, `groups` and `structures` are ignored
            then. Defaults to `None`.
        channels: The lowest and the highest fraction of the channels that a trial takes
            out of the model before it trains, below 1, such as `(0.0, 0.75)`: these
            files are faster, too. The hyperparameter is named `channels`. Defaults to
            `None`: all stay.
        objective: The metric that decides which file is good enough, by its name in
            `evaluate`, such as `"f1_score"`, `"price_mae"` or `"loss"`. Defaults to
            `None`: the first that the baseline was compiled with.
        mode: `"max"` if more of that metric is better, `"min"` if less is. Defaults to
            `"auto"`: the direction of the Keras metric, or for other metrics the one
            that a word of the name implies, such as accuracy or error.

    Raises:
        ExportError: If the baseline has string inputs, which .tflite does not support.
        ImportError: If a package for `"int4"` is not installed.
        OSError: If the file does not exist.
        TypeError: If an argument is of the wrong kind.
        ValueError: If the baseline is not compiled with a metric or not trained, or an
            argument is out of range. From the search, before it trains, if the mode of
            the metric is unknown.

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
        sparsity: tuple[float, float] = SEARCHED_SPARSITY,
        quantization: Sequence[str] | None = None,
        representative_data: Any = None,
        max_accuracy_drop: float = MAX_ACCURACY_DROP,
        groups: int = 3,
        structures: Sequence[Structure] = (Unstructured(),),
        policy: PolicyTemplate | None = None,
        channels: tuple[float, float] | None = None,
        objective: str | None = None,
        mode: str = "auto",
    ) -> None:
        super().__init__()
        check_drop("max_accuracy_drop", max_accuracy_drop)
        self.max_accuracy_drop = max_accuracy_drop
        check_decision(objective, mode)
        # Mistakes in it are told before those in the baseline.
        named = _ANY if quantization is None else quantization
        space = Space(sparsity, named, groups, structures, policy, channels)
        self._baseline = Baseline(baseline, objective, mode)
        if quantization is None:
            has_samples = representative_data is not None
            quantization = self._baseline.quantizations(has_samples)
        self._space = replace(space, quantization=quantization)
        if self._space.is_calibrated and representative_data is None:
            raise ValueError(
                "quantization 'int8' and 'int16x8' need representative_data to find "
                "the range of activations. Received: None. Pass some 100 typical "
                f"inputs, or leave these out of quantization={tuple(quantization)}."
            )
        check_exportable(self._baseline.model)
        if representative_data is not None:
            check_rereadable(representative_data, "representative_data")
            check_samples(self._baseline.model, representative_data)
        self._representative_data = representative_data
        self._arrays: dict[str, tuple[Any, Any]] = {}
        self._baseline.check_quantizable(self._space.weight_bits)
        # Only for its errors: within a trial, KerasTuner would note them and go on.
        self.choose(keras_tuner.HyperParameters())

    @property
    def baseline(self) -> Any:
        """The trained model, which the search does not change."""
        return self._baseline.model

    def build(self, hp: keras_tuner.HyperParameters) -> Any:
        """Return a copy of the baseline for a trial.

        Args:
            hp: The hyperparameters.

        Raises:
            FatalValueError: If the baseline is a `tf_keras` model.
        """
        if _keras.is_tf_keras(self.baseline):
            raise FatalValueError(
                "KerasTuner's own tuners accept only Keras 3 models. Received: a "
                "baseline of tf_keras. Use kpk.CompressionTuner(oracle=..., "
                "hypermodel=...)."
            )
        return self.copy(hp)

    def copy(self, hp: keras_tuner.HyperParameters) -> Any:
        """Return a copy of the baseline for a trial; it may be a `tf_keras` model.

        Args:
            hp: The hyperparameters.

        Returns:
            A compiled model, quantization-aware if `hp` chooses a `"qat"` quantization.
        """
        setting = self.choose(hp)
        return self._baseline.copy(setting.weight_bits, setting.thinning)

    def fit(
        self, hp: keras_tuner.HyperParameters, model: Any, *args: Any, **kwargs: Any
    ) -> dict[str, float]:
        """Run one trial: prune, fine-tune, export and measure.

        Args:
            hp: The hyperparameters.
            model: The copy that `build` returned.
            *args: The arguments of `search`, as for `model.fit`.
            **kwargs: Likewise; `validation_data` is required. `epochs` defaults to 3.

        Returns:
            The measures, and the value of the objective.

        Raises:
            FatalValueError: If the data or the objective cannot be used.
        """
        arguments = self._arguments(args, kwargs)
        arguments.setdefault("epochs", _EPOCHS)
        context, arguments["callbacks"] = TrialContext.found_in(
            arguments.get("callbacks", ()), model
        )
        check_data(arguments)
        samples = {"representative_data": self._representative_data}
        validation_data = arguments["validation_data"]
        warn_of_other_scales(self.baseline, validation_data, samples, stacklevel=1)
        if context:
            # Here, as KerasTuner's own tuners have no earlier hook for a hypermodel.
            self.claim(context.folder.parent)
            self._check_aim(context, arguments["validation_data"])
            keep_whole(context.tuner.oracle)
            self._begin(context.tuner.oracle, arguments)
        trial = Trial(
            self._baseline,
            self.choose(hp),
            self._representative_data,
            self.max_accuracy_drop,
            context and context.folder,
        )
        with without_tracing_advice():
            measures, exported, record = trial.run(model, arguments)
        if not context:
            return measures
        allowance = self._baseline.allowance_on(
            arguments["validation_data"], self.max_accuracy_drop
        )
        value = value_of(
            context.objective, measures, allowance.max_drop, allowance.unit
        )
        # Of several executions of a trial, the folder keeps the best.
        if context.is_best(value):
            record = {"hyperparameters": dict(hp.values), **record}
            write(context.folder, model, exported, record)
        told = without_unnameable(measures, context.objective)
        return {**told, context.objective.name: value}

    def choose(self, hp: keras_tuner.HyperParameters) -> Setting:
        """Return the settings of a trial.

        Args:
            hp: The hyperparameters; the search space is registered in them.
        """
        model = self._baseline.thinned(self._space.thinning(hp))
        return self._space.choose(hp, model)

    def begin(self, oracle: Any, *args: Any, **kwargs: Any) -> None:
        """Let a search begin near the density that training can follow.

        `CompressionTuner` calls it. With KerasTuner's own tuners, it takes effect after
        the first trial.

        Args:
            oracle: The oracle of the search. One without random trials, such as that
                of a grid search, stays as it is.
            *args: The arguments of `search`.
            **kwargs: Likewise.
        """
        arguments = self._arguments(args, kwargs)
        if arguments.get("x") is not None:  # Its absence is an error of the trial.
            self._begin(oracle, arguments)

    def _begin(self, oracle: Any, arguments: dict[str, Any]) -> None:
        if not can_begin(oracle):
            return
        space = oracle.get_space()
        density = None
        if has_densities(space):
            density = self._baseline.density_for(arguments["x"])
        begin_with(oracle, [] if density is None else first_values(space, density))

    def _arguments(self, args: Sequence[Any], kwargs: dict[str, Any]) -> dict[str, Any]:
        """Return the arguments of `search` by name, the data as arrays."""
        arguments = {**dict(zip(_FIT_ORDER, args, strict=False)), **kwargs}
        return arguments | self._in_arrays(arguments)

    def _check_aim(self, context: TrialContext, validation_data: Any) -> None:
        """Check before training that the objective and the metric fit together."""
        evaluation, _ = self._baseline.scored_on(validation_data)
        metric, mode = evaluation.metric, evaluation.known_mode()
        check_aim(context.objective, metric, mode)
        check_judge(context.folder.parent, metric, mode)

    def claim(self, folder: str | os.PathLike[str]) -> None:
        """Reserve a project folder for this search, or check that it belongs to it.

        Args:
            folder: The folder that a tuner creates for a project.

        Raises:
            FatalValueError: If it contains the trials of another search.
        """
        identity = {
            "baseline": self._baseline.digest,
            **self._space.describe(),
            "max_accuracy_drop": self.max_accuracy_drop,
        }
        claim(Path(folder), identity)

    def _in_arrays(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """Convert the tensors and data frames in arguments of `fit` to arrays, once.

        `Baseline.scored_on` recognizes data by identity, so all trials must get the
        same arrays.
        """
        for name in _DATA:
            given = arguments.get(name)
            if name not in self._arrays or self._arrays[name][0] is not given:
                self._arrays[name] = given, as_arrays(given, name)
        return {name: self._arrays[name][1] for name in arguments if name in _DATA}
