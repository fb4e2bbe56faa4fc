"""Links of the repository's files, so that they are right on the site."""

from __future__ import annotations

import os
import re
from pathlib import Path

from mkdocs.exceptions import PluginError

REPOSITORY = Path(__file__).parents[2]
PICTURES = "examples/pictures"
_GITHUB = "https://github.com/keras-prune-kit/keras-prune-kit/blob/main/"
_RAW = "https://raw.githubusercontent.com/keras-prune-kit/keras-prune-kit/main/"
_RELATIVE = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)")
_PAGES = {"README.md": "index.md", "CHANGELOG.md": "changelog.md"}


def notebooks() -> list[Path]:
    """Return the notebooks to show, in order; there may be none."""
    folders = (REPOSITORY / "examples", REPOSITORY / "examples" / "guides")
    return [path for folder in folders for path in sorted(folder.glob("*.ipynb"))]


def page_of(path: Path) -> str | None:
    """Return the page or picture of the site that shows a file; `None` for no page."""
    if path in notebooks():
        return f"guides/{path.stem}.md"
    file = path.relative_to(REPOSITORY).as_posix()
    return file if file.startswith(PICTURES) else _PAGES.get(file)


def for_site(text: str, source: Path) -> str:
    """Return Markdown whose links to files lead to the site, or else to GitHub.

    Args:
        text: Markdown.
        source: The file of the repository that it is from, which has a page.

    Raises:
        PluginError: If it links to a file that does not exist.
    """
    here = os.path.dirname(page_of(source) or "")

    def address(link: re.Match[str]) -> str:
        target = Path(os.path.normpath(source.parent / link[0]))
        if not target.exists():
            raise PluginError(f"{source.name} links to {link[0]}: no such file.")
        page = page_of(target)
        if page is None:
            return _GITHUB + target.relative_to(REPOSITORY).as_posix()
        return os.path.relpath(page, here or ".")

    up = os.path.relpath(REPOSITORY, source.parent)
    return _RELATIVE.sub(address, text.replace(_RAW + PICTURES, f"{up}/{PICTURES}"))
