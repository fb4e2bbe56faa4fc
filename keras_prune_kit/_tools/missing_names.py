"""Errors for names that a module does not have: mistyped ones, and those of TFMOT."""

from __future__ import annotations

from collections.abc import Iterable

from keras_prune_kit._tools.spelling import did_you_mean

_PRUNING = "kpk.PruningCallback(policy) in fit; kpk.tfmot.wrap keeps TFMOT's wrappers"
_STRIPPING = "nothing: there is no wrapper to remove (kpk.tfmot.strip for TFMOT's)"
_LOADING = "kpk.tfmot.load(path)"
_OWN_LAYERS = "kpk.PrunableLayer: the method get_prunable_weights() on any layer"
_QUANTIZING = "kpk.quantize_aware(model)"
_SOME_LAYERS = "kpk.quantize_aware(model, skip=...), which names those to leave out"
_CLUSTERING = "kpk.ClusteringCallback(16) in fit; kpk.tfmot.cluster keeps the wrappers"

# What does the job of each name that TFMOT has.
INSTEAD_OF_TFMOT = {
    "ClusterableLayer": "kpk.ClusteringCallback(16, match=...), which names the layers",
    "ClusteringSummaries": "kpk.ClusteringCallback, whose report counts the values",
    "PruneForLatencyOnXNNPack": "kpk.compress(..., speedup=2.0)",
    "PruneLowMagnitude": _PRUNING,
    "PruningPolicy": "kpk.PrunePolicy with a kpk.Rule for each kind of layer",
    "PruningSchedule": "kpk.PolynomialDecay, kpk.CosineDecay or kpk.ConstantSparsity",
    "PruningSummaries": "kpk.SparsitySummaries(log_dir)",
    "QuantizeConfig": _SOME_LAYERS,
    "UpdatePruningStep": "kpk.PruningCallback(policy), or kpk.tfmot.callbacks()",
    "cluster_scope": _LOADING,
    "cluster_weights": _CLUSTERING,
    "clustering": _CLUSTERING,
    "prune_low_magnitude": _PRUNING,
    "prune_scope": _LOADING,
    "quantization": _QUANTIZING,
    "quantize_annotate_layer": _SOME_LAYERS,
    "quantize_annotate_model": _SOME_LAYERS,
    "quantize_apply": _QUANTIZING,
    "quantize_model": _QUANTIZING,
    "quantize_scope": _LOADING,
    "sparsity": _PRUNING,
    "strip_clustering": _STRIPPING,
    "strip_pruning": _STRIPPING,
}


def missing_name(module: str, name: str, known: Iterable[str]) -> AttributeError:
    """Return the error for a name that a module does not have.

    Args:
        module: The name of the module.
        name: The name that was looked up.
        known: The public names of the module.
    """
    message = f"{module} has no name '{name}'."
    if name in INSTEAD_OF_TFMOT:
        message += f" TFMOT has it; here it is {INSTEAD_OF_TFMOT[name]}."
    elif not name.startswith("_"):  # Python itself looks for those, often in vain.
        message += did_you_mean(name, known)
    # Python would append a suggestion of its own if it knew the object.
    return AttributeError(message, name=name, obj=None)
