"""Quantization-aware training with TFMOT."""

from __future__ import annotations

from typing import Any

import numpy as np

from keras_prune_kit import _keras
from keras_prune_kit._tools.checks import is_one_of
from keras_prune_kit._tools.spelling import did_you_mean
from keras_prune_kit.policies import Match, covered_layers
from keras_prune_kit.reports import Converted, LayerReport, Skipped
from keras_prune_kit.tfmot._import import tf_keras, tfmot
from keras_prune_kit.tfmot._models import check_model

_PRESERVE = ("none", "sparsity", "clusters", "both")

# Layers into which TFMOT folds a normalization that follows.
_FOLDING = (
    *("Conv2D", "DepthwiseConv2D", "Dense"),
    *("SeparableConv1D", "SeparableConv2D"),
)


def quantize_aware(
    model: Any, preserve: str = "none", *, skip: Match | None = None
) -> Converted:
    """Copy a `tf_keras` model for quantization-aware training in int8.

    Train the copy for one or two epochs, then export it with
    `kpk.export_tflite(model, quantization="int8", representative_data=...)`.

    With `"sparsity"` or `"both"` every zero of a kernel stays zero, in training, in
    the model and in the file: a mask is applied after each optimizer step, because
    TFMOT by itself lets zeros drift.

    TFMOT quantizes only built-in layers, and no nested models: other layers stay
    float, with a reason in the report.

    Args:
        model: A trained Sequential or functional `tf_keras` model without pruning or
            clustering wrappers, or the path of one. It is not changed.
        preserve: The property that training must keep: `"none"` (QAT), `"sparsity"`
            (PQAT), `"clusters"` (CQAT) or `"both"` (PCQAT). Defaults to `"none"`.
        skip: Layers to leave float, as in `kpk.quantize_aware`. Defaults to `None`.

    Returns:
        The copy, compiled if the original is, and a report of the quantized layers and
        of the others with a reason.

    Raises:
        TypeError: If it is not a `tf_keras` model.
        ValueError: If `preserve` is not one of these, `skip` covers no layer, or the
            model is subclassed, not built or has no layer to quantize.

    Example:

    ```python
    quantized, report = kpk.tfmot.quantize_aware(pruned, preserve="sparsity")
    quantized.fit(x, y, epochs=1)
    ```
    """
    if not is_one_of(preserve, _PRESERVE):
        raise ValueError(
            f"preserve is one of {_PRESERVE}. Received: preserve={preserve!r}."
            + did_you_mean(preserve, _PRESERVE)
        )
    model = _keras.opened(model, compiled=True)
    check_model(
        model,
        "Export a Keras 3 model with kpk.export_tflite(model, quantization='int8').",
    )
    places = [(layer.name, (layer,)) for layer in model.layers]
    skipped = set() if skip is None else covered_layers(skip, places, "skip")
    annotator = _Annotator(preserve, skipped)
    annotated = tf_keras().models.clone_model(model, clone_function=annotator)
    if not annotated.built:
        annotated.build_from_config(model.get_build_config())
    if not annotator.done:
        raise ValueError(f"TFMOT can quantize no layer of model '{model.name}'.")
    # Only now, as a layer has no weights before it is built.
    for layer, fresh in annotator.copies:
        _keras.copy_state(layer, fresh)
    # TFMOT rebuilds layers from their configs, so it has to know their classes.
    with tfmot().quantization.keras.quantize_scope(annotator.classes):
        quantized = tfmot().quantization.keras.quantize_apply(
            annotated, scheme=_scheme(preserve)
        )
    plain = {layer.name: layer for layer in quantized.layers}
    for layer in annotator.kept:
        # TFMOT copies all layers once more, but only their weights, so state such as a
        # vocabulary is missing from layers that stay float.
        if layer.name in plain:
            _keras.copy_state(layer, plain[layer.name])
    if preserve in ("sparsity", "both"):
        _keep_zeros(quantized)
    _keras.compile_like(model, quantized)
    return Converted(
        quantized, LayerReport(tuple(annotator.done), tuple(annotator.skipped))
    )


def _plain_scheme() -> Any:
    return tfmot().quantization.keras.default_8bit.Default8BitQuantizeScheme()


def _scheme(preserve: str) -> Any:
    combine = tfmot("python.core.api.experimental.combine")
    if preserve == "none":
        return _plain_scheme()
    if preserve == "sparsity":
        scheme = combine.Default8BitPrunePreserveQuantizeScheme()
    else:
        scheme = combine.Default8BitClusterPreserveQuantizeScheme(preserve == "both")
    # Its registry claims to support layers without weights, such as Rescaling, but
    # raises an error when asked for their config.
    plain = _plain_scheme().get_quantize_registry()
    registry = scheme.get_quantize_registry()
    claims = registry.supports
    registry.supports = lambda layer: claims(layer) and plain.supports(layer)
    scheme.get_quantize_registry = lambda: registry
    return scheme


class _Annotator:
    """Copies a layer and annotates it for quantization if TFMOT supports it."""

    def __init__(self, preserve: str, skipped: set[int]) -> None:
        self._skips = skipped
        self._plain = _plain_scheme().get_quantize_registry()
        self._preserving = _scheme(preserve).get_quantize_registry()
        self.done: list[tuple[str, str]] = []
        self.skipped: list[Skipped] = []
        self.copies: list[tuple[Any, Any]] = []
        self.kept: list[Any] = []
        self.classes: dict[str, Any] = {}

    def __call__(self, layer: Any) -> Any:
        if isinstance(layer, tf_keras().Model):
            self._keep(layer, "TFMOT leaves nested models float")
            return _keras.copy_model(layer)
        fresh = _keras.copy_layer(layer)
        self.copies.append((layer, fresh))
        self.classes[type(layer).__name__] = type(layer)
        if id(layer) in self._skips:
            self._keep(layer, "skip")
            return fresh
        name = type(layer).__name__
        if not self._plain.supports(layer) and not _is_folded(layer):
            self._keep(layer, f"TFMOT does not know how to quantize {name}")
            return fresh
        self.done.append((layer.name, "int8"))
        return tfmot().quantization.keras.quantize_annotate_layer(
            fresh, self._config(layer, fresh)
        )

    def _keep(self, layer: Any, reason: str) -> None:
        self.kept.append(layer)
        self.skipped.append(Skipped(layer.name, reason))

    def _config(self, layer: Any, fresh: Any) -> Any:
        """Return the plain config for a layer that the scheme does not support.

        `None` lets the scheme choose.
        """
        if self._preserving.supports(layer) or _is_folded(layer):
            return None
        return self._plain.get_quantize_config(fresh)


def _is_folded(layer: Any) -> bool:
    """Return True if TFMOT folds a normalization into its producer."""
    before = [node.inbound_layers for node in layer._inbound_nodes]
    return isinstance(layer, tf_keras().layers.BatchNormalization) and all(
        type(other).__name__ in _FOLDING
        and other.get_config()["activation"] == "linear"
        for other in before
    )


def _keep_zeros(model: Any) -> None:
    """Constrain each weight with zeros to keep them."""
    handle = _keras.variables_of(model)
    for layer in model.layers:
        for variable, *_ in getattr(layer, "_weight_vars", ()):
            if not np.all(handle.read(variable)):
                _keras.keep_zeros(handle, variable)
    _keras.keep_zeros_of(model)  # Also in layers that stay float.
