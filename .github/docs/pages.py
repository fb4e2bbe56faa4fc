"""Hooks of mkdocs that generate all pages and the navigation; none is committed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from command_line import command_line
from docstrings import linked
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from names import BRIDGE, defined, groups, of_bridge
from notebooks import converted, notebooks

import keras_prune_kit as kpk

_REPOSITORY = Path(__file__).parents[2]
_GITHUB = "https://github.com/keras-prune-kit/keras-prune-kit/blob/main/"
_RAW = "https://raw.githubusercontent.com/keras-prune-kit/keras-prune-kit/main/"
_RELATIVE = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#]+)")
_TITLE = re.compile(r"^(\S.*):$", re.MULTILINE)
# Of a page that has no others beside it.
_WIDE = "---\nhide: [navigation]\n---\n\n"
_PICTURES = "examples/pictures"


def on_config(config: MkDocsConfig) -> None:
    """Set the navigation."""
    config.nav = [
        {"Home": "index.md"},
        *([{"Guides": guides}] if (guides := _guides()) else []),
        {"Reference": ["reference/index.md", *_reference()]},
        {"Command line": "command_line.md"},
        {"Changelog": "changelog.md"},
    ]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated pages, and the pictures that the README shows."""
    for uri, content in _pages().items():
        files.append(File.generated(config, uri, content=content))
    for path in sorted((_REPOSITORY / _PICTURES).iterdir()):
        uri = f"{_PICTURES}/{path.name}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))


def _guides() -> list[str]:
    return [f"guides/{path.stem}.md" for path in notebooks()]


def _reference() -> list[Any]:
    """Return the groups of the navigation, with a page for each name."""
    found: list[Any] = []
    for title, names in groups().items():
        pages: list[Any] = [{name: _page(name)} for name in names if name != BRIDGE]
        if BRIDGE in names:
            pages.append(_page(BRIDGE))
            pages += [{name: _page(f"{BRIDGE}.{name}")} for name in of_bridge()]
        found.append({title: pages})
    return found


def _page(name: str) -> str:
    return f"reference/{name}.md"


def _pages() -> dict[str, str | bytes]:
    """Return what stands on each page, or in each picture of a notebook."""
    pages: dict[str, str | bytes] = {
        "index.md": _WIDE + _here("README.md"),
        "changelog.md": _WIDE + _here("CHANGELOG.md"),
        "command_line.md": _WIDE + command_line(),
        "reference/index.md": _overview(),
        _page(BRIDGE): f"::: keras_prune_kit.{BRIDGE}\n    options: {{members: false}}",
    }
    names = [name for group in groups().values() for name in group if name != BRIDGE]
    for name in [*names, *(f"{BRIDGE}.{name}" for name in of_bridge())]:
        pages[_page(name)] = f"::: {defined(name)}\n"
    for path in notebooks():
        pages |= {f"guides/{name}": text for name, text in converted(path).items()}
    return pages


def _overview() -> str:
    """Return the page of all public names, which is the docstring of the package."""
    return "# Reference\n\n" + _TITLE.sub(r"## \1", linked(kpk.__doc__ or ""))


def _here(file: str) -> str:
    """Return a Markdown file of the repository with links that work on the site."""
    text = (_REPOSITORY / file).read_text("utf-8")
    text = _RELATIVE.sub(_address, text.replace(_RAW + _PICTURES, _PICTURES))
    return linked(text)


def _address(link: re.Match[str]) -> str:
    """Return the address of a file of the repository: here, or else on GitHub."""
    target = link[0]
    if target == "CHANGELOG.md":
        return "changelog.md"
    if target.startswith(_PICTURES):
        return target
    if _REPOSITORY / target in notebooks():
        return f"guides/{Path(target).stem}.md"
    if not (_REPOSITORY / target).exists():
        raise PluginError(f"README.md or CHANGELOG.md links to {target}: no such file.")
    return _GITHUB + target
