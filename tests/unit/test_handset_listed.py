"""``callnet device --answer listed``: listed callers are answered after a countdown."""

from __future__ import annotations

from callnet.cli.handset import COUNTDOWN
from tests.support.handset_case import FRIEND, OTHER, ROOM, ROOM_2, HandsetCase


class ListedTests(HandsetCase):
    """A listed caller calls."""

    def start_counting(self) -> None:
        """Turn the handset on; the listed friend calls."""
        self.start("listed")
        self.ring_listed()

    def ring_listed(self, room: str = ROOM, auto_answer: object = True) -> None:
        """Let it be called by somebody who has a name."""
        self.say(
            "called",
            from_phone=FRIEND.phone,
            from_device_id=FRIEND.device_id,
            room_id=room,
            from_name="Mum\x1b",
            auto_answer=auto_answer,
        )

    def wait(self, seconds: int) -> None:
        """Let some seconds go by."""
        for _ in range(seconds):
            self.reactor.advance(1)
            self.settle()

    def test_countdown(self) -> None:
        """Each second it says how many are left, and then accepts."""
        self.start_counting()
        for left in range(COUNTDOWN, 0, -1):
            self.assert_shown(f"Mum\\x1b (13651884968 phone1) is calling; answering in {left} s: accept? [y/n]")
            self.assert_said()
            self.wait(1)
        (answer,) = self.assert_said("called_success")
        self.assertEqual((ROOM, True), (answer["room_id"], answer["auto_answer"]))
        self.assert_page(ROOM)
        self.wait(60)
        self.assert_said()

    def test_typed(self) -> None:
        """Until then the person may accept at once, or refuse; then nothing more is said."""
        for key, kind in (("y", "called_success"), ("n", "called_refuse")):
            self.start_counting()
            self.wait(2)
            self.handset.typed(key)
            (answer,) = self.assert_said(kind)
            self.assertNotIn("auto_answer", answer)
            self.wait(60)
            self.assert_said()

    def test_interrupted(self) -> None:
        """Ctrl-C refuses."""
        self.start_counting()
        self.handset.interrupted()
        self.assert_said("called_refuse")
        self.wait(60)
        self.assert_said()

    def test_stopped(self) -> None:
        """A call that stops ringing is not answered; one that rings in its place has a new countdown."""
        self.start_counting()
        self.wait(COUNTDOWN - 1)
        self.be_hung_up(reason="cancelled")
        self.wait(60)
        self.assert_said()
        self.ring_listed()
        self.wait(COUNTDOWN - 1)
        self.ring_listed(ROOM_2)
        self.wait(COUNTDOWN - 1)
        self.assert_said()
        self.wait(1)
        (answer,) = self.assert_said("called_success")
        self.assertEqual(ROOM_2, answer["room_id"])

    def test_not_listed(self) -> None:
        """For any other caller the person is asked, and also if the server's value is not true."""
        self.start("listed")
        self.ring(OTHER)
        self.assert_shown("\a13651884969 pad is calling: accept? [y/n]")
        for number, other in enumerate((False, 1, "true", None)):
            self.ring_listed(f"{number:032x}", other)
            self.assert_shown("accept? [y/n]")
            self.wait(60)
            self.assert_said()

    def test_connection_lost(self) -> None:
        """When the same device connects elsewhere it is done, and nothing happens any more."""
        self.start_counting()
        self.server.socket.sendClose(4409, "connected elsewhere")
        self.settle()
        self.wait(60)
        self.assertEqual(1, self.successResultOf(self.done))
