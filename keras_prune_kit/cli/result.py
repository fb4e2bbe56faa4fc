"""The result of a command."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Result:
    """The result of a command, for people and for programs.

    Attributes:
        text: Text to print.
        data: The same as plain data.
    """

    text: str
    data: dict[str, Any]

    def to_json(self, notes: Sequence[str] = ()) -> str:
        """Return the data as JSON, in which NaN and infinity become null."""
        data = {**self.data, "notes": list(notes)}
        # Python would write NaN, which JSON does not have.
        return json.dumps(_finite(data), indent=2, allow_nan=False)


def _finite(item: Any) -> Any:
    if isinstance(item, dict):
        return {key: _finite(value) for key, value in item.items()}
    if isinstance(item, list | tuple):
        return [_finite(value) for value in item]
    return None if isinstance(item, float) and not math.isfinite(item) else item
