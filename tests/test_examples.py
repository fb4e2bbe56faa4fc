"""The notebooks are the scripts that they are made from; their links lead on."""

import re
from pathlib import Path

import jupytext
import nbformat
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(ROOT.glob("examples/**/*.ipynb"))
GUIDES = sorted(ROOT.glob("examples/guides/*.py"))
LINK = re.compile(r"\]\(([^)#:]+)\)")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_says_what_its_script_says(path):
    notebook = nbformat.read(path, as_version=4)
    script = jupytext.read(path.with_suffix(".py"))
    made = path.with_suffix(".py").relative_to(ROOT)
    assert [(c.cell_type, c.source) for c in notebook.cells] == [
        (c.cell_type, c.source) for c in script.cells
    ], f"Make it again: jupytext --to notebook {made}"
    assert not any(cell.get("outputs") for cell in notebook.cells), "strip the outputs"


@pytest.mark.parametrize("path", GUIDES, ids=lambda path: path.stem)
def test_a_guide_is_a_notebook_in_the_index_that_leads_on(path):
    index = (path.parent / "README.md").read_text("utf-8")
    text = path.read_text("utf-8")
    assert path.with_suffix(".ipynb").exists()
    assert f"({path.stem}.ipynb)" in index
    for part in ("**At the end you", "## What can go wrong", "## Next"):
        assert part in text


def test_links_of_the_guides_lead_to_files():
    missing = []
    for path in [*GUIDES, ROOT / "examples/guides/README.md"]:
        targets = LINK.findall(path.read_text("utf-8").replace("\n# ", " "))
        missing += [
            f"{path.name}: {target}"
            for target in targets
            if not (path.parent / target).exists()
        ]
    assert missing == []
