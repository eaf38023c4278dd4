"""The settings for waking devices, and a daemon that has them."""

from __future__ import annotations

import os
from pathlib import Path

from callnet.calls.ports import DeliveryResult
from callnet.calls.waking import WakeMessage
from callnet.config.schema import PushSettings
from callnet.model import DeviceAddress, RoomId
from callnet.push.waking import Waker
from tests.support.push_browser import Browser
from tests.support.tap_case import DaemonTestCase
from tests.unit.test_config import ENVIRON, FileTestCase
from tests.unit.test_push_outside import Names

HOSTS = 'push.allowed_hosts = ["push.example.org"]\n'
SUBJECT = 'push.subject = "mailto:ops@example.org"\n'
ROOM = RoomId("ab" * 16)
GATEWAY = 'push.gateway.url = "https://wake.example.org/"\n'
ALLOWED = 'push.allowed_networks = ["10.0.0.0/8", "fd00::/8"]\n'
SECRET = f'push.gateway.secret = "{"x" * 32}"\n'


class PushSettingsTests(FileTestCase):
    """``[push]``."""

    def test_nobody_is_woken(self) -> None:
        """Without settings nobody is woken."""
        settings = self.load("")
        self.assertEqual(PushSettings(vapid_key_file=settings.push.vapid_key_file), settings.push)
        self.assertEqual("/home/someone/.local/state/callnet/vapid.key", settings.push.vapid_key_file)

    def test_key_file(self) -> None:
        """Where the key is does not depend on where the daemon goes later."""
        self.assertEqual(str(Path.cwd() / "k"), self.load("push.vapid_key_file = 'k'", ENVIRON).push.vapid_key_file)

    def test_hosts(self) -> None:
        """Hosts are names in lower case, perhaps with a port, or all below a name."""
        for host in ("push.example.org", "*.notify.windows.com", "a-1.b", "push", "push.example.org:8443", "x1.y2z"):
            settings = self.load(f'{SUBJECT}push.allowed_hosts = ["{host}"]')
            self.assertEqual((host,), settings.push.allowed_hosts)
        for host in (
            "",
            "*",
            "*.",
            "Push.example.org",
            "https://push.example.org",
            "push.example.org/x",
            "push.example.org.",
            "push..org",
            "a.*.org",
            "x*.org",
            "-a.org",
            "127.0.0.1",
            "[::1]",
            "::1",
            "push.example.org:0",
            "push.example.org:x",
            "push.example.org:123456",
            "user@push.example.org",
            "a b",
            "a\\n",
            "é.org",
            "a" * 64,
            "a." * 150 + "a",
        ):
            refusal = self.refusal(f'{SUBJECT}push.allowed_hosts = ["push.example.org", "{host}"]')
            self.assertEqual(
                'push.allowed_hosts[1] must be a host such as "push.example.org", or "*.example.org" for all below it,'
                " in lower case",
                refusal,
                host,
            )

    def test_networks(self) -> None:
        """Networks have no host bits."""
        self.assertEqual(("10.0.0.0/8", "fd00::/8"), self.load(ALLOWED).push.allowed_networks)
        for network in ("", "10.0.0.1/8", "10.0.0.0/33", "push.example.org", "*"):
            refusal = self.refusal(f'push.allowed_networks = ["10.0.0.0/8", "{network}"]')
            self.assertIn("push.allowed_networks[1] must be one address, or a network", refusal, network)

    def test_subject(self) -> None:
        """Web Push needs a contact for push services."""
        self.assertIn("push.subject must be set", self.refusal(HOSTS))
        for subject in ("mailto:ops@example.org", "https://example.org/contact"):
            self.assertEqual(subject, self.load(f'{HOSTS}push.subject = "{subject}"').push.subject)
        for subject in ("ops@example.org", "mailto:", "mailto:ops", "http://example.org", "https://", "mailto:a@b c"):
            self.assertIn("push.subject must be a contact", self.refusal(f'push.subject = "{subject}"'), subject)

    def test_gateway(self) -> None:
        """A gateway needs a secret."""
        for secret in ("", f'push.gateway.secret = "{"x" * 31}"'):
            self.assertEqual("push.gateway.secret must have at least 32 characters", self.refusal(GATEWAY + secret))
        self.assertEqual("https://wake.example.org/", self.load(GATEWAY + SECRET).push.gateway.url)
        for wrong in ("ftp://x", "wake.example.org", "https://a b"):
            self.assertIn("push.gateway.url must be", self.refusal(f'push.gateway.url = "{wrong}"'))


class PushDaemonTests(DaemonTestCase):
    """A daemon with these settings."""

    def test_key(self) -> None:
        """Where there is Web Push the key is made at the first start, and stays."""
        self.compose()
        path = os.path.join(self.state_dir, "vapid.key")
        self.assertFalse(os.path.exists(path))
        self.compose(HOSTS + SUBJECT)
        key = Path(path).read_bytes()
        self.assertEqual(0o600, os.stat(path).st_mode & 0o777)
        self.compose(HOSTS + SUBJECT)
        self.assertEqual(key, Path(path).read_bytes())

    def test_bad_key(self) -> None:
        """An invalid key stops the start."""
        self.compose()
        Path(self.state_dir, "vapid.key").write_bytes(b"x")
        os.chmod(os.path.join(self.state_dir, "vapid.key"), 0o600)
        self.assertIn("push.vapid_key_file", self.refusal(HOSTS + SUBJECT))

    def test_served(self) -> None:
        """Devices register at the account service and at the site; the results of wakes are counted."""
        daemon = self.begin(self.compose(GATEWAY + SECRET))
        token = self.post(8083, "/account/login", phone="13651884967", device_id="tv")["token"]
        for port in (8083, 8080):
            answer = self.post(port, "/devices/push", token=token, kind="webhook", target="x")
            self.assertEqual(0, answer["errorCode"], answer)
        families = self.successResultOf(daemon.observed.families())
        self.assertEqual(["callnet_wakes"], [family.name for family in families if "wake" in family.name])

    def test_not_offered(self) -> None:
        """A device cannot register for a service that the operator has not set up."""
        self.begin(self.compose())
        token = self.post(8083, "/account/login", phone="13651884967", device_id="tv")["token"]
        for kind, missing in (("webhook", "no push gateway"), ("webpush", "Web Push is off")):
            answer = self.post(8083, "/devices/push", token=token, kind=kind, target="x")
            self.assertEqual(2, answer["errorCode"])
            self.assertIn(missing, answer["message"])

    def connects_to(self, settings: str, *addresses: str) -> str:
        """The address that a daemon with these settings connects to, of those which a push service may have."""
        names = Names()
        self.reactor.nameResolver = names
        daemon = self.begin(self.compose(HOSTS + SUBJECT + settings))
        token = self.post(8083, "/account/login", phone="13651884967", device_id="tv")["token"]
        target = Browser().target("https://push.example.org/x")
        self.assertEqual(0, self.post(8083, "/devices/push", token=token, kind="webpush", target=target)["errorCode"])
        (waker,) = (each for each in daemon._impatient if isinstance(each, Waker))
        tv = DeviceAddress("13651884967", "tv")
        names.answers = [[address] for address in addresses]
        for _ in addresses[:-1]:
            inside = waker.tell(tv, WakeMessage(ROOM, "13651884968", "", 0.9))
            while not inside.called:
                self.reactor.take_thread()
            self.assertIs(DeliveryResult.FAILED, self.successResultOf(inside))
        self.assertEqual([], self.reactor.tcpClients)
        self.assertNoResult(waker.tell(tv, WakeMessage(ROOM, "13651884968", "", 0.9)))
        while not self.reactor.tcpClients:
            self.reactor.take_thread()
        ((host, port, *_),) = self.reactor.tcpClients
        self.assertEqual(443, port)
        return str(host)

    def test_who_is_connected_to(self) -> None:
        """A daemon connects to addresses in the world alone ..."""
        self.assertEqual("8.8.8.8", self.connects_to("", "127.0.0.1", "10.0.0.1", "8.8.8.8"))

    def test_own_networks(self) -> None:
        """... and to those of networks that the operator allows."""
        self.assertEqual("10.1.2.3", self.connects_to(ALLOWED, "127.0.0.1", "192.168.0.1", "10.1.2.3"))
