"""Notebooks as pages: the tutorial and the guides."""

from __future__ import annotations

from pathlib import Path

import nbformat
from docstrings import linked
from nbconvert import MarkdownExporter

_EXAMPLES = Path(__file__).parents[2] / "examples"


def notebooks() -> list[Path]:
    """Return the notebooks to show, in order; there may be none."""
    folders = (_EXAMPLES, _EXAMPLES / "guides")
    return [path for folder in folders for path in sorted(folder.glob("*.ipynb"))]


def converted(path: Path) -> dict[str, str | bytes]:
    """Return the page of a notebook, and its pictures, by their names."""
    notebook = nbformat.read(path, as_version=4)
    # Jupytext leaves it out; without it, code has no colours.
    notebook.metadata.setdefault("language_info", {"name": "python"})
    resources = {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
    body, resources = MarkdownExporter().from_notebook_node(notebook, resources)
    return {f"{path.stem}.md": linked(body), **resources["outputs"]}
