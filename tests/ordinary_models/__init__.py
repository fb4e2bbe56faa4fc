"""Ordinary models, as people bring them, trained to something that can be measured."""

from ordinary_models import (  # noqa: F401
    own_parts,
    pictures,
    preprocessing,
    scoring,
    sequences,
    several,
    shapes,
)
from ordinary_models.entry import CATALOGUE

__all__ = ["CATALOGUE"]
