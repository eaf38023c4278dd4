"""Contact sheets: many screenshots on one picture, which a browser lays out."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser

WIDTH: Final = 2400
"""Pixels across a sheet."""
_QUALITY: Final = 60
"""Of the JPEG, in percent: words can be read."""

_STYLE: Final = """
    body { margin: 0; padding: 12px; display: grid; gap: 12px; background: #d9dee3; font: 20px sans-serif; }
    figure { margin: 0; }
    img { display: block; width: 100%; }
    figcaption { padding: 3px 0; }
"""


def draw_sheet(browser: Browser, screenshots: Mapping[str, bytes], columns: int, path: Path) -> None:
    """Write a JPEG with all of the screenshots, which are PNG and have names, in rows of ``columns``."""
    figures = "".join(
        f"<figure><img src='data:image/png;base64,{base64.b64encode(picture).decode()}'>"
        f"<figcaption>{html.escape(name)}</figcaption></figure>"
        for name, picture in screenshots.items()
    )
    page = browser.new_page(viewport={"width": WIDTH, "height": 100})
    page.set_content(f"<style>{_STYLE} body {{ grid-template-columns: repeat({columns}, 1fr); }}</style>{figures}")
    page.screenshot(path=path, full_page=True, quality=_QUALITY)
    page.close()
