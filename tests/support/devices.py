"""Devices of tests over real sockets: those of the client; each frame is checked against the schemas."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredQueue

from callnet.model import DeviceAddress
from callnet_client import Account, Call, CallEvent, Credentials, Device, Event, Server
from tests.support.checked_client import checked
from tests.support.daemon import Daemon

FOREVER: Final = 1e12
"""The expiry of a token if it is not known."""
ASK_AGAIN: Final = 0.25
"""Seconds between two tries of something that a server limits: calls, and requests of a device."""

reactor: Any = installed


def service_of(daemon: Daemon, **options: Any) -> Server:
    """The services of a daemon on its plain ports."""
    return Server(
        daemon.site_url, reactor, account_url=daemon.account_url, signaling_url=daemon.signaling_url, **options
    )


def site_of(daemon: Daemon, **options: Any) -> Server:
    """The services of a daemon on the port of its site."""
    return Server(daemon.site_url, reactor, **options)


def log_in(service: Server, phone: str, device_id: str) -> Deferred[str]:
    """Log a device in; fires with its token."""
    return Account(service, phone, device_id).login()


class NodeLifecycle:
    """A device, and the calls that have rung and ended for it.

    :param token: what it has, if it is not to log in.
    :param answers: whether it accepts whatever rings it.
    """

    def __init__(
        self,
        service: Server,
        phone: str,
        device_id: str,
        token: str | None = None,
        extended: bool = False,
        answers: bool = False,
    ) -> None:
        self.address: Final = DeviceAddress(phone, device_id)
        kept = None if token is None else Credentials(token, FOREVER)
        self.account: Final = Account(service, phone, device_id, kept=kept)
        self.device: Final = Device(self.account, extended=extended, watch=checked(extended))
        self.ringing: Final[DeferredQueue[Call]] = DeferredQueue()
        self.over: Final[DeferredQueue[Call]] = DeferredQueue()
        self._answers = answers
        self.device.listen(self._told)

    def _told(self, event: Event) -> None:
        match event:
            case CallEvent(call, "ringing") if call.is_incoming:
                self.ringing.put(call)
                if self._answers:
                    call.accept()
            case CallEvent(call, "over"):
                self.over.put(call)

    async def comes(self) -> NodeLifecycle:
        """Connect; if that does not come about at once, it fails."""
        self.device.connect()
        state = await self.device.until("online", "offline")
        assert state == "online", (state, self.device.loss)
        return self

    def goes(self) -> Deferred[None]:
        """Leave."""
        return self.device.close()

    def calls(self, phone: str, device_id: str) -> Call:
        """Call somebody."""
        call = self.device.place(phone, device_id)
        assert call is not None, f"it is {self.device.state}"
        return call

    def lost(self) -> Deferred[int | None]:
        """Fires with the code with which its connection is closed by the server."""
        return self.device.until("offline").addCallback(lambda _: self.device.loss.code)

    def stays_away(self) -> Deferred[int | None]:
        """As :meth:`lost`, and then it does not come back."""

        def leave(code: int | None) -> int | None:
            self.device.close()
            return code

        return self.lost().addCallback(leave)

    def reaches(self, callee: NodeLifecycle) -> Deferred[Call]:
        """Call somebody until it rings there: other nodes may learn of the connection a moment later.

        Fires with the call as the other has it.
        """
        called = callee.ringing.get()

        def again() -> None:
            call = None if called.called else self.device.place(*callee.address)
            if call is not None:
                call.until("over").addCallback(lambda _: called.called or reactor.callLater(ASK_AGAIN, again))

        again()
        return called

    async def talks_to(self, callee: NodeLifecycle) -> Call:
        """Call somebody, who accepts. The call as the other has it."""
        call = await self.reaches(callee)
        call.accept()
        present = self.device.call
        assert present is not None
        assert await present.until("active") == "active", present
        return call


async def member(case: Any, service: Server, phone: str, device_id: str, **options: Any) -> NodeLifecycle:
    """A device that is connected, and leaves when the test is over."""
    made = NodeLifecycle(service, phone, device_id, **options)
    case.addCleanup(made.goes)
    return await made.comes()
