"""A push service, and browsers without windows: ``python -m acceptance.push_service CERTIFICATE KEY``.

It serves on 127.0.0.1 until SIGTERM. Its first line is the ports for HTTPS and for the WebSockets of Firefox, as JSON.
``GET /subscribe`` makes a browser, and answers with its subscription. Each message for one of these is decrypted, the
signature of its sender is checked, and a line says when that was done: seconds on the monotonic clock of the machine.
"""

from __future__ import annotations

import json
import secrets
import sys
import time
from pathlib import Path
from typing import Any, Final

from twisted.internet.ssl import PrivateCertificate
from twisted.web.server import Request, Site

from tests.support.firefox_push import PushServer
from tests.support.push_browser import Browser, claims_of


class Service(PushServer):
    """The service of Firefox, and these browsers."""

    def __init__(self) -> None:
        super().__init__()
        self._browsers: Final[dict[str, Browser]] = {}

    def render_GET(self, request: Request) -> bytes:  # noqa: N802  Twisted's name
        """Let a browser subscribe."""
        channel = secrets.token_hex(8)
        browser = self._browsers[channel] = Browser()
        request.setHeader("Content-Type", "application/json")
        return browser.target(f"{self.origin}/send/{channel}").encode()

    def render_POST(self, request: Request) -> bytes:  # noqa: N802  Twisted's name
        """Take a message."""
        channel = request.path.decode("ascii").rpartition("/")[2]
        browser = self._browsers.get(channel)
        if browser is None:
            return super().render_POST(request)
        content: Any = request.content
        message = json.loads(browser.read(content.read()))
        claims, _ = claims_of(request.getHeader("authorization") or "")
        headers = {name: request.getHeader(name) for name in ("ttl", "urgency", "topic")}
        line = {"at": time.monotonic(), "place": channel, "message": message, "claims": claims, **headers}
        print(json.dumps(line), flush=True)
        request.setResponseCode(201)
        return b""


def main(certificate: str, key: str) -> None:
    """Serve."""
    from twisted.internet import reactor as installed

    reactor: Any = installed
    service = Service()
    tls = PrivateCertificate.loadPEM(Path(certificate).read_bytes() + Path(key).read_bytes()).options()
    site = Site(service, logFormatter=lambda *_: "served")
    port = reactor.listenSSL(0, site, tls, interface="127.0.0.1").getHost().port
    sockets = reactor.listenTCP(0, service.sockets, interface="127.0.0.1").getHost().port
    service.origin = f"https://localhost:{port}"
    print(json.dumps({"port": port, "sockets": sockets}), flush=True)
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])
