"""The guide of loops, whose steps are those of the backend that it runs on."""

import runpy
from pathlib import Path

import pytest

GUIDES = Path(__file__).parents[2] / "examples" / "guides"


def test_custom_loops(monkeypatch):
    monkeypatch.setenv("QUICK", "1")
    guide = runpy.run_path(str(GUIDES / "02_custom_loops.py"))
    assert guide["pruner"].report().sparsity == pytest.approx(0.8, abs=1e-3)
    assert guide["accuracy"] > 0.94
