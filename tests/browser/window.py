"""A window of any size, for whoever looks at the layout of its page and needs no picture of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Final

from playwright.sync_api import CDPSession, Page

_SCALE: Final = 0.1
"""The scale at which a page is painted; its layout is as at 1."""

Resize = Callable[[int, int], None]
"""Makes a window this wide and high, in CSS pixels."""


@contextmanager
def resized(page: Page, *, is_painted: bool = False) -> Iterator[Resize]:
    """A function that resizes the window of a page; in the end its size is as before.

    :param is_painted: there may be pictures.
    """
    before = page.viewport_size
    assert before is not None
    if is_painted:
        yield lambda width, height: page.set_viewport_size({"width": width, "height": height})
    else:
        session = page.context.new_cdp_session(page)
        try:
            yield partial(_resize, session)
        finally:
            session.detach()
            # Playwright, which does not know of this, sets no size that it has set before.
            page.set_viewport_size({**before, "height": before["height"] + 1})
            page.set_viewport_size(before)


def _resize(session: CDPSession, width: int, height: int) -> None:
    screen = {"width": width, "height": height, "screenWidth": width, "screenHeight": height}
    metrics = {**screen, "deviceScaleFactor": 1, "mobile": False, "scale": _SCALE}
    session.send("Emulation.setDeviceMetricsOverride", metrics)
