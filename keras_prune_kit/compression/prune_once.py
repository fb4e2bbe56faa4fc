"""One pruning at the sparsity that was asked for."""

from __future__ import annotations

from keras_prune_kit import _keras
from keras_prune_kit._tools.datasets import labelled_samples
from keras_prune_kit.callbacks import PruningCallback
from keras_prune_kit.compression.lessons import Lessons
from keras_prune_kit.compression.recipe import LATENCY_RUNS, Job, number_name
from keras_prune_kit.measuring.comparison import compare_opened
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.reports import CompressionReport

_CRITERION_SAMPLES = 256


def prune_once(job: Job, policy: PrunePolicy, quantization: str) -> CompressionReport:
    """Prunes, fine-tunes, exports and measures, once."""
    evaluate = job.evaluation
    # Nobody has to know the mode, unless the metric was named to decide.
    mode = evaluate.mode if job.objective is None else evaluate.known_mode()
    lessons = Lessons(job.train_data, job.validation_data, evaluate.metric, mode)
    copy = _keras.clone(job.model)
    # Before the training, so that what the converter refuses costs no epoch.
    dense = job.export(job.model, quantization)
    pruned = lessons.prune(
        copy,
        pruning_for(job, policy),
        job.callbacks,
        epochs=job.epochs,
        **job.fit_options,
    )
    exported = job.export(copy, quantization)
    numbers = number_name(quantization)
    models = {
        "baseline": job.model,
        f"baseline + {numbers}": dense,
        "pruned": copy,
        f"pruned + {numbers}": exported,
    }
    return CompressionReport(
        comparison=compare_opened(models, evaluate, latency_runs=LATENCY_RUNS),
        model=copy,
        tflite=exported,
        sparsity_report=pruned,
        settings=job.settings(policy, quantization),
    )


def pruning_for(job: Job, policy: PrunePolicy) -> PruningCallback:
    """The callback for a policy, with a sample of the data if it needs one."""
    sample = None
    if policy.needs_data:
        sample = labelled_samples(job.train_data, _CRITERION_SAMPLES)
    return PruningCallback(policy, data=sample)
