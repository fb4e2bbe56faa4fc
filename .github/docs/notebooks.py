"""Notebooks as pages: the tutorial and the guides."""

from __future__ import annotations

from pathlib import Path

from nbconvert import MarkdownExporter

EXAMPLES = Path(__file__).parents[2] / "examples"


def notebooks() -> list[Path]:
    """Return the notebooks to show, in order."""
    return [*sorted(EXAMPLES.glob("*.ipynb")), *sorted(EXAMPLES.glob("guides/*.ipynb"))]


def converted(path: Path) -> dict[str, str | bytes]:
    """Return the page of a notebook, and its pictures, by their names."""
    exporter = MarkdownExporter()
    body, resources = exporter.from_filename(
        str(path), {"output_files_dir": f"{path.stem}_files"}
    )
    return {f"{path.stem}.md": body, **resources["outputs"]}
