"""A device of the client's: its connection, and its events."""

from __future__ import annotations

import json
from typing import Any

from callnet_client import (
    EXTENDED,
    Account,
    AccountError,
    CallEvent,
    ChangedEvent,
    Credentials,
    Device,
    DeviceAddress,
    Event,
    MissedEvent,
    PresenceEvent,
    SignalEvent,
)
from callnet_client.account import RENEW_BEFORE
from callnet_client.reconnecting_device import LONGEST_DELAY
from callnet_client.reconnecting_socket import FIRST_DELAY
from callnet_client.server import TIMEOUT
from tests.support.calls_case import FRIEND, ROOM
from tests.support.device_case import ME, DeviceCase


class _Broken:
    """A way to the account service that does not exist."""

    def request(self, *_: object) -> None:
        """Fail."""
        raise NotImplementedError


class ConnectingTests(DeviceCase):
    """Connecting."""

    def test_extended(self) -> None:
        """It offers the extended protocol, and is online when it is welcomed."""
        self.assertEqual("off", self.device.state)
        self.device.connect()
        online = self.device.until("online")
        self.arrive()
        self.assertEqual(("connecting", [EXTENDED]), (self.device.state, self.server.requests[0].protocols))
        calls = [{"room_id": ROOM, "device_id": "pad", "peer_phone": "1", "peer_device_id": "x", "answered_at": 1}, {}]
        self.say("welcome", calls_of_phone=calls)
        self.assertEqual("online", self.successResultOf(online))
        self.assertEqual((True, ["connecting", "online"]), (self.device.is_extended, self.states()))
        self.assertEqual([ROOM], [call.room_id for call in self.device.calls_of_phone])

    def test_base(self) -> None:
        """With a server that knows only the base protocol it is online at once, and sends only its messages."""
        self.server.subprotocol = None
        self.device.connect()
        self.arrive()
        self.assertEqual(("online", False), (self.device.state, self.device.is_extended))
        self.device.place(*FRIEND)
        self.settle()
        self.assertEqual(
            {"type": "call", "to_phone": FRIEND.phone, "to_device_id": FRIEND.device_id},
            json.loads(self.server.heard[0]),
        )
        self.assertIsNone(self.device.pull(ROOM))

    def test_not_offered(self) -> None:
        """A device that is to be a base one offers nothing."""
        self.device = Device(self.account, extended=False)
        self.addCleanup(self.device.close)
        self.device.connect()
        self.arrive()
        self.assertEqual(([], "online"), (self.server.requests[0].protocols, self.device.state))

    def test_call_waiting(self) -> None:
        """A device with call waiting says so with the extended protocol; then a second call may ring."""
        for extended in (False, True):
            self.device = Device(self.account, extended=extended, call_waiting=True)
            self.addCleanup(self.device.close)
            self.connect_device()
        said = [request.params.get("call_waiting") for request in self.server.requests]
        self.assertEqual([None, ["1"]], said)
        first = self.device.place(*FRIEND)
        self.say("call_success", to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, room_id=ROOM)
        self.say("called", from_phone="13651884969", from_device_id="pad", room_id=ROOM[::-1])
        second = self.device.waiting_call
        assert second is not None
        self.assertEqual((first, "ringing"), (self.device.call, second.state))

    def test_renewal(self) -> None:
        """A token with less than a day left is renewed at each connection, and not at another welcome on it."""
        self.logins.code = 1
        self.account.credentials = Credentials("a.b.c", self.reactor.seconds() + RENEW_BEFORE - 1)
        for number in (1, 2):
            self.connect_device()
            self.say("welcome", ping_every=20)
            self.assertEqual(["/account/refresh"] * number, self.logins.asked)

    def test_renewal_on_a_bad_network(self) -> None:
        """One renewal goes on while connections come and go; when it has failed the next connection begins another."""
        self.logins.is_silent = True
        self.account.credentials = Credentials("a.b.c", self.reactor.seconds() + RENEW_BEFORE - 1)
        self.connect_device()
        for seconds, number in ((0, 1), (0, 1), (TIMEOUT, 2)):
            self.wait(seconds)
            self.close(1001)
            self.wait(FIRST_DELAY * 1.5)
            self.come()
            self.assertEqual(["/account/refresh"] * number, self.logins.asked)

    def test_logging_in(self) -> None:
        """A device that is not logged in logs in first."""
        self.account.forget()
        self.device.connect()
        self.come()
        self.assertEqual((["/account/login"], ["token-1"]), (self.logins.asked, self.tokens()))
        self.assertEqual("online", self.device.state)

    def test_denied(self) -> None:
        """A device whose login is refused tries no more, and says why."""
        for code in (2, 3, 5, 7):
            self.account.forget()
            self.logins.code = code
            self.device.connect()
            self.assertEqual("denied", self.device.state)
            self.assertEqual("denied", self.successResultOf(self.device.until("online")))
            assert self.device.denial is not None
            self.assertEqual(code, self.device.denial.code)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_error_of_the_operator(self) -> None:
        """A path or a host that the service does not know denies no device: the login is retried."""
        self.account.forget()
        self.logins.code = 2
        for status in (404, 421):
            self.logins.status = status
            self.device.connect()
            self.assertEqual("connecting", self.device.state, status)
            self.wait(LONGEST_DELAY * 1.5)
        self.logins.code, self.logins.status = 0, 200
        while not self.is_trying():
            self.wait(0.25)
        self.come()
        self.assertEqual("online", self.device.state)

    def test_logging_in_later(self) -> None:
        """A client that is told to ask later does, not before the time that was named; meanwhile it tells why."""
        self.account.forget()
        self.logins.code, self.logins.retry_after = 6, "20"
        self.device.connect()
        self.wait(20)
        self.assertEqual(1, len(self.logins.asked))
        error = self.device.loss.error
        assert isinstance(error, AccountError)
        self.assertEqual(("connecting", 20.0), (self.device.state, error.retry_after))
        self.logins.code, self.logins.retry_after = 1, None
        self.wait(2)
        self.assertEqual(2, len(self.logins.asked))
        self.logins.code = 0
        while not self.is_trying():
            self.wait(0.25)
        self.assertLess(self.reactor.seconds(), 22 + LONGEST_DELAY * 1.5 + 1)
        self.come()
        self.assertEqual("online", self.device.state)

    def test_error_of_another_kind(self) -> None:
        """A login that fails in a way that nobody has thought of is logged, and retried."""
        agent: Any = _Broken()
        device = Device(Account(self.server_of(agent=agent), *ME))
        self.addCleanup(device.close)
        device.connect()
        self.wait(LONGEST_DELAY * 1.5)
        self.assertEqual("connecting", device.state)
        self.assertGreater(len(self.flushLoggedErrors(NotImplementedError)), 1)

    def test_nothing_but_online(self) -> None:
        """A device that is not online calls nobody, and takes no call over."""
        self.assertEqual((None, None), (self.device.place(*FRIEND), self.device.pull(ROOM)))

    def test_closing(self) -> None:
        """A closed device is gone when its socket is, and nothing is left of it."""
        self.connect_device()
        waiting = self.device.until("offline")
        gone = self.device.close()
        self.assertEqual("off", self.successResultOf(waiting))
        self.settle()
        self.successResultOf(gone)
        self.assertEqual([], self.reactor.getDelayedCalls())

    def test_closing_before_it_has_come(self) -> None:
        """The same holds if it had not come yet."""
        self.device.connect()
        self.successResultOf(self.device.close())
        self.assertEqual([], self.reactor.getDelayedCalls())


class EventTests(DeviceCase):
    """The events that it reports."""

    def setUp(self) -> None:
        """Let it be online."""
        super().setUp()
        self.connect_device()
        self.events.clear()

    def test_events(self) -> None:
        """Devices that come and go, missed calls, changes, and signals of the other side are reported."""
        self.say("presence", phone=FRIEND.phone, device_id=FRIEND.device_id, online=True)
        missed = {"room_id": ROOM, "peer_phone": "1", "peer_device_id": "x", "device_id": "*", "started_at": 1.5}
        self.say("missed", calls=[missed, {"odd": 1}])
        self.say("changed", what=["contacts", 7, "something new"])
        call = self.device.place(*FRIEND)
        self.say("call_success", to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, room_id=ROOM)
        self.say("signal", room_id=ROOM, data=[1])
        self.say("signal", room_id=ROOM[::-1], data=[2])
        presence, told, changed, *_, said = self.events
        self.assertEqual(PresenceEvent(DeviceAddress(*FRIEND), True), presence)
        assert isinstance(told, MissedEvent)
        self.assertEqual([(ROOM, 1.5)], [(one.room_id, one.started_at) for one in told.calls])
        self.assertEqual(ChangedEvent(["contacts", "something new"]), changed)
        self.assertEqual(SignalEvent, type(said))
        assert isinstance(said, SignalEvent)
        self.assertEqual((call, [1]), (said.call, said.data))

    def test_listening_no_longer(self) -> None:
        """A removed listener is no longer called."""
        events: list[Event] = []
        stop = self.device.listen(events.append)
        self.device.place(*FRIEND)
        stop()
        self.close(1001)
        self.assertEqual([CallEvent], [type(event) for event in events])
