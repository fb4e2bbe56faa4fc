"""The engine: what a callback and a custom training loop drive.

Each weight that is clustered gets an index, one byte a value, that says which values
belong together, and a constraint that puts the mean of each cluster in place of its
members. Optimizers apply constraints right after each update, inside the compiled train
step. So members move together by the mean of their steps, and a checkpoint of any
step has no more different values than there are clusters.
"""

from __future__ import annotations

import contextlib
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import is_whole
from keras_prune_kit._tools.engine import Engine
from keras_prune_kit.clustering.clustered_weight import ClusteredWeight
from keras_prune_kit.policies import Match, choose_weights
from keras_prune_kit.pruner import Pruner, active_pruner
from keras_prune_kit.reports import ClusteringReport

_MOST_CLUSTERS = 256


class Clusterer(Engine):
    """Holds each weight to a few different values while something else trains it.

    For custom training loops; `ClusteringCallback` is the same for `model.fit`. Start
    it before the train step is traced, or let the `tf.function` be traced inside the
    `with` block.

    Zeros stay zeros and are one of the values, so prune first, then cluster. The masks
    of a pruner that is at its target may be held meanwhile. A constraint of the user's
    own is applied first, to what the optimizer gives; the means come last, so one
    that is not of single values (a `MaxNorm`) then holds only nearly.

    Args:
        model: A built Keras model of either world. It stays an ordinary model.
        clusters: Different values that a weight may have, 2 to 256, zero among them
            if there are zeros. 16 take 4 bits a value. Defaults to 16.
        match: Which layers: a regex on the path, a layer class, a callable, or a list
            of these, as in `Rule`. Defaults to `None`: whatever a `PrunePolicy`
            without rules would prune.

    Raises:
        TypeError: If `model` or `match` is of the wrong kind.
        ValueError: If `clusters` is out of range, the model is not built, nothing
            matches, or a weight is NaN or infinite. The model is unchanged then.

    Example:

    ```python
    with kpk.Clusterer(model, clusters=16) as clusterer:
        for x, y in batches:
            train_step(x, y)
    print(clusterer.report())
    ```

    Source: Han et al. 2016, "Deep Compression", arXiv 1510.00149, section 3.
    """

    def __init__(
        self, model: Any, clusters: int = 16, *, match: Match | None = None
    ) -> None:
        check_clusters(clusters)
        chosen, self._skipped = choose_weights(model, match)
        variables = _keras.variables_of(model)
        self.model = model
        self._weights = [ClusteredWeight(w, variables, clusters) for w in chosen]
        self._is_attached = False
        self._pruner: Pruner | None = None
        for weight in self._weights:
            weight.read()

    def start(self) -> None:
        """Find the clusters and hold them from now on.

        Values that are no more different ones than there are clusters keep theirs, so
        a run that was cut off goes on from any checkpoint.

        Raises:
            ValueError: If a pruner is at work whose masks will still change.
        """
        self._pruner = active_pruner(self.model)
        if self._pruner is not None and not self._pruner.is_at_target:
            raise _still_pruned(self._pruner)
        with contextlib.ExitStack() as undo:
            undo.callback(self.detach)
            self._is_attached = True
            for weight in self._weights:
                weight.attach(self.model)
            _keras.retrace(self.model)
            undo.pop_all()

    def step(self) -> None:
        """Cluster what constraints do not reach: the averages of `use_ema=True`, and
        embeddings under an optimizer of `tf_keras.optimizers.legacy`.

        `ClusteringCallback` calls it after each step. A loop with another optimizer
        has no need to.

        Raises:
            RuntimeError: Before `start()` or after the end.
            ValueError: If a pruner started meanwhile.
        """
        self._require_attached()
        optimizer = _keras.optimizer_of(self.model)
        for weight in self._weights:
            weight.project_what_constraints_miss(optimizer)

    def report(self) -> ClusteringReport:
        """Return the different values in the model as it is now."""
        records = tuple(weight.record() for weight in self._weights)
        return ClusteringReport(records, tuple(self._skipped))

    def finalize(self) -> ClusteringReport:
        """Check the result and leave the model without a trace of the clusterer.

        Returns:
            The different values of each weight.

        Raises:
            RuntimeError: If the clusterer is not active.
            ValueError: If a pruner started meanwhile.
        """
        self._require_attached()
        is_averaged = getattr(_keras.optimizer_of(self.model), "use_ema", False)
        for weight in self._weights:
            if not is_averaged:  # `fit` has put the averages in place of the weights.
                weight.check_applied()
            weight.project()
        report = self.report()
        self.detach()
        return report

    def detach(self) -> None:
        """Take the constraints off, at any time; the values stay as they are."""
        for weight in self._weights:
            weight.detach()
        if self._is_attached:
            _keras.retrace(self.model)
        self._is_attached = False

    def _require_attached(self) -> None:
        if not self._is_attached:
            raise RuntimeError(
                "The clusterer is not active: this comes after start(), or inside "
                "`with Clusterer(...) as clusterer:`."
            )
        pruner = active_pruner(self.model)
        if pruner is not None and pruner is not self._pruner:
            raise _still_pruned(pruner)


def check_clusters(clusters: object) -> None:
    """Raise a `ValueError` unless it is a whole number of 2 to 256."""
    if not is_whole(clusters) or not 2 <= clusters <= _MOST_CLUSTERS:
        raise ValueError(
            "clusters is how many different values a weight may have, a whole number "
            f"of 2 to {_MOST_CLUSTERS}. Received: clusters={clusters!r}."
        )


def _still_pruned(pruner: Pruner) -> ValueError:
    return ValueError(
        "Clusters are found once, so no weight may become zero afterwards. The model "
        f"is still being pruned, it is at sparsity {pruner.sparsity:.4g}. Prune first, "
        "then cluster; or start a pruner with ConstantSparsity first."
    )
