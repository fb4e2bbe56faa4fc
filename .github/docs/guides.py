"""Notebooks as pages: the tutorial and the guides."""

from __future__ import annotations

from pathlib import Path

import nbformat
from docstrings import linked
from links import for_site
from nbconvert import MarkdownExporter


def guide(path: Path) -> dict[str, str | bytes]:
    """Return the page of a notebook, and the pictures in it, by their names."""
    notebook = nbformat.read(path, as_version=4)
    # Jupytext leaves it out; without it, code has no colours.
    notebook.metadata.setdefault("language_info", {"name": "python"})
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = linked(for_site(cell.source, path))
    resources = {"output_files_dir": f"{path.stem}_files", "unique_key": path.stem}
    body, resources = MarkdownExporter().from_notebook_node(notebook, resources)
    return {f"{path.stem}.md": body, **resources["outputs"]}
