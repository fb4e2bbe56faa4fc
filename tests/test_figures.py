"""The figures on the pages are those of the recorded runs."""

import importlib.util
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
_SCRIPT = ROOT / "examples" / "benchmarks" / "figures.py"
# Versions and licences.
_NOT_MEASURED = re.compile(r"Apache-2\.0|CC BY 4\.0")


@pytest.fixture(scope="module")
def figures():
    spec = importlib.util.spec_from_file_location("figures", _SCRIPT)
    module = importlib.util.module_from_spec(spec)
    sys.modules["figures"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["figures"]


def test_figures_on_the_pages_are_those_of_the_recorded_runs(figures):
    found = [(page, right) for page, _, right in figures.differences()]
    assert found == [], "python examples/benchmarks/figures.py --write mends them"


def test_a_figure_that_differs_is_found_and_mended(figures, tmp_path, monkeypatch):
    sentence, page = "a net is {ratio}x smaller at {score}", tmp_path / "page.md"
    page.write_text("So a net is 3.1x\nsmaller at 0.9. Not 3.1.")
    monkeypatch.setattr(figures, "ROOT", tmp_path)
    monkeypatch.setattr(figures, "PICTURE", tmp_path / "picture.png")
    right = {"ratio": "4.2", "score": "0.9"}
    monkeypatch.setattr(figures, "SENTENCES", [("page.md", sentence, lambda: right)])
    assert [figure for *_, figure in figures.differences()] == ["4.2"]
    figures.write()
    assert page.read_text() == "So a net is 4.2x\nsmaller at 0.9. Not 3.1."
    assert (tmp_path / "picture.png").stat().st_size > 5_000
    page.write_text("Nothing.")
    with pytest.raises(ValueError, match="once"):
        list(figures.differences())


def test_every_decimal_of_the_readme_is_a_recorded_figure(figures):
    text = (ROOT / "README.md").read_text("utf-8")
    spans = [
        match.span()
        for page, sentence, _ in figures.SENTENCES
        if page == "README.md"
        for match in figures.pattern(sentence).finditer(text)
    ]
    # Code is executed elsewhere, and names of files and policies are no figures.
    code = [m.span() for m in re.finditer(r"```.*?```|`[^`]*`|\]\([^)]*\)", text, re.S)]
    exempt = [m.span() for m in _NOT_MEASURED.finditer(text)]
    names = [m.span() for m in re.finditer(r"MobileNet 0\.25", text)]
    known = [*spans, *code, *exempt, *names]
    loose = [
        match.group()
        for match in re.finditer(r"\d+\.\d+", text)
        if not any(a <= match.start() and match.end() <= b for a, b in known)
    ]
    assert loose == []
