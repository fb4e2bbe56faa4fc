"""keras_prune_kit: add one callback to `model.fit` and get a smaller model.

The usual spelling is `import keras_prune_kit as kpk`. Names are loaded when they are
first used, so the import itself costs next to nothing.
"""

import importlib
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_prune_kit.callbacks import (
        GzipSizeLogger,
        PruningCallback,
        TargetSparsityCheckpoint,
    )
    from keras_prune_kit.compression import CompressionReport, compress
    from keras_prune_kit.criteria import magnitude, random_scores
    from keras_prune_kit.policies import PrunePlan, PrunePolicy, Rule
    from keras_prune_kit.pruner import (
        IncompletePruningError,
        IncompletePruningWarning,
        MaskNotAppliedWarning,
        Pruner,
    )
    from keras_prune_kit.reports import SparsityReport
    from keras_prune_kit.schedules import (
        ConstantSparsity,
        CosineDecay,
        Epochs,
        Fraction,
        PolynomialDecay,
    )
    from keras_prune_kit.sizes import gzip_bytes
    from keras_prune_kit.sparsity import sparsity_report
    from keras_prune_kit.structures import Block, Channel, NofM, Unstructured
    from keras_prune_kit.tflite import TFLiteModel, export_tflite

__version__ = version("keras-prune-kit")

# Each public name once, with the module it lives in.
_MODULES = {
    "Block": "structures",
    "Channel": "structures",
    "CompressionReport": "compression",
    "ConstantSparsity": "schedules",
    "CosineDecay": "schedules",
    "Epochs": "schedules",
    "Fraction": "schedules",
    "GzipSizeLogger": "callbacks",
    "IncompletePruningError": "pruner",
    "IncompletePruningWarning": "pruner",
    "MaskNotAppliedWarning": "pruner",
    "NofM": "structures",
    "PolynomialDecay": "schedules",
    "PrunePlan": "policies",
    "PrunePolicy": "policies",
    "Pruner": "pruner",
    "PruningCallback": "callbacks",
    "Rule": "policies",
    "SparsityReport": "reports",
    "TFLiteModel": "tflite",
    "TargetSparsityCheckpoint": "callbacks",
    "Unstructured": "structures",
    "compress": "compression",
    "export_tflite": "tflite",
    "gzip_bytes": "sizes",
    "magnitude": "criteria",
    "random_scores": "criteria",
    "sparsity_report": "sparsity",
}

__all__ = sorted(_MODULES)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
