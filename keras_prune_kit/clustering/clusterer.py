"""The engine of clustering, for callbacks and custom training loops.

Each clustered weight gets an index (one byte per value) that assigns its values to
clusters, and a constraint that replaces each value by the mean of its cluster.
Optimizers apply constraints right after each update, inside the compiled train step.
The members of a cluster thus move together by the mean of their updates, and a
checkpoint at any step has at most as many distinct values as clusters.
"""

from __future__ import annotations

import contextlib
from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import is_whole
from keras_prune_kit._tools.engine import Engine
from keras_prune_kit._tools.typed import written
from keras_prune_kit.clustering.clustered_weight import ClusteredWeight
from keras_prune_kit.policies import Match, choose_weights
from keras_prune_kit.pruner import Pruner, active_pruner
from keras_prune_kit.reports import ClusteringReport, Skipped

_ADAPTED = "under a LoRA adapter, which adds to it: call merge_lora(model) first"
_MOST_CLUSTERS = 256  # An index has one byte.


class Clusterer(Engine):
    """Engine that restricts each weight to a few distinct values during training.

    It is for custom training loops; `ClusteringCallback` does the same in `model.fit`.
    Start it before the train step is compiled (`tf.function`, `jax.jit`,
    `torch.compile`), or let that happen inside the `with` block.

    Zeros stay zero and count as one of the values, so prune first, then cluster. A
    pruner that has reached its target may stay active. A user's own constraint is
    applied before the means, so one that depends on several values, such as `MaxNorm`,
    holds only approximately.

    Args:
        model: A built `keras` or `tf_keras` model. It stays an ordinary model.
        clusters: The number of distinct values per weight, 2 to 256, including zero if
            the weight has zeros. 16 values need 4 bits each. Defaults to 16.
        match: The layers to cluster: a regex on the path, a layer class, a callable, or
            a list of these, as in `Rule`. Defaults to `None`: those that a
            `PrunePolicy` without rules prunes.
        optimizer: The optimizer of a hand-written loop. Defaults to `None`: the one
            that the model is compiled with. On JAX it must be known.

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
        self,
        model: Any,
        clusters: int = 16,
        *,
        match: Match | None = None,
        optimizer: Any = None,
    ) -> None:
        check_clusters(clusters)
        chosen, skipped = choose_weights(model, match)
        adapted = [weight for weight in chosen if weight.is_adapted]
        chosen = [weight for weight in chosen if not weight.is_adapted]
        self._skipped = skipped + [Skipped(w.path, _ADAPTED) for w in adapted]
        variables = _keras.variables_of(model)
        self.model = model
        self._clusters = clusters
        self._own_optimizer = optimizer
        self._weights = [ClusteredWeight(w, variables, clusters) for w in chosen]
        self._is_attached = False
        self._pruner: Pruner | None = None
        for weight in self._weights:
            weight.read()

    def __repr__(self) -> str:
        return f"Clusterer({written(self.model)}, {self._clusters})"

    def start(self) -> None:
        """Find the clusters and constrain the weights to them.

        A weight with at most as many distinct values as clusters keeps its values, so
        an interrupted run resumes from any checkpoint.

        Raises:
            ValueError: If a pruner is active that has not reached its target.
        """
        self._pruner = active_pruner(self.model)
        if self._pruner is not None and not self._pruner.is_at_target:
            raise _still_pruned(self._pruner)
        with contextlib.ExitStack() as undo:
            undo.callback(self.detach)
            # First, so that `detach` also retraces after an error halfway.
            self._is_attached = True
            for weight in self._weights:
                weight.attach(self._optimizer)
            # A train function that was traced before does not apply the constraints.
            _keras.retrace(self.model)
            undo.pop_all()

    def step(self) -> None:
        """Cluster the values that constraints do not reach.

        These are the averages of `use_ema=True`, and embeddings under an optimizer of
        `tf_keras.optimizers.legacy`; with another optimizer, a loop need not call this.

        Raises:
            RuntimeError: If the clusterer is not active.
            ValueError: If a pruner was started meanwhile.
        """
        self._require_attached()
        for weight in self._weights:
            weight.project_what_constraints_miss()

    def report(self) -> ClusteringReport:
        """Return a report on the distinct values of the current weights."""
        records = tuple(weight.record() for weight in self._weights)
        return ClusteringReport(records, tuple(self._skipped))

    def finalize(self) -> ClusteringReport:
        """Check the result and remove all that the clusterer added to the model.

        Returns:
            A report on the distinct values of each weight.

        Raises:
            RuntimeError: If the clusterer is not active.
            ValueError: If a pruner was started meanwhile.
        """
        self._require_attached()
        optimizer = _keras.inner_optimizer(self._optimizer)
        is_averaged = getattr(optimizer, "use_ema", False)
        for weight in self._weights:
            if not is_averaged:  # `fit` has replaced the weights by the averages.
                weight.check_applied()
            weight.project()
        report = self.report()
        self.detach()
        return report

    def detach(self) -> None:
        """Remove the constraints, at any time; the values stay as they are."""
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
    """Raise a `ValueError` unless `clusters` is a whole number of 2 to 256."""
    if not is_whole(clusters) or not 2 <= clusters <= _MOST_CLUSTERS:
        raise ValueError(
            "clusters is the number of distinct values per weight, a whole number of "
            f"2 to {_MOST_CLUSTERS}. Received: clusters={clusters!r}."
        )


def _still_pruned(pruner: Pruner) -> ValueError:
    return ValueError(
        "Clusters are found once, so no weight may become zero afterwards. Received: a "
        f"model that is still being pruned, at sparsity {pruner.sparsity:.4g}. Prune "
        "first, then cluster; or start a pruner with ConstantSparsity first."
    )
