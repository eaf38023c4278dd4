"""The verification code of a connection, compared by two people (docs/verification.md)."""

from __future__ import annotations

from collections.abc import Callable

from callnet_client.verification import Fingerprints, NoFingerprint, State, Verification, fingerprint_of


class Comparison:
    """The verification run of one connection. The result is shown to the user.

    :param offers: true if this side made the offer.
    :param descriptions: the current ones: this side's, the other side's.
    :param send: sends a note.
    :param note: shows a line.
    """

    def __init__(
        self,
        offers: bool,
        descriptions: Callable[[], tuple[str, str]],
        send: Callable[[str], None],
        note: Callable[[str], None],
    ) -> None:
        self._offers = offers
        self._descriptions = descriptions
        self._send = send
        self._note = note
        self._run: Verification | None = None
        self._state = State.PENDING

    def begin(self) -> None:
        """Start the run after the data channel has opened."""
        try:
            self._run = Verification(self._fingerprints(), offers=self._offers)
        except NoFingerprint:
            self._show(State.BROKEN)
            return
        self._answer(self._run.begin())

    def hear(self, note: str | bytes) -> None:
        """Handle a note, possibly an unrelated one."""
        if self._run is not None:
            self._answer(self._run.hear(note))
            self._show(self._run.state)

    def recheck(self) -> None:
        """Check new descriptions."""
        if self._run is None:
            return
        try:
            self._run.recheck(self._fingerprints())
        except NoFingerprint:
            self._show(State.BROKEN)
        else:
            self._show(self._run.state)

    def _fingerprints(self) -> Fingerprints:
        ours, theirs = (fingerprint_of(sdp) for sdp in self._descriptions())
        return Fingerprints(ours, theirs) if self._offers else Fingerprints(theirs, ours)

    def _answer(self, note: str | None) -> None:
        if note is not None:
            self._send(note)

    def _show(self, state: State) -> None:
        if state is self._state or self._state is State.BROKEN:
            return
        self._state = state
        if state is State.SHOWN and self._run is not None:
            code = " ".join(f"{emoji.sign} {emoji.english}" for emoji in self._run.emoji)
            self._note(f"media: verification code, equal on both sides unless the call is intercepted: {code}")
        elif state is State.BROKEN:
            self._note("media: verification failed: the call may be intercepted")
