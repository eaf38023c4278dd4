"""The output and actions of ``callnet device``, state by state: the table of :mod:`callnet.cli.handset`."""

from __future__ import annotations

from callnet_client.socket import CLOSE_TIMEOUT
from tests.support.handset_case import FRIEND, OTHER, ROOM, ROOM_2, HandsetCase


class IdleTests(HandsetCase):
    """Nobody calls."""

    def test_called(self) -> None:
        """The bell rings and the person is asked."""
        self.start()
        self.ring()
        self.assert_shown("\a13651884968 phone1 is calling: accept? [y/n]")
        self.assert_said()

    def test_called_when_it_accepts_by_itself(self) -> None:
        """With ``--answer accept`` the call is accepted at once, and its page shown."""
        self.start("accept")
        self.ring()
        (answer,) = self.assert_said("called_success")
        self.assertEqual((*FRIEND, ROOM), (answer["from_phone"], answer["from_device_id"], answer["room_id"]))
        self.assert_page(ROOM)

    def test_called_when_it_refuses_by_itself(self) -> None:
        """With ``--answer refuse`` the call is refused at once."""
        self.start("refuse")
        self.ring()
        self.assert_said("called_refuse")
        self.assertNoResult(self.done)

    def test_called_when_nobody_can_type(self) -> None:
        """Without an input it goes on ringing, and says why nobody is asked."""
        self.start()
        self.handset.deaf()
        self.ring()
        self.assert_shown("--answer")
        self.assert_said()

    def test_hung_up(self) -> None:
        """The end of a call that it does not have changes nothing."""
        self.start()
        self.be_hung_up()
        self.assert_shown("← ")

    def test_typed(self) -> None:
        """There is nothing to answer."""
        self.start()
        self.handset.typed("y")
        self.assert_said()

    def test_interrupted(self) -> None:
        """Ctrl-C leaves, with success."""
        self.start()
        self.handset.interrupted()
        self.assert_done(0)

    def test_connection_lost(self) -> None:
        """When the server goes away the handset says why, and comes back."""
        self.start()
        self.server.socket.sendCloseFrame(1001, b"server going away")
        self.settle()
        self.assert_shown("the connection was closed: 1001 server going away; reconnecting")
        self.reactor.advance(1)
        self.arrive()
        self.assert_shown("reconnected")
        self.assertNoResult(self.done)

    def test_connected_elsewhere(self) -> None:
        """When the same device connects elsewhere this one is done, and says so."""
        self.start()
        self.server.socket.sendClose(4409, "connected elsewhere")
        self.settle()
        self.assert_shown("the connection was closed: 4409 connected elsewhere")
        self.assertEqual(1, self.successResultOf(self.done))

    def test_refused(self) -> None:
        """When the server does not let it in from the start it is done, and says why."""
        self.server.refusal = 503
        self.start()
        self.assert_shown("the signaling service refused the connection: 503")
        self.assertEqual(1, self.successResultOf(self.done))


class CallingTests(HandsetCase):
    """Its own call is not answered yet."""

    def test_called(self) -> None:
        """A caller answers nobody: if the two call each other, the server joins them."""
        self.start_calling()
        self.ring()
        self.ring(OTHER, ROOM_2)
        self.assert_said()

    def test_hung_up(self) -> None:
        """The end of some other call changes nothing."""
        self.start_calling()
        self.be_hung_up(ROOM_2)
        self.assertNoResult(self.done)

    def test_accepted(self) -> None:
        """The page of the room is shown."""
        self.start_talking()
        self.assert_page(ROOM)
        self.assertNoResult(self.done)

    def test_refused_or_failed(self) -> None:
        """It says so, with the reason, and is done without success."""
        for kind, reason, shown in (
            ("call_refuse", "refused", "refused the call"),
            ("call_refuse", "busy", "was not reached"),
            ("call_failed", "offline", "was not reached"),
        ):
            self.start_calling()
            self.say(kind, to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, reason=reason)
            self.assert_shown(f"13651884968 phone1 {shown} ({reason})")
            self.assert_done(1)

    def test_typed(self) -> None:
        """There is nothing to answer."""
        self.start_calling()
        self.handset.typed("y")
        self.assert_said()

    def test_interrupted(self) -> None:
        """Ctrl-C cancels the ringing; it is done without success."""
        self.start_calling()
        self.handset.interrupted()
        (hang_up,) = self.assert_said("calling_hangup")
        self.assertEqual("", hang_up["room_id"])
        self.assert_done(1)

    def test_connection_lost(self) -> None:
        """It comes back, and is told how the call came out meanwhile."""
        self.start_calling()
        self.server.socket.sendCloseFrame(1001, b"")
        self.settle()
        self.reactor.advance(1)
        self.arrive()
        self.assert_said()
        self.say("call_success", to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, room_id=ROOM)
        self.assert_page(ROOM)


class RungTests(HandsetCase):
    """Someone calls, and the person has not answered."""

    def test_called(self) -> None:
        """The newest call is the one that rings."""
        self.start_rung()
        self.ring(OTHER, ROOM_2)
        self.handset.typed("y")
        (answer,) = self.assert_said("called_success")
        self.assertEqual(ROOM_2, answer["room_id"])

    def test_hung_up(self) -> None:
        """The ringing stops; a late answer is not sent."""
        self.start_rung()
        self.be_hung_up(reason="cancelled")
        self.assert_shown("stopped ringing (cancelled)")
        self.handset.typed("y")
        self.assert_said()

    def test_another_call_hung_up(self) -> None:
        """It goes on ringing."""
        self.start_rung()
        self.be_hung_up(ROOM_2)
        self.handset.typed("y")
        self.assert_said("called_success")

    def test_typed(self) -> None:
        """``y`` accepts and ``n`` refuses, however they are written; anything else is explained."""
        for line, kind in (("y", "called_success"), (" YES ", "called_success"), ("n", "called_refuse")):
            self.start_rung()
            self.handset.typed(line)
            self.assert_said(kind)
        self.start_rung()
        self.handset.typed("what")
        self.assert_shown("y accepts, n refuses")
        self.assert_said()

    def test_interrupted(self) -> None:
        """Ctrl-C refuses; the next one leaves."""
        self.start_rung()
        self.handset.interrupted()
        self.assert_said("called_refuse")
        self.assertNoResult(self.done)
        self.handset.interrupted()
        self.assert_done(0)

    def test_connection_lost(self) -> None:
        """An answer given meanwhile is sent when it is back."""
        self.start_rung()
        self.server.socket.sendCloseFrame(1001, b"")
        self.settle()
        self.handset.typed("y")
        self.reactor.advance(1)
        self.arrive()
        self.assert_said("called_success")


class TalkingTests(HandsetCase):
    """A call is on."""

    def test_called(self) -> None:
        """The server is right about ended calls: the new call rings."""
        self.start_talking()
        self.ring(OTHER, ROOM_2)
        self.assert_shown("13651884969 pad is calling")

    def test_hung_up(self) -> None:
        """It says who hung up and why; a handset that called is done, with success."""
        self.start_talking()
        self.be_hung_up()
        self.assert_shown("the call is over: 13651884968 phone1 hung up (hangup)")
        self.assert_done(0)

    def test_hung_up_after_being_called(self) -> None:
        """A handset that was called waits for the next call."""
        self.start("accept")
        self.ring()
        self.be_hung_up()
        self.assert_shown("the call is over")
        self.assertNoResult(self.done)

    def test_another_call_hung_up(self) -> None:
        """The call goes on."""
        self.start_talking()
        self.be_hung_up(ROOM_2)
        self.assertNoResult(self.done)

    def test_typed(self) -> None:
        """There is nothing to answer."""
        self.start_talking()
        self.handset.typed("n")
        self.assert_said()

    def test_interrupted(self) -> None:
        """Ctrl-C hangs up; a handset that called is done, with success."""
        self.start_talking()
        self.handset.interrupted()
        (hang_up,) = self.assert_said("calling_hangup")
        self.assertEqual((*FRIEND, ROOM), tuple(hang_up.values())[1:])
        self.assert_done(0)

    def test_interrupted_after_being_called(self) -> None:
        """The first Ctrl-C hangs up, the second leaves."""
        self.start("accept")
        self.ring()
        self.handset.interrupted()
        self.assert_said("called_success", "calling_hangup")
        self.assertNoResult(self.done)
        self.handset.interrupted()
        self.assert_done(0)

    def test_interrupted_while_the_connection_closes(self) -> None:
        """A message that cannot be sent any more is dropped, and nothing breaks."""
        self.start_talking()
        self.server.answers_close = False
        self.server.socket.sendClose(4409, "connected elsewhere")
        self.settle()
        self.handset.interrupted()
        self.assertEqual(0, self.successResultOf(self.done))
        self.device.close()
        self.reactor.advance(CLOSE_TIMEOUT)
        self.settle()

    def test_connection_lost(self) -> None:
        """The call goes on."""
        self.start_talking()
        self.server.socket.sendCloseFrame(1001, b"")
        self.settle()
        self.reactor.advance(1)
        self.arrive()
        self.assertNoResult(self.done)
        self.be_hung_up()
        self.assert_done(0)


class ShownTests(HandsetCase):
    """The display of frames."""

    def test_frames_are_shown_with_time_and_direction(self) -> None:
        """Each frame is one line: the time, an arrow, and the JSON as it was sent."""
        self.start("accept")
        self.ring()
        arrows = [line[:14] for line in self.lines if " · " not in line]
        self.assertEqual(2, len(arrows))
        self.assertRegex(arrows[0], r"^\d\d:\d\d:\d\d\.\d{3} ←$")
        self.assertRegex(arrows[1], r"^\d\d:\d\d:\d\d\.\d{3} →$")

    def test_frames_do_nothing_to_the_terminal(self) -> None:
        """Control characters, line ends and bad UTF-8 are shown escaped, those of names too."""
        self.start()
        self.server.say_raw(
            '{"type":"called","from_phone":"1\\u001b[2J","from_device_id":"\x9b\u202e","room_id":"r"}\n'.encode()
        )
        self.settle()
        for line in self.lines:
            self.assertTrue(line.replace("\a", "").isprintable(), ascii(line))

    def test_token_is_never_shown(self) -> None:
        """No line has the token."""
        self.start_talking()
        self.assertNotIn("a.b.c", "\n".join(self.lines))
