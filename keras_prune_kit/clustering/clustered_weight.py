"""One weight that is being clustered."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit.clustering.errors import ClustersNotAppliedWarning
from keras_prune_kit.clustering.kmeans import borders, kmeans_1d
from keras_prune_kit.reports import WeightClusters


class ClusteredWeight:
    """A weight, and which of its values belong together.

    Args:
        weight: Where it is in the model.
        variables: Handles variables of the model's world.
        clusters: How many different values it may have.

    Attributes:
        path: Layer path and attribute.
    """

    def __init__(
        self, weight: _keras.PrunableWeight, variables: _keras.Variables, clusters: int
    ) -> None:
        self._weight = weight
        self._variables = variables
        self._variable = weight.variable
        self._clusters = clusters
        self._index: Any = None
        self._counts = np.zeros(0)
        self._needs_projection = False
        self.path = weight.path

    def read(self) -> np.ndarray:
        """The value.

        Raises:
            ValueError: If it holds NaN or infinity.
        """
        return self._variables.read_finite(self._variable, self.path)

    def attach(self, model: Any) -> None:
        """Finds the clusters, and gives the weight a constraint that holds them."""
        handle, variable = self._variables, self._variable
        index, self._counts = _assign(self.read(), self._clusters)
        self._index = handle.make_index(index)
        layer = self._weight.layer
        self._needs_projection = handle.ignores_constraint(model, variable, layer)
        if not self._needs_projection:
            handle.constrain(variable, self._constraint(self._own_constraint()))
        self.project()

    def detach(self) -> None:
        """Takes the constraint off; whatever else was there stays."""
        self._variables.constrain(self._variable, self._own_constraint())
        self._index = None

    def project(self) -> None:
        """Puts the clusters' means in place of their members."""
        self._project(self._variable)

    def project_what_constraints_miss(self, optimizer: Any) -> None:
        """Makes up for a train step that does not hold the clusters by itself."""
        if self._needs_projection:
            self.project()
        if getattr(optimizer, "use_ema", False):
            average = self._variables.moving_average(optimizer, self._variable)
            if average is not None:
                self._project(average)

    def check_applied(self) -> None:
        """Notices a train step that does not hold the clusters, and makes up for it."""
        if self._needs_projection or self.record().distinct <= self._clusters:
            return
        self._needs_projection = True
        warnings.warn(
            f"The train step does not hold the clusters of {self.path}; they are put "
            "back after each step instead. Usually the tf.function was traced before "
            "the clusterer started: start the clusterer first, or make the tf.function "
            "anew.",
            ClustersNotAppliedWarning,
            stacklevel=2,
        )

    def record(self) -> WeightClusters:
        """The values that are really there."""
        values = self.read()
        return WeightClusters(
            path=self.path,
            shape=self._weight.shape,
            distinct=np.unique(values).size,
            zeros=values.size - int(np.count_nonzero(values)),
            clusters=self._clusters,
        )

    def _project(self, variable: Any) -> None:
        handle = self._variables
        variable.assign(handle.clustered(self._index, self._counts, variable))

    def _constraint(self, inner: Any) -> _keras.ClusterConstraint:
        return _keras.ClusterConstraint(
            self._variables, self._index, self._counts, inner
        )

    def _own_constraint(self) -> Any:
        constraint = self._variables.constraint(self._variable)
        return _keras.without(constraint, _keras.ClusterConstraint)


def _assign(values: np.ndarray, clusters: int) -> tuple[np.ndarray, np.ndarray]:
    """Which cluster each value belongs to, and how many belong to each.

    Where there are zeros they are the first cluster, which counts none: its mean is
    zero whatever the values become.
    """
    is_zero = values == 0
    has_zeros = bool(is_zero.any())
    if is_zero.all():
        return np.zeros(values.shape, np.uint8), np.zeros(1)
    centroids = kmeans_1d(values[~is_zero], clusters - has_zeros)
    index = np.searchsorted(borders(centroids), values, side="right") + has_zeros
    index[is_zero] = 0
    counts = np.bincount(index.ravel(), minlength=centroids.size + has_zeros)
    if has_zeros:
        counts[0] = 0
    return index.astype(np.uint8), counts.astype(np.float64)
