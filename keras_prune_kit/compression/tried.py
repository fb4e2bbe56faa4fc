"""The record of the attempts of a search."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from keras_prune_kit._tools import progress
from keras_prune_kit.compression.attempt import Outcome
from keras_prune_kit.measuring.evaluation import Evaluation
from keras_prune_kit.reports import Allowance, Attempt, Search
from keras_prune_kit.tflite import TFLiteModel

_log = logging.getLogger(__name__)


def tell_attempt(index: int, parts: Sequence[int], whole: int) -> None:
    """Tell that an attempt begins, and what is left of the job after it.

    Args:
        index: Its index, from 0.
        parts: The epochs of each attempt that there can be.
        whole: The epochs of the job.
    """
    text = f"attempt {index + 1} of at most {len(parts)}"
    if parts[index]:
        left = sum(parts[index + 1 :])
        text += f": {parts[index]} epochs, then {left} of {whole} are left"
    progress.tell(text)


@dataclass
class Tried:
    """The attempts so far.

    Attributes:
        evaluation: The evaluation that scores a file.
        allowance: The accepted drop of the metric.
        attempts: The records of all attempts.
        held: The number and outcome of each attempt that holds.
    """

    evaluation: Evaluation
    allowance: Allowance
    attempts: list[Attempt] = field(default_factory=list, kw_only=True)
    held: list[tuple[int, Outcome]] = field(default_factory=list, kw_only=True)

    def add(
        self,
        name: str,
        epochs: int,
        exported: TFLiteModel,
        latency_ms: float | None = None,
    ) -> bool:
        """Measure a file and return True if it holds.

        Args:
            name: The setting of the attempt.
            epochs: Its epochs.
            exported: Its file.
            latency_ms: The latency of the file. Defaults to `None`: not measured.
        """
        metric = self.evaluation.metric
        score = self.evaluation.tflite(exported)[metric]
        size, holds = exported.gzip_bytes, self.allowance.holds(score)
        self.attempts.append(Attempt(name, epochs, score, size, holds, latency_ms))
        _log.info("%s: %s %.4f, %d bytes gzipped", name, metric, score, size)
        return holds

    def keep(self, outcome: Outcome) -> None:
        """Keep the outcome of the last attempt, which holds."""
        self.held.append((len(self.attempts) - 1, outcome))

    def search(self, target: str, chosen: int) -> Search:
        """Return the record for the report.

        Args:
            target: `"smallest"` or `"fastest"`.
            chosen: The number of the attempt whose file ships.
        """
        return Search(
            metric=self.evaluation.metric,
            baseline_score=self.allowance.baseline,
            max_accuracy_drop=self.allowance.max_drop,
            attempts=tuple(self.attempts),
            chosen=chosen,
            mode=self.allowance.mode,
            target=target,
            samples=self.evaluation.answers,
        )
