"""Marks for the cases of a parametrized test."""

import pytest


def slow(*values):
    """Mark a case as slow: a quicker one beside it stands for it."""
    return pytest.param(*values, marks=pytest.mark.slow)
