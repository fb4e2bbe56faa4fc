"""A weight that is being clustered."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.clustering.errors import ClustersNotAppliedWarning
from keras_prune_kit.clustering.kmeans import borders, kmeans_1d
from keras_prune_kit.pruner.held_weight import HeldWeight
from keras_prune_kit.reports import WeightClusters


class ClusteredWeight(HeldWeight):
    """A weight that is restricted to a few distinct values.

    Args:
        weight: The weight in the model.
        variables: Handles variables of the model's world.
        clusters: The largest number of distinct values.
    """

    projection_kind = _keras.ClusterProjection
    warning = ClustersNotAppliedWarning
    advice = (
        "The train step does not apply the clusters of {path}; they are applied after "
        "each step instead. Usually it was compiled before the clusterer started: "
        "start the clusterer first, or compile the step again (a new tf.function, "
        "jax.jit or torch.compile)."
    )

    def __init__(
        self, weight: _keras.PrunableWeight, variables: _keras.Variables, clusters: int
    ) -> None:
        super().__init__(weight.path, weight.variable, weight.layer, variables)
        self._weight = weight
        self._clusters = clusters

    def attach(self, optimizer: Any) -> None:
        """Find the clusters, and constrain the weight to their means."""
        index, counts = _assign(self.read(), self._clusters)
        handle = self._variables
        projection = _keras.ClusterProjection(handle, handle.make_index(index), counts)
        self.hold(projection, optimizer)
        self.project()

    def is_projected(self) -> bool:
        """Return True if the weight has at most as many distinct values as clusters."""
        return self.record().distinct <= self._clusters

    def record(self) -> WeightClusters:
        """Return a record of the distinct values and zeros in the weight."""
        values = self.read()
        return WeightClusters(
            path=self.path,
            shape=self._weight.shape,
            distinct=np.unique(values).size,
            zeros=values.size - int(np.count_nonzero(values)),
            clusters=self._clusters,
        )


def _assign(values: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the cluster of each value, and the number of members of each cluster.

    Zeros, if any, form the first cluster. Its count is 0, which fixes its mean at zero
    even if an update makes its members nonzero.
    """
    is_zero = values == 0
    has_zeros = bool(is_zero.any())
    if is_zero.all():
        return np.zeros(values.shape, np.uint8), np.zeros(1)
    centroids = kmeans_1d(values[~is_zero], clusters - has_zeros)
    # Zeros have cluster 0, so that all others move up by one.
    index = np.searchsorted(borders(centroids), values, side="right") + has_zeros
    index[is_zero] = 0
    counts = np.bincount(index.ravel(), minlength=centroids.size + has_zeros)
    if has_zeros:
        counts[0] = 0
    # One byte is enough for 256 clusters.
    return index.astype(np.uint8), counts.astype(np.float64)
