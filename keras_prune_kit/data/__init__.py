"""Data sets that are part of the package."""
