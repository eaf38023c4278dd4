"""The Sphinx configuration of the manual: ``make manual``."""

from __future__ import annotations

import re
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "clients" / "python")]

SHARED = ROOT / "callnet" / "static" / "shared"
NIGHT, DAY = (
    dict(re.findall(r"--([a-z-]+): (.+);", block)) for block in (SHARED / "look.css").read_text().split("}")[:2]
)
"""The colours of the pages, which are the manual's, too."""


def _colours(colours: dict[str, str]) -> dict[str, str]:
    """The names that Furo has for them."""
    names = {
        "brand-primary": "main",
        "brand-content": "good",
        "brand-visited": "accent",
        "background-primary": "surface",
        "background-secondary": "ground",
        "background-hover": "raised",
        "background-border": "line",
        "foreground-primary": "text",
        "foreground-secondary": "soft",
        "foreground-muted": "border",
    }
    return {f"color-{name}": colours[colour] for name, colour in names.items()}


project = "callnet"
author = "the authors of callnet"
copyright = author  # noqa: A001

extensions = ["myst_parser", "sphinx.ext.autodoc", "tools.handbook.extension"]
exclude_patterns = ["screens"]
myst_heading_anchors = 3
myst_enable_extensions = ["deflist"]
html_theme = "furo"
html_title = "callnet"
html_logo = html_favicon = str(SHARED / "icon.svg")
html_theme_options = {"light_css_variables": _colours(DAY), "dark_css_variables": _colours(NIGHT)}
html_static_path = ["_static"]
html_css_files = ["manual.css"]
html_copy_source = False
html_show_sphinx = False

autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented"
# What docstrings refer to must be there (tools/handbook/extension.py says what need not); names of others, and of what
# the client's package does not export, are on no page: the manual is built, and read, without a network.
nitpick_ignore_regex = [("py:.*", r"(?!callnet_client\.\w+$).*\..*")]
