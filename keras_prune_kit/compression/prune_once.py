"""One attempt at the sparsity that the user chose."""

from __future__ import annotations

from dataclasses import asdict

from keras_prune_kit import _keras
from keras_prune_kit._tools import progress
from keras_prune_kit.compression.attempt import (
    LATENCY_RUNS,
    Setting,
    copy_for,
    export,
    make_attempt,
)
from keras_prune_kit.compression.distilled_training import DistilledTraining
from keras_prune_kit.compression.fine_tuning import FineTuning
from keras_prune_kit.compression.recipe import Recipe
from keras_prune_kit.measuring.comparison import compare_opened
from keras_prune_kit.reports import CompressionReport


def prune_once(recipe: Recipe, setting: Setting) -> CompressionReport:
    """Prune, fine-tune, export and measure, once.

    Args:
        recipe: The job.
        setting: How the copy is pruned and quantized, after training.
    """
    evaluation, model = recipe.evaluation, recipe.model
    # The direction must be known only of a metric that was named to decide.
    is_named = recipe.objective is not None
    mode = evaluation.known_mode() if is_named else evaluation.mode
    training = FineTuning(
        recipe.fit_arguments, evaluation.metric, mode, recipe.callbacks
    )
    if setting.thinning is not None:
        training = DistilledTraining.of(recipe, evaluation.metric, mode)
    # Before the training, so that a model that cannot be copied or converted costs no
    # epoch.
    copy_for(model, setting.weight_bits)
    dense = export(model, setting.quantization, recipe.representative_data)
    what = f"{recipe.epochs} epochs" if recipe.epochs else "a repair without training"
    progress.tell(f"{what}, then the {setting.number_format} file and its measurement")
    outcome = make_attempt(model, setting, training, recipe.representative_data)
    if setting.thinning is not None:
        _keras.compile_like(model, outcome.model)
    numbers, kind = setting.number_format, "smaller" if setting.thinning else "pruned"
    models = {
        "baseline": model,
        f"baseline + {numbers}": dense,
        kind: outcome.model,
        f"{kind} + {numbers}": outcome.tflite,
    }
    return CompressionReport(
        comparison=compare_opened(models, evaluation, latency_runs=LATENCY_RUNS),
        model=outcome.model,
        tflite=outcome.tflite,
        sparsity_report=outcome.sparsity_report,
        settings={
            **recipe.settings(setting.policy, setting.quantization),
            "start": outcome.start,
            **({} if setting.thinning is None else asdict(setting.thinning)),
        },
    )
