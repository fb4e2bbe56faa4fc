"""Extension of griffe, which reads the package: docstrings as Markdown with links."""

from __future__ import annotations

import ast
import re
from typing import Any

import griffe
from names import BRIDGE, PUBLIC, defined

_EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
_DOCTEST = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
_FENCES = re.compile(r"(```.*?```)", re.DOTALL)
# A name in backticks, with or without `kpk.` and arguments: `Channel(axis=0)`.
_CODE = re.compile(r"(?<!\[)`(kpk\.)?((?:tfmot\.)?\w+)(?:\([^`]*\))?`")


def linked(text: str, path: str = "") -> str:
    """Return Markdown with links from public names to their pages.

    Args:
        text: Markdown.
        path: The dotted path of what it documents, which gets no link. In the bridge,
            a name is first of all its own. Defaults to none.
    """
    is_bridge = path.startswith(f"keras_prune_kit.{BRIDGE}")

    def link(code: re.Match[str]) -> str:
        own = f"{BRIDGE}.{code[2]}"
        name = own if is_bridge and not code[1] and own in PUBLIC else code[2]
        if name not in PUBLIC or defined(name) == path:
            return code[0]
        return f"[{code[0]}][{defined(name)}]"

    parts = _FENCES.split(text)
    return "".join(p if p.startswith("```") else _CODE.sub(link, p) for p in parts)


class Docstrings(griffe.Extension):
    """Links public names to their pages, and finds a class inside of a function."""

    def on_function_node(self, *, node: Any, agent: Any, **kwargs: Any) -> None:
        """Visit the class that a function of the bridge creates on its first call."""
        if node.name == "prunable_dense":
            for child in node.body:
                if isinstance(child, ast.ClassDef):
                    agent.visit(child)

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Turn a docstring into Markdown, with links."""
        if obj.docstring is not None:
            text = _EXAMPLE.sub("**Example:**", obj.docstring.value)
            text = _DOCTEST.sub(lambda code: f"```pycon\n{code[0]}\n```", text)
            obj.docstring.value = linked(text, obj.path)
