"""A callback that clusters the weights of a model."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit.clustering import Clusterer, check_clusters
from keras_prune_kit.policies import Match, Rule
from keras_prune_kit.reports import ClusteringReport


class ClusteringCallback(TwoWorldCallback):
    """Callback that restricts each weight to a few distinct values during `fit`.

    The file of such a model compresses well: 16 values need 4 bits each, and fewer if
    many are zero. Cluster a trained (and pruned) model for an epoch or two
    with a small learning rate. Nothing is wrapped, and the clusters hold after every
    step, so an interrupted run resumes from any checkpoint.

    Zeros stay zero and count as one of the values, without a `PruningCallback` in the
    same `fit`. One is allowed with `ConstantSparsity`, whose masks no longer change.

    Args:
        clusters: The number of distinct values per weight, 2 to 256, including zero if
            the weight has zeros. Defaults to 16.
        match: The layers to cluster: a regex on the path, a layer class, a callable, or
            a list of these, as in `Rule`. Defaults to `None`: those that a
            `PrunePolicy` without rules prunes.

    Attributes:
        report: A `ClusteringReport` after training; `None` before.

    Raises:
        TypeError: If `match` is of the wrong kind.
        ValueError: If `clusters` is out of range, and from `fit`, before the first
            step, if the model is not built or nothing matches.

    Example:

    ```python
    clustering = kpk.ClusteringCallback(16)
    model.fit(x, y, epochs=2, callbacks=[clustering])
    print(clustering.report)
    ```

    Source: Han et al. 2016, "Deep Compression", arXiv 1510.00149, section 3; TFMOT's
    `cluster_weights` and `strip_clustering`.
    """

    def __init__(self, clusters: int = 16, *, match: Match | None = None) -> None:
        super().__init__()
        check_clusters(clusters)
        if match is not None:
            Rule(match, None)  # Checks it now, not in `fit`.
        self.clusters = clusters
        self.match = match
        self.report: ClusteringReport | None = None
        self._clusterer: Clusterer | None = None
        self._is_started = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.report = None
        if self._clusterer is not None:
            # An earlier fit was interrupted.
            self._clusterer.detach()
        self._clusterer = None
        self._is_started = False
        if _keras.is_built(self.model):
            self._prepare()

    def on_train_batch_begin(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        # Not before: BackupAndRestore has loaded weights by now and
        # PruningCallback has set its masks, whichever was listed first.
        if self._clusterer is not None:
            self._start_once()

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        if self._clusterer is None:  # The first step has built the model.
            self._prepare()
            self._start_once()
        self._engine().step()

    def on_train_end(self, logs: dict[str, Any] | None = None) -> None:
        self._start_once()  # A resumed run may have no batches left.
        clusterer, self._clusterer = self._engine(), None
        self.report = clusterer.finalize()

    def _prepare(self) -> None:
        self._clusterer = Clusterer(self.model, self.clusters, match=self.match)

    def _start_once(self) -> None:
        if not self._is_started:
            self._engine().start()
            self._is_started = True

    def _engine(self) -> Clusterer:
        if self._clusterer is None:
            raise RuntimeError(
                "ClusteringCallback has no model: on_train_begin comes first."
            )
        return self._clusterer
