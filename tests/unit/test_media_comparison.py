"""Verification that nobody is between a device without a browser and the other side (docs/verification.md)."""

from __future__ import annotations

from callnet.schemas import NOTE
from callnet_client.verification import Fingerprints, State, Verification, fingerprint_of
from tests.support.frame_schemas import check
from tests.support.media_wire import OURS, THEIRS, Wire
from tests.support.room_case import KEYS, meeting
from tests.unit.test_media_visit import GREATER, LESS, OFFER, VisitCase

FAILED = "media: verification failed: the call may be intercepted"


class ComparisonTests(VisitCase):
    """The result of a comparison, and its display."""

    def meet_as(self, session: str, connection: str = KEYS[0]) -> Wire:
        """Let media flow with the other side, which has this session: the greater one offers."""
        self.say(meeting(session))
        self.relay(session, {**OFFER, "connection": connection} if session == GREATER else {"kind": "negotiate"})
        self.wires[-1].become(True)
        return self.wires[-1]

    def said(self) -> list[str]:
        """The notes of the verification since this was last asked."""
        notes = [entry[1] for entry in self.log if isinstance(entry, tuple) and entry[0] == "send"]
        self.log.clear()
        for note in notes:
            check(NOTE, note)
        return [note.decode() for note in notes if b"state" not in note]

    def verify(self, session: str, theirs: str = THEIRS) -> Verification:
        """Let both sides verify each other.

        :param theirs: what the other side has as its own description.
        """
        wire = self.meet_as(session)
        fingerprints = [fingerprint_of(sdp) for sdp in (OURS, theirs)]
        if session == GREATER:
            fingerprints.reverse()
        other = Verification(Fingerprints(*fingerprints), offers=session == GREATER)
        wire.connection.opened(wire)
        said, answer = self.said(), other.begin()
        while said or answer is not None:
            if answer is not None:
                wire.connection.heard(wire, answer)
                said += self.said()
            answer = other.hear(said.pop(0)) if said else None
        return other

    def test_same_code(self) -> None:
        """Both sides have the same code, whichever offers, and it is shown with its names."""
        for session in (LESS, GREATER):
            other = self.verify(session)
            code = " ".join(f"{emoji.sign} {emoji.english}" for emoji in other.emoji)
            self.assertEqual(
                f"media: verification code, equal on both sides unless the call is intercepted: {code}", self.lines[-1]
            )

    def test_somebody_in_between(self) -> None:
        """The answering side finds out that a certificate was swapped, if notes are passed on."""
        swapped = THEIRS.replace("BB", "CC")
        self.assertIs(State.BROKEN, self.verify(LESS, swapped).state)
        self.verify(GREATER, swapped)
        self.assertEqual(FAILED, self.lines[-1])

    def test_malformed(self) -> None:
        """A note of it that makes no sense makes it fail, for good; others do not matter."""
        wire = self.meet_as(GREATER)
        wire.connection.opened(wire)
        for note in ('{"kind":"later"}', "x", b"\xff", '{"kind":"nonce","nonce":7}', '{"kind":"commit"}'):
            wire.connection.heard(wire, note)
        self.assertEqual(1, self.lines.count(FAILED))

    def test_unclear_descriptions(self) -> None:
        """Descriptions that do not say whose certificates they go by make it fail."""
        wire = self.meet_as(GREATER)
        wire.descriptions = OURS, THEIRS + THEIRS.replace("BB", "CC")
        wire.connection.opened(wire)
        self.assertEqual(FAILED, self.lines[-1])

    def test_other_descriptions(self) -> None:
        """Further descriptions must be about the same certificates."""
        self.verify(GREATER)
        self.relay(GREATER, {**OFFER, "round": 2})
        self.assertNotIn(FAILED, self.lines)
        for theirs in (THEIRS.replace("BB", "CC"), ""):
            self.wires[-1].descriptions = OURS, theirs
            self.relay(GREATER, {**OFFER, "round": 3})
        self.assertEqual(1, self.lines.count(FAILED))

    def test_another_connection(self) -> None:
        """Another connection is verified again, and by itself."""
        self.verify(GREATER)
        wire = self.meet_as(GREATER, KEYS[1])
        wire.descriptions = OURS, THEIRS.replace("BB", "CC")
        wire.connection.opened(wire)
        self.assertNotIn(FAILED, self.lines)
