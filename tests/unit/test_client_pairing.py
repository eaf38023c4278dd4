"""The client's side of pairing, against the service itself, and while that is away."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import msgspec
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionLost
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from twisted.web.resource import IResource
from zope.interface import implementer

from callnet.cli.device import PairedDevice
from callnet_client import (
    Account,
    AccountError,
    BegunPairing,
    Credentials,
    DeviceAddress,
    ErrorCode,
    Pairing,
    Server,
    WaitingDevice,
)
from tests.support.account_fixture import PHONE, TV, ServiceFixture

INTERVAL = 5


@implementer(IAgent)
class _Network:
    """A way to the service on which requests or answers may get lost."""

    def __init__(self, service: IResource) -> None:
        self._service: IAgent = RequestTraversalAgent(service)  # type: ignore[no-untyped-call]
        self.passes_requests = self.passes_answers = True

    def request(self, *args: Any) -> Any:
        """Pass a request on."""
        if not self.passes_requests:
            return fail(ConnectionLost())
        return self._service.request(*args).addCallback(self._answered)

    def _answered(self, answer: object) -> object:
        if not self.passes_answers:
            raise ConnectionLost
        return answer


class PairingTests(SynchronousTestCase):
    """A television, and the phone that lets it in."""

    def setUp(self) -> None:
        """A service, and a claimed phone."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.network = _Network(self.fixture.api())
        self.server = Server("http://callnet.test:8083", self.fixture.clock, agent=self.network)
        self.phone = Account(self.server, PHONE, "phone", keep=lambda _: None)
        self.successResultOf(self.phone.login())
        self.kept: list[tuple[DeviceAddress, Credentials]] = []
        self.pairing = self.begin()

    def begin(self) -> Pairing:
        """Begin."""
        return self.successResultOf(
            Pairing.begin(self.server, "Television", keep=lambda device, all_: self.kept.append((device, all_)))
        )

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.fixture.clock.pump([1.0] * int(seconds))

    def accept(self) -> WaitingDevice:
        """Have the phone let it in."""
        found = self.successResultOf(self.phone.waiting_device(self.pairing.user_code))
        self.successResultOf(self.phone.accept_pairing(found.pairing_id, TV.device_id, "TV"))
        return found

    def assert_in(self, finished: Deferred[Account]) -> None:
        """Assert that it is in, with credentials that are kept and good for later logins."""
        account = self.successResultOf(finished)
        self.assertEqual((TV, True), (account.address, account.is_logged_in))
        device, credentials = self.kept[-1]
        self.assertEqual((TV, account.credentials), (device, credentials))
        self.assertTrue(self.fixture.tokens.verify(str(account.token)).claimed)
        self.successResultOf(Account(self.server, *TV, kept=Credentials(secret=credentials.secret)).login())

    def test_accepted(self) -> None:
        """It shows letters and a link, waits, and is in."""
        self.assertEqual(f"http://callnet.test:8083/#pair={self.pairing.user_code}", self.pairing.link)
        self.assertEqual(600.0, self.pairing.expires_at)
        finished = self.pairing.finished()
        self.wait(60)
        self.assertNoResult(finished)
        found = self.accept()
        self.assertEqual(("Television", 60), (found.name, found.age))
        self.wait(INTERVAL)
        self.assert_in(finished)
        self.wait(1)  # the service writes down that the device is used
        self.assertEqual([], self.fixture.clock.getDelayedCalls())

    def test_resumed(self) -> None:
        """A device that is kept waits on after a restart, in which it may have been let in."""
        kept = msgspec.json.encode(self.pairing.begun)
        self.accept()
        begun = msgspec.json.decode(kept, type=BegunPairing)
        again = Pairing(self.server, begun, keep=lambda device, all_: self.kept.append((device, all_)))
        self.assertEqual((self.pairing.link, self.pairing.expires_at), (again.link, again.expires_at))
        finished = again.finished()
        self.wait(INTERVAL)
        self.assert_in(finished)

    def test_command(self) -> None:
        """``callnet device --pair`` begins as soon as the server can be reached and lets another device wait."""
        self.network.passes_requests = False
        shown = io.StringIO()
        with redirect_stdout(shown):
            device = Deferred.fromCoroutine(PairedDevice(Path(self.mktemp()).absolute()).account(self.server))
            self.wait(60)
            self.assertNoResult(device)
            self.network.passes_requests = True
            self.wait(INTERVAL)
        self.assertIn("trying again in 5 s", shown.getvalue())
        self.assertIn("/#pair=", shown.getvalue())
        device.cancel()
        self.failureResultOf(device)

    def test_not_kept(self) -> None:
        """Without somebody who keeps them the account has the credentials all the same."""
        self.pairing = self.successResultOf(Pairing.begin(self.server))
        finished = self.pairing.finished()
        self.accept()
        self.wait(INTERVAL)
        account = self.successResultOf(finished)
        self.assertIsNotNone(account.credentials.secret)
        self.successResultOf(account.login())

    def test_refused(self) -> None:
        """A refusal is told from the end of the time."""
        finished = self.pairing.finished()
        found = self.successResultOf(self.phone.waiting_device(self.pairing.user_code))
        self.successResultOf(self.phone.refuse_pairing(found.pairing_id))
        self.wait(INTERVAL)
        self.assertEqual(ErrorCode.DEVICE, self.failureResultOf(finished, AccountError).value.code)
        finished = self.begin().finished()
        self.wait(600 + INTERVAL)
        self.assertEqual(ErrorCode.CODE, self.failureResultOf(finished, AccountError).value.code)

    def test_lost(self) -> None:
        """A service that is away, and answers that are lost, do no harm."""
        finished = self.pairing.finished()
        self.network.passes_requests = False
        self.wait(4 * INTERVAL)
        self.network.passes_requests = True
        self.accept()
        self.network.passes_answers = False
        self.wait(2 * INTERVAL)
        self.assertNoResult(finished)
        self.network.passes_answers = True
        self.wait(INTERVAL)
        self.assert_in(finished)

    def test_too_soon(self) -> None:
        """A device that asks twice at once is told to wait, and waits."""
        finished = [self.pairing.finished() for _ in range(3)]
        self.wait(INTERVAL)
        self.accept()
        self.wait(3 * INTERVAL)
        for one in finished:
            self.successResultOf(one)

    def test_cancelled(self) -> None:
        """A cancelled wait asks nothing more."""
        finished = self.pairing.finished()
        self.wait(INTERVAL)
        finished.cancel()
        self.failureResultOf(finished)
        self.assertEqual([], self.fixture.clock.getDelayedCalls())
