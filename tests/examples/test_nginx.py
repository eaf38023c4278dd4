"""nginx in front of callnet on one machine, by its example."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import Agent

from callnet.config.load import load
from tests.examples.balancers import LOGINS, BehindTestCase, Nginx
from tests.support.shared_daemon import shared_daemon

SOCKETS: Final = re.compile(r"^#     (\[listeners\]\n(?:#     .*\n)+)", re.MULTILINE)
"""The example's settings of callnet."""
ADMIN: Final = '[{ endpoint = "tcp:0:interface=127.0.0.1" }]'

reactor: Any = installed


def shown() -> str:
    """The settings of callnet that the example shows."""
    [found] = SOCKETS.findall(Nginx.example.read_text(encoding="utf-8"))
    return re.sub(r"^#     ", "", found, flags=re.MULTILINE)


@cache
def folder_of_sockets() -> str:
    """Where callnet listens."""
    folder = tempfile.mkdtemp(prefix="callnet-nginx-")  # paths of sockets are short
    atexit.register(shutil.rmtree, folder)
    return folder


class SettingsTests(SynchronousTestCase):
    """The settings of callnet that the example shows."""

    def test_callnet_takes_them(self) -> None:
        """They are settings, and nobody else listens where nginx does."""
        path = self.mktemp()
        Path(path).write_text(f"accounts.open_enrolment_on_network = true\n{shown()}", encoding="utf-8")
        listeners = load(path, {}).listeners
        for listener in (*listeners.account, *listeners.signaling, *listeners.site):
            self.assertTrue(listener.endpoint.startswith("unix:/run/callnet/"))
            self.assertEqual((list(listener.proxy_protocol), listener.tls), (["unix"], False))


class NginxTests(BehindTestCase):
    """One node behind it."""

    async def begin(self, is_second: bool = False) -> None:
        """Have callnet, and start nginx."""
        self.sockets = sockets = folder_of_sockets()
        settings = f"""
            accounts.open_enrolment_on_network = true
            limits.logins_a_minute_from_an_address = {LOGINS}
        """
        listeners = shown().replace("/run/callnet", sockets) + f"admin = {ADMIN}"
        self.nodes = [await shared_daemon(self, settings, listeners=listeners)]
        folder = self.mktemp()
        os.makedirs(folder)
        self.balancer = nginx = Nginx(folder, sockets, is_second)
        self.certificate = nginx.certificate
        nginx.start()
        self.addCleanup(nginx.stop)
        await nginx.says(nginx.started)

    async def test_devices_and_pages_come_through(self) -> None:
        """Devices log in and call each other, the page comes over TLS, and callnet sees the addresses of clients."""
        await self.begin()
        await self.assert_comes_through()

    async def test_who_may_connect(self) -> None:
        """Only users of callnet's group can connect to it past nginx on this machine."""
        await self.begin()
        modes = {each.stat().st_mode & 0o777 for each in Path(self.sockets).iterdir() if each.is_socket()}
        self.assertEqual(modes, {0o660})

    async def test_a_reload(self) -> None:
        """A reload closes no connection of a device, and later clients are served."""
        await self.begin()
        await self.assert_reload_loses_nothing()

    async def test_limits(self) -> None:
        """The limits go by the addresses of clients."""
        await self.begin(is_second=True)
        await self.assert_limits_go_by_clients()

    async def test_who_comes_without_tls(self) -> None:
        """A page requested without TLS is redirected to the site, without anything of the request."""
        await self.begin()
        url = f"{self.balancer.url('web')}/socket.io?token=secret"
        response = await Agent(reactor).request(b"GET", url.encode())
        self.assertEqual(response.code, 301)
        self.assertEqual(response.headers.getRawHeaders("location"), ["https://calls.example.org/"])
        self.assertNotIn(b"token", self.balancer.said)
