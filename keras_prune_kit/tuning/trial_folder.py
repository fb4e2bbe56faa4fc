"""What a trial leaves in its folder."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_tuner.errors import FatalValueError

from keras_prune_kit.files import replacing, replacing_folder
from keras_prune_kit.tflite import TFLiteModel

# As KerasTuner calls it, for `get_best_models` to find.
WEIGHTS = "checkpoint.weights.h5"
MODEL = "model.keras"
TFLITE = "model.tflite"
RECORD = "compression.json"
_SEARCH = "compression_search.json"


@dataclass(frozen=True)
class TrialFolder:
    """The folder of a trial, which KerasTuner makes.

    Args:
        path: Where it is, in the folder of the search.
    """

    path: Path

    def claim(self, search: dict[str, Any]) -> None:
        """Says what search this is, or finds that it is another.

        Args:
            search: What tells searches apart, as plain data.

        Raises:
            FatalValueError: If the folder holds the trials of another one.
        """
        mark = self.path.parent / _SEARCH
        if mark.exists():
            found = json.loads(mark.read_text("utf-8"))
            parts = [
                f"{key} {found.get(key)}, now {now}"
                for key, now in search.items()
                if found.get(key) != now
            ]
            if parts:
                raise FatalValueError(self._refusal("; ".join(parts)))
        elif any(self.path.parent.glob("trial_*/*.h5")):
            raise FatalValueError(self._refusal("trials of no CompressionHyperModel"))
        else:
            with replacing(mark) as part:
                part.write_text(json.dumps(search, indent=2) + "\n", "utf-8")

    def write(self, model: Any, exported: TFLiteModel, record: dict[str, Any]) -> None:
        """Writes both models, and a record of what they are.

        Args:
            model: The Keras model at its target sparsity.
            exported: The file made of it.
            record: Plain data.
        """
        self.path.mkdir(parents=True, exist_ok=True)
        with replacing_folder(self.path) as part:
            model.save_weights(os.fspath(part / WEIGHTS))
            model.save(os.fspath(part / MODEL))
            exported.save(part / TFLITE)
            (part / RECORD).write_text(json.dumps(record, indent=2) + "\n", "utf-8")

    def _refusal(self, received: str) -> str:
        return (
            f"{self.path.parent} holds another search ({received}). Give the tuner "
            "another project_name, or overwrite=True to throw that one away."
        )
