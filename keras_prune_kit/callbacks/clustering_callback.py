"""The callback that clusters."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._keras.two_world_callback import TwoWorldCallback
from keras_prune_kit.clustering import Clusterer, check_clusters
from keras_prune_kit.policies import Match, Rule
from keras_prune_kit.reports import ClusteringReport


class ClusteringCallback(TwoWorldCallback):
    """Trains a model with few different values in each weight while `fit` runs.

    A file of such a model compresses well: 16 values take 4 bits each, and fewer where
    many are zero. Cluster a trained model, after pruning it if you do, for an epoch or
    two with a small learning rate. Nothing is wrapped, and the clusters hold after
    every step, so a run that was cut off goes on from any checkpoint.

    Zeros stay zeros and are one of the values. A `PruningCallback` in the same `fit` is
    not needed for that; it may be there with `ConstantSparsity`, whose masks do not
    change any more.

    Args:
        clusters: Different values that a weight may have, 2 to 256, zero among them
            if there are zeros. Defaults to 16.
        match: Which layers: a regex on the path, a layer class, a callable, or a list
            of these, as in `Rule`. Defaults to `None`: whatever a `PrunePolicy`
            without rules would prune.

    Attributes:
        report: A `ClusteringReport` once training has ended, before that `None`.

    Raises:
        TypeError: If `match` is of another kind.
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
            Rule(match, None)
        self.clusters = clusters
        self.match = match
        self.report: ClusteringReport | None = None
        self._clusterer: Clusterer | None = None
        self._is_started = False

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        self.report = None
        if self._clusterer is not None:
            # An earlier fit was cut off.
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
        self._start_once()  # A run that was killed at its very end has no batches left.
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
