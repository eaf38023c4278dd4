"""The additions of callnet to Sphinx.

Blocks of ``sequence`` become diagrams, Chinese pages say that they are Chinese, and types in signatures need not be on
a page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from docutils import nodes

from tools.handbook import sequence
from tools.handbook.drawing import draw

LANGUAGES: Final = {"zh": "zh-CN"}
"""Of the folders with pages in other languages than English."""


def _draw(_app: Any, tree: nodes.document) -> None:
    """Put diagrams in the places of their texts. A text that is none is an error, and ends the build."""
    for block in list(tree.findall(nodes.literal_block)):
        if block.get("language") == "sequence":
            heading = block.parent.next_node(nodes.title)
            title = heading.astext() if heading is not None else "A diagram"
            picture = draw(sequence.read(block.astext()), title)
            block.replace_self(nodes.raw("", picture, format="html"))


def _tell_language(_app: Any, name: str, _template: str, context: dict[str, Any], _tree: nodes.document | None) -> None:
    folder = Path(name).parts[0]
    if folder in LANGUAGES:
        context["language"] = LANGUAGES[folder]


def _leave_types(_app: Any, _environment: Any, reference: nodes.Element, content: nodes.Node) -> nodes.Node | None:
    """Leave a type in a signature unchanged if it is not on any page; the targets of a docstring must be there."""
    is_of_signature = reference.get("refdomain") == "py" and not isinstance(content, nodes.literal)
    return content if is_of_signature else None


def setup(app: Any) -> dict[str, bool]:
    """Have Sphinx do so."""
    app.connect("doctree-read", _draw)
    app.connect("html-page-context", _tell_language)
    app.connect("missing-reference", _leave_types)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
