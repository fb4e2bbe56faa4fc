"""Clustering: few distinct values per weight, kept during training."""

from keras_prune_kit.clustering.clusterer import Clusterer, check_clusters
from keras_prune_kit.clustering.errors import ClustersNotAppliedWarning

__all__ = ["Clusterer", "ClustersNotAppliedWarning", "check_clusters"]
