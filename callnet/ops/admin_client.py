"""Queries to a running daemon over its operator's listener. They block."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Mapping, Sequence
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import msgspec
from prometheus_client.parser import text_string_to_metric_families

from callnet.config import endpoints
from callnet.config.schema import ListenerSettings
from callnet.errors import CallnetError
from callnet.ops.readiness import Report
from callnet.util.net import bracketed

_LIMIT: Final = 5.0
"""Seconds that an answer may take."""
_ANSWERED: Final = (200, 503)

Numbers: TypeAlias = Mapping[tuple[str, str], float]
"""Metrics by name and label value, which may be empty."""


class NotRunning(CallnetError):
    """Nobody answers there, or not as callnet does."""


class Running:
    """One daemon: a process, or a parent with its workers.

    :param place: ``http://HOST:PORT``, or the path of a UNIX socket.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def report(self) -> Report:
        """Its readiness.

        :raises NotRunning: it does not answer.
        """
        try:
            return msgspec.json.decode(self._get("/readyz"), type=Report)
        except msgspec.MsgspecError:
            raise NotRunning(f"{self._place}: this is not callnet") from None

    def numbers(self) -> Numbers:
        """Its metrics.

        :raises NotRunning: it does not tell.
        """
        try:
            return {
                (sample.name, "".join(sample.labels.values())): sample.value
                for family in text_string_to_metric_families(self._get("/metrics").decode("utf-8"))
                for sample in family.samples
            }
        except ValueError:
            raise NotRunning(f"{self._place}: this is not callnet") from None

    def _get(self, path: str) -> bytes:
        connection = self._connection()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NotRunning(f"{self._place}: no answer from callnet: {cause}") from None
        finally:
            connection.close()
        if response.status not in _ANSWERED:
            raise NotRunning(f"{self._place}: this is not callnet")
        return body

    def _connection(self) -> http.client.HTTPConnection:
        if self._place.startswith("/"):
            return _ByPath(self._place)
        url = urlsplit(self._place)
        return http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=_LIMIT)


class _ByPath(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_LIMIT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def places(settings: ListenerSettings) -> Sequence[str]:
    """The addresses of the daemon with these settings, as :class:`Running` takes them.

    Those are left out of which only the daemon knows where they are.
    """
    found = []
    for listener in settings.admin:
        path, address = endpoints.path(listener.endpoint), endpoints.address(listener.endpoint)
        if listener.proxy_protocol or listener.tls:
            continue
        if path is not None:
            found.append(path)
        elif address is not None and address[1]:
            found.append(f"http://{bracketed(address[0])}:{address[1]}")
    return found


def found(settings: ListenerSettings) -> tuple[str, Report] | None:
    """The address at which the daemon with these settings answers, and its report; ``None``: it does not run."""
    for place in places(settings):
        try:
            return place, Running(place).report()
        except NotRunning:
            continue
    return None
