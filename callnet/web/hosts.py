"""Which names the operator's listener answers to, against DNS rebinding.

A page of anybody's that has its own name point to 127.0.0.1 may ask what listens there, in the browser of whoever
visits it. It cannot keep the browser from saying by which name it asks (RFC 9110 §7.2).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address
from typing import Final

_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+))(?::[0-9]*)?")


def is_ours(host: str | None, names: Collection[str]) -> bool:
    """Tell whether it may be asked by this ``Host``.

    It may by an address, which no name leads to, as ``localhost``, and by ``names``. No browser leaves the header out.
    """
    if host is None:
        return True
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name = (found["v6"] or found["name"]).lower().removesuffix(".")
    return name == "localhost" or name in names or _is_address(name)


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True
