"""Weight clustering with TFMOT."""

from __future__ import annotations

from typing import Any

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import is_whole
from keras_prune_kit.reports import Converted, LayerReport, Skipped
from keras_prune_kit.tfmot._import import core, tfmot
from keras_prune_kit.tfmot._models import (
    check_model,
    clone_layers,
    layer_paths,
)


def cluster(model: Any, clusters: int) -> Converted:
    """Copy a `tf_keras` model so that it trains with few distinct values per kernel.

    Its file compresses well: a kernel of 16 values needs 4 bits per weight. Train the
    copy for one or two epochs with a small learning rate, then `strip` it.

    Args:
        model: A trained Sequential or functional `tf_keras` model, or the path of one.
            It is not changed.
        clusters: Distinct values per kernel, at least 2. The zeros of a pruned kernel
            are kept as one of them.

    Returns:
        The copy, compiled if the original is, and a report of the clustered layers and
        of the others with a reason.

    Raises:
        TypeError: If it is not a `tf_keras` model.
        ValueError: If `clusters` is below 2, or the model is subclassed, not built or
            has no layer to cluster.

    Example:

    ```python
    clustered, report = kpk.tfmot.cluster(model, 16)
    clustered.fit(x, y, epochs=1)
    model = kpk.tfmot.strip(clustered)
    ```
    """
    if not is_whole(clusters) or clusters < 2:
        raise ValueError(
            "clusters is the number of distinct values per kernel, at least 2. "
            f"Received: clusters={clusters!r}."
        )
    model = _keras.opened(model, compiled=True)
    check_model(
        model, "Prune a Keras 3 model instead, with kpk.PruningCallback(policy)."
    )
    paths = layer_paths(model)
    done: list[tuple[str, str]] = []
    skipped: list[Skipped] = []

    def copy(layer: Any) -> Any:
        fresh = _keras.copy_layer(layer)
        if not layer.weights:
            return fresh
        fresh.build(layer.input_shape) if not fresh.built else None
        # Before it is wrapped: TFMOT computes centroids from the kernel in `build`.
        _keras.copy_state(layer, fresh)
        reason = _why_not(layer, clusters)
        if reason is not None:
            skipped.append(Skipped(paths[id(layer)], reason))
            return fresh
        done.append((paths[id(layer)], f"{clusters} clusters"))
        return core("clustering.keras.cluster")._cluster_weights(
            fresh,
            clusters,
            tfmot().clustering.keras.CentroidInitialization.KMEANS_PLUS_PLUS,
            preserve_sparsity=True,
        )

    clustered = clone_layers(model, copy)
    if not done:
        raise ValueError(f"TFMOT can cluster no layer of model '{model.name}'.")
    _keras.compile_like(model, clustered)
    return Converted(clustered, LayerReport(tuple(done), tuple(skipped)))


def _why_not(layer: Any, clusters: int) -> str | None:
    """Return the reason why a layer is not clustered; `None` if it can be."""
    registry = core("clustering.keras.clustering_registry").ClusteringRegistry
    name = type(layer).__name__
    if not registry.supports(layer):
        return f"TFMOT does not know how to cluster {name}"
    known = registry._LAYERS_WEIGHTS_MAP.get(type(layer))
    if known == [] or not layer.trainable_weights:
        return f"TFMOT does not cluster {name}"
    if max(weight.shape.num_elements() for weight in layer.weights) <= clusters:
        return f"it has no weight with more than {clusters} values"
    return None
