"""The smallest file whose metric holds."""

from __future__ import annotations

import logging
from dataclasses import replace

from keras_prune_kit import _keras
from keras_prune_kit._tools.files import scratch_folder
from keras_prune_kit.compression.attempt import Outcome, Trainer
from keras_prune_kit.compression.bisection import Bisection, Ladder, Setting
from keras_prune_kit.compression.recipe import LATENCY_RUNS, Job, number_name
from keras_prune_kit.compression.teaching import Teaching
from keras_prune_kit.measuring.comparison import compare_opened
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.measuring.sparsity import sparsity_report
from keras_prune_kit.policies import PrunePolicy
from keras_prune_kit.quantization import quantize_aware
from keras_prune_kit.reports import Allowance, Attempt, CompressionReport, Search
from keras_prune_kit.tflite import TFLiteModel

_log = logging.getLogger(__name__)

# An attempt on tf_keras prunes for an epoch and trains quantized for another.
LEAST_EPOCHS = 4
_LEAST_SHARE = 2
_MOST_ATTEMPTS = 4

_BITS = {"keras": (4, 8), "tf_keras": (8,)}  # the strongest first


def find_smallest(
    job: Job,
    policy: PrunePolicy | None,
    quantization: str | None,
    max_accuracy_drop: float,
) -> CompressionReport:
    """Makes attempts within the job's epochs and gives the smallest file that holds.

    The mildest attempt is the dense model, quantized after training, which costs no
    epoch. It is what comes back if no other one holds.

    Args:
        job: What is asked for.
        policy: What to prune; `None` to search for the sparsity.
        quantization: Of the file; `None` for quantization-aware training.
        max_accuracy_drop: How much the file may lose of the metric that decides.
    """
    job = _decided(job)
    untouched = _keras.clone(job.model)  # What cannot be copied is found at once.
    evaluate = job.evaluation
    allowance = Allowance(
        evaluate.keras(job.model)[evaluate.metric],
        max_accuracy_drop,
        evaluate.known_mode(),
    )
    plan = _plan(job, policy, quantization)
    numbers = quantization or "int8"
    dense = job.export(job.model, numbers)
    tries = _Tries(evaluate, allowance)
    tries.add(f"dense, {number_name(numbers)}", 0, dense)
    with scratch_folder() as folder:
        teaching = Teaching(job, evaluate.metric, allowance.mode)
        trainer = Trainer(job, teaching, folder)
        _try_all(tries, plan, trainer, job.epochs)

    models = {"baseline": job.model, f"baseline + {number_name(numbers)}": dense}
    chosen, model, exported, sparsity = 0, untouched, dense, None
    if tries.held:
        chosen, setting, best = min(tries.held, key=_size_of)
        model, exported, sparsity = best.model, best.tflite, best.sparsity_report
        models |= {"pruned": model, f"pruned + {setting.numbers}": exported}
    return CompressionReport(
        comparison=compare_opened(models, evaluate, latency_runs=LATENCY_RUNS),
        model=model,
        tflite=exported,
        sparsity_report=sparsity or sparsity_report(model),
        settings={
            **job.settings(policy, quantization),
            "target": "smallest",
            "max_accuracy_drop": max_accuracy_drop,
        },
        search=Search(
            metric=evaluate.metric,
            baseline_score=allowance.baseline,
            max_accuracy_drop=max_accuracy_drop,
            attempts=tuple(tries.attempts),
            chosen=chosen,
            mode=allowance.mode,
        ),
    )


_Held = tuple[int, Setting, Outcome]  # with the number of the attempt


class _Tries:
    """What was tried so far.

    Args:
        evaluate: What scores a file.
        allowance: What a file may lose and hold.

    Attributes:
        attempts: All of them.
        held: What came of those that hold.
    """

    def __init__(self, evaluate: Evaluation, allowance: Allowance) -> None:
        self._evaluate = evaluate
        self._allowance = allowance
        self.attempts: list[Attempt] = []
        self.held: list[_Held] = []

    def add(self, text: str, epochs: int, exported: TFLiteModel) -> bool:
        """Measures a file; gives whether it holds."""
        metric = self._evaluate.metric
        score = self._evaluate.tflite(exported)[metric]
        size, holds = exported.gzip_bytes, self._allowance.holds(score)
        self.attempts.append(Attempt(text, epochs, score, size, holds))
        _log.info("%s: %s %.4f, %d bytes gzipped", text, metric, score, size)
        return holds


def _try_all(
    tries: _Tries, plan: Bisection | Ladder, trainer: Trainer, epochs: int
) -> None:
    """Goes through the plan."""
    for share in _shares(epochs, plan.attempts):
        setting = plan.next()
        if setting is None:
            return
        outcome = trainer.attempt(setting, share)
        holds = tries.add(str(setting), share, outcome.tflite)
        plan.tell(setting, holds=holds)
        if holds:
            tries.held.append((len(tries.attempts) - 1, setting, outcome))


def _size_of(held: _Held) -> int:
    return held[-1].tflite.gzip_bytes


def _decided(job: Job) -> Job:
    """The job with a metric that decides: an accuracy goes before an error."""
    evaluate = job.evaluation
    if job.objective is not None:
        return job
    if evaluate.metric == "loss":
        raise ValueError(
            "target='smallest' holds a metric, so the model must be compiled with one, "
            f"such as metrics=['accuracy']. Received: model '{job.model.name}' with a "
            "loss alone. If that is to hold, pass objective='loss'."
        )
    if job.mode != "auto":
        return job
    rising = [name for name in evaluate.metrics if evaluate.mode_of(name) == "max"]
    return replace(job, objective=rising[0]) if rising else job


def _plan(
    job: Job, policy: PrunePolicy | None, quantization: str | None
) -> Bisection | Ladder:
    """Which settings to try; what cannot be trained quantized is found here."""
    bits: tuple[int | None, ...] = (None,)
    if quantization is None:
        quantize_aware(job.model)
        bits = _BITS[_keras.world(job.model).__name__]
    quantization = quantization or "int8"
    if policy is not None:
        return Ladder([Setting(policy, quantization, number) for number in bits])
    attempts = min(_MOST_ATTEMPTS, job.epochs // _LEAST_SHARE)
    return Bisection(quantization, bits[0], job.steps(job.epochs), attempts)


def _shares(epochs: int, attempts: int) -> list[int]:
    """The epochs of each attempt.

    The first gets half of them or more: the others begin with what it has learned.
    """
    later = attempts - 1
    share = max(_LEAST_SHARE, epochs // (2 * later)) if later else 0
    return [epochs - later * share, *[share] * later]
