"""A device of the client's: how it finds out that its connection is lost, and comes back."""

from __future__ import annotations

from twisted.internet.error import ConnectError
from twisted.python.failure import Failure
from twisted.test.iosim import ConnectionCompleter

from callnet_client import Credentials, StateEvent, Unreachable
from callnet_client.account import RENEW_BEFORE
from callnet_client.device import ASK_EVERY, ASK_IN_CALL
from callnet_client.reconnecting_device import LONGEST_DELAY, RENEW_EVERY, TOO_SOON
from callnet_client.reconnecting_socket import DEAD_AFTER, FIRST_DELAY, LOOK_EVERY
from callnet_client.server import TIMEOUT
from callnet_client.socket import CLOSE_TIMEOUT
from tests.support.calls_case import FRIEND, ROOM, ROOM_2
from tests.support.device_case import DeviceCase


class ComingBackTests(DeviceCase):
    """Reconnecting."""

    def setUp(self) -> None:
        """Let it be online."""
        super().setUp()
        self.connect_device()
        self.events.clear()

    def test_lost(self) -> None:
        """It is offline, tries again soon, and is online; then it is told the missed calls."""
        self.close(1001, "server going away")
        self.assertEqual((1001, "server going away"), (self.device.loss.code, self.device.loss.reason))
        self.assertFalse(self.is_trying())
        self.wait(FIRST_DELAY * 1.5)
        self.come()
        self.assertEqual(["offline", "online"], self.states())

    def test_again_and_again(self) -> None:
        """The pauses grow to about a quarter of a minute, and none is like another."""
        self.close(1001)
        pauses = []
        for _ in range(12):
            begin = self.reactor.seconds()
            while not self.is_trying():
                self.wait(0.25)
            pauses.append(self.reactor.seconds() - begin)
            ConnectionCompleter(self.reactor).failOnce(Failure(ConnectError(string="nobody is there")))
        expected = FIRST_DELAY
        for pause in pauses:
            self.assertTrue(expected * 0.5 <= pause <= expected * 1.5 + 0.25, pauses)
            expected = min(2 * expected, LONGEST_DELAY)
        self.assertGreater(len(set(pauses[-6:])), 1)
        self.assertIsInstance(self.device.loss.error, Unreachable)

    def test_when_to_come_again(self) -> None:
        """A server that is full names a time, and is not asked before."""
        self.close(1001)
        self.server.refusal, self.server.retry_after = 503, "30"
        self.wait(FIRST_DELAY * 1.5)
        self.arrive()
        self.device.check()
        self.wait(30)
        self.assertFalse(self.is_trying())
        self.wait(3)
        self.assertTrue(self.is_trying())

    def test_going_away(self) -> None:
        """A server that goes away says when to come again, and is taken at its word, once."""
        self.say("going_away", reconnect_in=7.5, deadline=1)
        self.close(1001)
        self.device.check()
        self.wait(7.25)
        self.assertFalse(self.is_trying())
        self.wait(0.25)
        self.come()
        self.close(1001)
        self.wait(FIRST_DELAY * 1.5)
        self.assertTrue(self.is_trying())

    def test_displaced(self) -> None:
        """The same device has connected elsewhere: this one stays away until it is told to connect."""
        self.close(4409)
        self.wait(60)
        self.assertEqual((["elsewhere"], False), (self.states(), self.is_trying()))
        self.connect_device()
        self.assertEqual("online", self.device.state)

    def test_token_revoked(self) -> None:
        """When its token is invalid it logs in again."""
        self.wait(TOO_SOON)
        self.close(4401)
        self.come()
        self.assertEqual(["a.b.c", "token-1"], self.tokens())
        self.assertEqual(["offline", "online"], self.states())

    def test_token_refused_again(self) -> None:
        """A new token that is refused at once is not replaced at once: the server needs time."""
        self.close(4401)
        self.arrive()
        self.close(4401)
        self.assertEqual(1, len(self.logins.asked))
        self.wait(LONGEST_DELAY * 1.5 + 1)
        self.assertEqual(2, len(self.logins.asked))

    def test_closed_when_its_token_is_no_good(self) -> None:
        """A program that closes it when it hears of that is not logged in again, now or later."""
        for pause in (TOO_SOON, 0.0):
            self.wait(pause)
            self.device.until("offline").addCallback(lambda _: self.device.close())
            self.close(4401)
            self.assertEqual(("off", []), (self.device.state, self.logins.asked))
            self.wait(LONGEST_DELAY * 1.5 + 1)
            self.assertEqual(([], False), (self.logins.asked, self.is_trying()))
            self.connect_device()

    def test_closed_when_it_connects(self) -> None:
        """A program that closes it when it hears that it connects has it stay away."""
        self.device.close()
        self.device.listen(lambda event: event == StateEvent("connecting") and self.device.close())
        self.device.connect()
        self.wait(LONGEST_DELAY)
        self.assertEqual(("off", False), (self.device.state, self.is_trying()))

    def test_token_refused_by_status(self) -> None:
        """A base server refuses a token before the socket is open, which comes to the same."""
        self.close(1001)
        self.server.refusal = 401
        self.wait(FIRST_DELAY * 1.5)
        self.arrive()
        self.server.refusal = 0
        self.come()
        self.assertEqual("token-1", self.tokens()[-1])
        self.assertEqual("online", self.device.state)

    def test_checked_while_it_waits(self) -> None:
        """A program that wants to know now has it try now, at most once in ten seconds."""
        self.close(1001)
        for _ in range(6):
            while not self.is_trying():
                self.wait(0.25)
            ConnectionCompleter(self.reactor).failOnce(Failure(ConnectError(string="nobody is there")))
        self.device.check()
        self.assertTrue(self.is_trying())
        ConnectionCompleter(self.reactor).failOnce(Failure(ConnectError(string="nobody is there")))
        self.device.check()
        self.assertFalse(self.is_trying())

    def test_checked_when_it_is_lost(self) -> None:
        """A program that asks when it hears of the loss opens no second connection."""
        self.device.until("offline").addCallback(lambda _: self.device.check())
        self.close(1001)
        self.wait(FIRST_DELAY * 1.5)
        self.come()
        self.assertFalse(self.is_trying())

    def test_logged_out(self) -> None:
        """A device that logs out is off, and so is its call."""
        call = self.device.place(*FRIEND)
        assert call is not None
        self.account.forget()
        self.close(4401)
        self.assertEqual((["off"], "revoked", True), (self.states(), call.reason, call.is_own_end))
        self.assertFalse(self.is_trying())

    def test_logged_out_while_logging_in(self) -> None:
        """A device that logs out while its login is retried is off, and does not come back with the server."""
        call = self.device.place(*FRIEND)
        assert call is not None
        self.wait(TOO_SOON)
        self.logins.code = 1
        self.close(4401)
        self.account.forget()
        self.logins.code = 0
        self.wait(LONGEST_DELAY * 1.5)
        self.assertEqual((["offline", "off"], "revoked", True), (self.states(), call.reason, call.is_own_end))
        self.assertEqual((["/account/login"], False), (self.logins.asked, self.is_trying()))

    def test_logged_out_beside_a_login(self) -> None:
        """A device that logs out while it logs in is off."""
        self.device.close()
        self.settle()
        self.account.credentials = Credentials()
        self.logins.is_silent = True
        self.device.connect()
        self.account.forget()
        self.wait(TIMEOUT + LONGEST_DELAY * 1.5)
        self.assertEqual((["off", "connecting", "off"], ["/account/login"]), (self.states(), self.logins.asked))

    def test_denied_in_a_call(self) -> None:
        """A device that was removed by another one has no call any more."""
        call = self.device.place(*FRIEND)
        assert call is not None
        self.wait(TOO_SOON)
        self.logins.code = 5
        self.close(4401)
        self.assertEqual((["offline", "denied"], "revoked", False), (self.states(), call.reason, call.is_own_end))
        self.assertIsNone(self.device.call)

    def test_called_when_it_is_denied(self) -> None:
        """A program that lets it connect when it hears of that is not overtaken by the old state."""
        call = self.device.place(*FRIEND)
        assert call is not None
        call.until("over").addCallback(lambda _: self.device.connect())
        self.wait(TOO_SOON)
        self.logins.code = 5
        self.close(4401)
        self.come()
        self.assertEqual(["offline", "denied", "connecting", "online"], self.states())

    def test_silence(self) -> None:
        """A server that answers no question is given up: the path may be dead."""
        self.device.check()
        self.wait(DEAD_AFTER + LOOK_EVERY)
        self.assertEqual(["offline"], self.states())

    def test_no_welcome(self) -> None:
        """An extended server that opens the socket and then says nothing is given up as well."""
        self.close(1001)
        self.wait(FIRST_DELAY * 1.5)
        self.arrive()
        self.wait(DEAD_AFTER - LOOK_EVERY)
        self.assertFalse(self.is_trying())
        self.wait(2 * LOOK_EVERY + FIRST_DELAY * 3)
        self.assertTrue(self.is_trying())
        self.assertEqual(["offline"], self.states())

    def test_questions(self) -> None:
        """It asks now and then whether the server lives, and more often in a call."""
        self.wait(ASK_EVERY + LOOK_EVERY)
        self.assertEqual(["ping"], self.heard())
        self.say("pong")
        self.device.place(*FRIEND)
        self.wait(ASK_IN_CALL + LOOK_EVERY)
        self.assertIn("ping", self.heard())

    def test_what_was_not_said(self) -> None:
        """Messages that it could not send while it was offline it sends when it is back, except signals."""
        call = self.device.place(*FRIEND)
        assert call is not None
        self.say("call_success", to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, room_id=ROOM)
        self.close(1001)
        call.signal("lost")
        call.hang_up()
        self.heard()
        self.wait(FIRST_DELAY * 1.5)
        self.come()
        self.assertEqual(["calling_hangup"], self.heard())

    def test_no_call_while_it_is_closing(self) -> None:
        """Over a connection that is closing no call is begun: sent later, it would ring for nobody."""
        self.server.answers_close = False
        self.server.socket.sendCloseFrame(1001, b"server going away")
        self.pumps[-1].pump()
        self.assertEqual("online", self.device.state)
        self.assertEqual((None, None), (self.device.place(*FRIEND), self.device.pull(ROOM)))
        self.wait(CLOSE_TIMEOUT + FIRST_DELAY * 1.5)
        self.server.answers_close = True
        self.come()
        self.assertEqual((["offline", "online"], [], 2), (self.states(), self.heard(), len(self.events)))

    def test_exchanged_while_away(self) -> None:
        """If it goes on with the held call while it is offline, the server is told that when it is back."""
        view = {"state": "active", "direction": "incoming", "peer_phone": FRIEND.phone, "peer_device_id": "tv"}
        both = {"call": {**view, "room_id": ROOM}, "held_call": {**view, "room_id": ROOM_2}}
        self.say("welcome", **both)
        self.close(1001)
        for _ in range(3):
            self.device.swap()
        self.heard()
        self.wait(FIRST_DELAY * 1.5)
        self.arrive()
        self.say("welcome", **both)
        call, held = self.device.call, self.device.held_call
        assert call is not None
        assert held is not None
        self.assertEqual((ROOM_2, ROOM), (call.room_id, held.room_id))
        self.assertEqual(["resume"], self.heard())

    def test_the_call_goes_on(self) -> None:
        """The call that the welcome names is its call."""
        self.close(1001)
        self.wait(FIRST_DELAY * 1.5)
        self.arrive()
        view = {"room_id": ROOM, "state": "active", "direction": "incoming"}
        self.say("welcome", call={**view, "peer_phone": FRIEND.phone, "peer_device_id": FRIEND.device_id})
        call = self.device.call
        assert call is not None
        self.assertEqual(("active", "incoming", FRIEND), (call.state, call.direction, call.peer))
        self.assertEqual(["CallEvent", "StateEvent"], [type(event).__name__ for event in self.events[-2:]])


class BaseTests(DeviceCase):
    """At a server that knows the base protocol only."""

    subprotocol = None

    def test_online_for_long(self) -> None:
        """Its token is renewed in time, though it need not connect again."""
        self.account.credentials = Credentials("a.b.c", self.reactor.seconds() + RENEW_BEFORE + RENEW_EVERY / 2)
        self.connect_device()
        self.wait(RENEW_EVERY - 1)
        self.assertEqual([], self.logins.asked)
        self.wait(1)
        self.assertEqual((["/account/refresh"], ["a.b.c"]), (self.logins.asked, self.tokens()))
        self.assertEqual("token-1", self.account.token)

    def test_silence(self) -> None:
        """It asks by pings of the WebSocket, which every server answers; else it is given up."""
        self.connect_device()
        self.wait(3 * ASK_EVERY)
        self.assertEqual("online", self.device.state)
        self.server.answers_pings = False
        self.wait(ASK_EVERY + DEAD_AFTER + 2 * LOOK_EVERY)
        self.assertIn("offline", self.states())
