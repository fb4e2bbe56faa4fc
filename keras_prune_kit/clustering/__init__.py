"""Clustering: few different values a weight, held while something else trains."""

from keras_prune_kit.clustering.clusterer import Clusterer, check_clusters
from keras_prune_kit.clustering.errors import ClustersNotAppliedWarning

__all__ = ["Clusterer", "ClustersNotAppliedWarning", "check_clusters"]
