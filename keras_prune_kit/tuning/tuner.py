"""A KerasTuner tuner for `keras` and `tf_keras` models."""

from __future__ import annotations

import contextlib
import copy
import os
from typing import Any

import keras_tuner

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import as_path, check_flag
from keras_prune_kit.callbacks.sparsity_summaries import EventFile
from keras_prune_kit.tuning.artifacts import WEIGHTS
from keras_prune_kit.tuning.durable_oracle import keep_whole, settle, write_json
from keras_prune_kit.tuning.hyper_model import CompressionHyperModel
from keras_prune_kit.tuning.trial_context import TrialContext


class CompressionTuner(keras_tuner.Tuner):
    """Tuner for a `CompressionHyperModel` with a `keras` or `tf_keras` baseline.

    KerasTuner's own tuners reject `tf_keras` models; for a Keras 3 baseline, use any of
    them. The oracle is the search strategy: `keras_tuner.oracles` has one for each of
    KerasTuner's tuners.

    Args:
        oracle: The search strategy, such as
            `keras_tuner.oracles.BayesianOptimizationOracle(max_trials=20)`.
        hypermodel: A `CompressionHyperModel`.
        directory: The folder to create the project folder in. Defaults to `None`: the
            current one.
        project_name: The name of the project folder. Defaults to `None`: KerasTuner's.
        distribution_strategy: A `tf.distribute.Strategy` of one machine, to train
            trials with. Defaults to `None`.
        tuner_id: The name of this worker. Defaults to `None`: KERASTUNER_TUNER_ID.
        overwrite: If True, discard an existing search in the project folder. Defaults
            to `False`: resume it.

    Raises:
        TypeError: If an argument is of the wrong kind.

    Example:

    ```python
    oracle = keras_tuner.oracles.RandomSearchOracle(max_trials=20)
    tuner = kpk.CompressionTuner(oracle=oracle, hypermodel=hypermodel)
    tuner.search(x, y, validation_data=(x_val, y_val), epochs=3)
    best = tuner.get_best_models()[0]
    ```
    """

    hypermodel: CompressionHyperModel

    def __init__(
        self,
        oracle: keras_tuner.Oracle,
        hypermodel: CompressionHyperModel,
        *,
        directory: str | os.PathLike[str] | None = None,
        project_name: str | None = None,
        distribution_strategy: Any = None,
        tuner_id: str | None = None,
        overwrite: bool = False,
    ) -> None:
        if not isinstance(hypermodel, CompressionHyperModel):
            raise TypeError(
                "hypermodel must be a CompressionHyperModel. "
                f"Received: {type(hypermodel).__name__}."
            )
        if not isinstance(oracle, keras_tuner.Oracle):
            raise TypeError(
                "oracle is one of keras_tuner.oracles. "
                f"Received: {type(oracle).__name__}."
            )
        check_flag("overwrite", overwrite)
        if directory is not None:
            as_path("directory", directory)
        for name, text in (("project_name", project_name), ("tuner_id", tuner_id)):
            if text is not None and not isinstance(text, str):
                raise TypeError(f"{name} is a text. Received: {text!r}.")
        if distribution_strategy is not None and not hasattr(
            distribution_strategy, "extended"
        ):
            raise TypeError(
                "distribution_strategy is a tf.distribute.Strategy. "
                f"Received: {distribution_strategy!r}."
            )
        keep_whole(oracle)
        super().__init__(
            oracle,
            _Space(hypermodel),
            directory=directory,
            project_name=project_name,
            distribution_strategy=distribution_strategy,
            tuner_id=tuner_id,
            overwrite=overwrite,
        )
        self.hypermodel = hypermodel

    def save(self) -> None:
        """Write the state of the search; called by KerasTuner."""
        if not self._is_worker():
            self.oracle.save()
        write_json(self._get_tuner_fname(), self.get_state())

    def reload(self) -> None:
        """Read the state of the search and repair it; called by KerasTuner."""
        super().reload()
        if not self._is_worker():
            settle(self.oracle)

    def search(self, *fit_args: Any, **fit_kwargs: Any) -> None:
        """Search, beginning near the density that training can follow.

        Args:
            *fit_args: The arguments of `model.fit`.
            **fit_kwargs: Likewise; `validation_data` is required.
        """
        # First, as it takes seconds to find these trials.
        self.hypermodel.claim(self.project_dir)
        self.hypermodel.begin(self.oracle, *fit_args, **fit_kwargs)
        super().search(*fit_args, **fit_kwargs)

    def run_trial(self, trial: Any, *fit_args: Any, **fit_kwargs: Any) -> Any:
        """Run one trial; called by KerasTuner."""
        # As KerasTuner does: no state passes from one trial to the next.
        callbacks = copy.deepcopy(list(fit_kwargs.pop("callbacks", ())))
        model = self._copy(trial)
        for callback in callbacks:
            # By name, as it may be of `keras` or of `tf_keras`.
            if type(callback).__name__ == "TensorBoard":
                # Otherwise the curves of all trials would be one.
                callback.log_dir = os.path.join(callback.log_dir, trial.trial_id)
                _tell_tensorboard(callback.log_dir, trial)
        fit_kwargs["callbacks"] = [TrialContext(self, trial), *callbacks]
        hp = trial.hyperparameters
        return self.hypermodel.fit(hp, model, *fit_args, **fit_kwargs)

    def load_model(self, trial: Any) -> Any:
        """Return the model that the file of a trial was exported from."""
        model = self.hypermodel.copy(trial.hyperparameters)
        model.load_weights(os.path.join(self.get_trial_dir(trial.trial_id), WEIGHTS))
        return model

    def _copy(self, trial: Any) -> Any:
        # As KerasTuner does before each build.
        _keras.world(self.hypermodel.baseline).backend.clear_session()
        strategy = self.distribution_strategy
        # Variables belong to the strategy in whose scope they are created.
        with strategy.scope() if strategy else contextlib.nullcontext():
            return self.hypermodel.copy(trial.hyperparameters)


def _tell_tensorboard(folder: str, trial: Any) -> None:
    """Write the hyperparameters of a trial for TensorBoard's hyperparameter page."""
    # Imported here, as TensorBoard is an optional dependency.
    from tensorboard.plugins.hparams.summary_v2 import hparams_pb

    events = EventFile(folder)
    values = dict(trial.hyperparameters.values)
    events.write_summary(0, hparams_pb(values, trial_id=trial.trial_id))
    events.close()


# KerasTuner builds its hypermodel several times, only to learn the search space.
class _Space(keras_tuner.HyperModel):
    """Hypermodel that registers hyperparameters, without the cost of a model."""

    def __init__(self, hypermodel: CompressionHyperModel) -> None:
        super().__init__()
        self._hypermodel = hypermodel

    def build(self, hp: keras_tuner.HyperParameters) -> None:
        self._hypermodel.choose(hp)
