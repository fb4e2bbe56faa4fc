"""Hooks of mkdocs that generate all pages and the navigation; none is committed."""

from __future__ import annotations

import re
from typing import Any

from command_line import command_line
from docstrings import linked
from guides import guide
from links import PICTURES, REPOSITORY, for_site, notebooks
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from names import BRIDGE, PUBLIC, defined, groups

import keras_prune_kit as kpk

_TITLE = re.compile(r"^(\S.*):$", re.MULTILINE)
# Of a page that has no others beside it.
_WIDE = "---\nhide: [navigation]\n---\n\n"


def on_config(config: MkDocsConfig) -> None:
    """Set the navigation."""
    guides = [f"guides/{path.stem}.md" for path in notebooks()]
    config.nav = [
        {"Home": "index.md"},
        *([{"Guides": guides}] if guides else []),
        {"Reference": ["reference/index.md", *_reference()]},
        {"Command line": "command_line.md"},
        {"Changelog": "changelog.md"},
    ]


def on_files(files: Files, config: MkDocsConfig) -> None:
    """Add the generated pages, and the pictures that the README shows."""
    for uri, content in _pages().items():
        files.append(File.generated(config, uri, content=content))
    for path in sorted((REPOSITORY / PICTURES).iterdir()):
        uri = f"{PICTURES}/{path.name}"
        files.append(File.generated(config, uri, abs_src_path=str(path)))


def _reference() -> list[Any]:
    """Return the groups of the navigation, with a page for each name."""
    return [
        {title: [{name: _page(name)} for name in names]}
        for title, names in groups().items()
    ]


def _page(name: str) -> str:
    return f"reference/{name}.md"


def _pages() -> dict[str, str | bytes]:
    """Return what stands on each page, or in each picture of a notebook."""
    pages: dict[str, str | bytes] = {
        "index.md": _file("README.md"),
        "changelog.md": _file("CHANGELOG.md"),
        "command_line.md": _WIDE + command_line(),
        "reference/index.md": _overview(),
        _page(BRIDGE): f"::: keras_prune_kit.{BRIDGE}\n    options: {{members: false}}",
    }
    for name in PUBLIC - {BRIDGE}:
        pages[_page(name)] = f"::: {defined(name)}\n    options: {{heading: {name}}}"
    for path in notebooks():
        pages |= {f"guides/{name}": text for name, text in guide(path).items()}
    return pages


def _overview() -> str:
    """Return the page of all public names, which is the docstring of the package."""
    return "# Reference\n\n" + _TITLE.sub(r"## \1", linked(kpk.__doc__ or ""))


def _file(name: str) -> str:
    """Return a Markdown file of the repository as a page."""
    source = REPOSITORY / name
    return _WIDE + linked(for_site(source.read_text("utf-8"), source))
