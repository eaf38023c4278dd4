"""Plays the stories of tests/client_stories with the client in Python; their README describes the stories."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import count
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, ITCPTransport
from twisted.internet.task import deferLater
from twisted.protocols.portforward import ProxyFactory, ProxyServer
from twisted.python.failure import Failure

from callnet.model import EVERY_DEVICE
from callnet_client import (
    Account,
    AccountError,
    Call,
    CallEvent,
    ChangedEvent,
    Device,
    Event,
    GuestCall,
    GuestState,
    Link,
    MissedEvent,
    Pairing,
    PresenceEvent,
    Server,
    SignalEvent,
    StateEvent,
    WaitingDevice,
)
from harness import ROOT
from tests.support.checked_client import CHECKED_GUEST, checked
from tests.support.daemon import Daemon

STORIES: Final = ROOT / "tests" / "client_stories"
PATIENCE: Final = 30
"""Seconds that an event may take to come."""
ASK_AGAIN: Final = 0.25
"""Seconds until the history is asked for again: the server limits requests of a device."""
RUNS: Final = count(1)
"""Numbers of runs, for those who share a daemon."""

Entry = dict[str, Any]
Step = Mapping[str, Any]


def read(name: str, run: int = 0) -> Mapping[str, Any]:
    """A story. Each ``run`` of :data:`RUNS` has phone numbers of its own, those of 0 are the committed ones."""
    story: Mapping[str, Any] = json.loads(_numbered((STORIES / f"{name}.json").read_text(), run))
    return story


def expected(name: str, protocol: str, run: int = 0) -> str:
    """The expected result."""
    return _numbered((STORIES / f"{name}.{protocol}.log").read_text(), run)


def _numbered(text: str, run: int) -> str:
    return text.replace(f"138{0:07}", f"138{run:07}")


class Performer(Protocol):
    """A case that plays stories."""

    async def perform(self, name: str, protocol: str) -> None:
        """Play one."""


def add_tests(case: type[Performer], names: Collection[str] = ()) -> None:
    """Give a case a test for each story, on each protocol that it is to be played on.

    :param names: of the stories; without, all.
    """
    for name in names or sorted(path.stem for path in STORIES.glob("*.json")):
        for protocol in read(name)["protocols"]:
            setattr(case, f"test_{name}_{protocol}".replace("-", "_"), _test_of(name, protocol))


def _test_of(name: str, protocol: str) -> Callable[[Performer], Awaitable[None]]:
    async def test(self: Performer) -> None:
        await self.perform(name, protocol)

    test.__doc__ = read(name)["says"]
    return test


class Gate(ProxyFactory):
    """A TCP forwarder to the signaling service, which can be shut."""

    noisy = False

    def __init__(self, host: str, port: int) -> None:
        ProxyFactory.__init__(self, host, port)
        self.is_shut = False
        self.passing: set[_Passing] = set()

    def buildProtocol(self, addr: IAddress | None) -> ProxyServer | None:  # noqa: ARG002
        """Let a connection pass, or not."""
        if self.is_shut:
            return None
        passing = _Passing()
        passing.factory = self
        return passing

    def cut(self) -> None:
        """Cut all connections."""
        for passing in list(self.passing):
            passing.cut()


class _Passing(ProxyServer):
    factory: Gate
    transport: ITCPTransport  # type: ignore[assignment]

    def cut(self) -> None:
        self.transport.abortConnection()

    def connectionMade(self) -> None:
        self.factory.passing.add(self)
        super().connectionMade()

    def connectionLost(self, reason: Failure = Failure(ConnectionDone())) -> None:  # noqa: B008
        self.factory.passing.discard(self)
        super().connectionLost(reason)  # type: ignore[no-untyped-call]


class Log:
    """The log of one device, and those that wait for its lines."""

    def __init__(self, device: str) -> None:
        self.entries: list[Entry] = []
        self._device = device
        self._calls: dict[Call, Entry] = {}
        self._awaited = 0
        self._wanted: tuple[Entry, Deferred[None]] | None = None

    def note(self, event: str, **members: Any) -> None:
        """Write an event down."""
        self.entries.append({"device": self._device, "event": event, **members})
        self._look()

    def note_call(self, call: Call, state: str, *, is_held: bool) -> None:
        """Record the state of a call, unless it is the same as before."""
        entry = call_entry(call, state, is_held=is_held)
        if self._calls.get(call) != entry:
            self._calls[call] = entry
            self.note("call", **entry)

    def wait(self, wanted: Entry, reactor: Any) -> Deferred[None]:
        """Fires when there is such an event after the last that was waited for."""
        found: Deferred[None] = Deferred(lambda found: self._give_up(found, wanted))
        self._wanted = (wanted, found)
        self._look()
        return found.addTimeout(PATIENCE, reactor)

    def _look(self) -> None:
        if self._wanted is None:
            return
        wanted, found = self._wanted
        for place in range(self._awaited, len(self.entries)):
            if wanted.items() <= self.entries[place].items():
                self._awaited, self._wanted = place + 1, None
                found.callback(None)
                return

    def _give_up(self, found: Deferred[None], wanted: Entry) -> None:
        self._wanted = None
        found.errback(AssertionError(f"{self._device} told nothing like {wanted}, but {self.entries[self._awaited :]}"))


class Actor:
    """One device of a story."""

    def __init__(self, name: str, spec: Mapping[str, Any], protocol: str, gate: Gate, server: Server) -> None:
        self.log: Final = Log(name)
        self.watched: Collection[str] = ()
        """The changes that are logged."""
        self.pairing: Pairing | None = None
        self.found: WaitingDevice | None = None
        """The device that waits which it has looked for."""
        self.link: Link | None = None
        """The link that it has made."""
        self.guest: GuestCall | None = None
        """The call that it makes as a guest."""
        self.gate: Final = gate
        self.account: Final = Account(server, spec["phone"], spec["device_id"], keep=lambda _: None)
        extended = spec.get("protocol", protocol) == "extended"
        call_waiting = spec.get("call_waiting", False)
        watch = checked(extended)
        self.device: Final = Device(self.account, extended=extended, call_waiting=call_waiting, watch=watch)
        self.device.listen(self._hear)

    @property
    def call(self) -> Call:
        """The call that it is in."""
        return _one(self.device.call)

    def call_of(self, step: Step) -> Call:
        """The call that a step is about: that it is in, or the one that waits, or is held."""
        if step.get("held"):
            return _one(self.device.held_call)
        return _one(self.device.waiting_call) if step.get("waiting") else self.call

    def note_guest(self, guest: GuestCall, state: GuestState) -> None:
        """Log the state of a call that it makes as a guest."""
        told = {"room": guest.room_id, "reason": guest.reason}
        self.log.note("guest", state=state, **{name: value for name, value in told.items() if value})

    def _hear(self, event: Event) -> None:
        match event:
            case StateEvent(state):
                more: Entry = {"extended": self.device.is_extended} if state == "online" else {}
                if state == "denied" and self.device.denial is not None:
                    more = {"code": self.device.denial.code}
                self.log.note("state", state=state, **more)
            case CallEvent(call, state):
                self.log.note_call(call, state, is_held=call is self.device.held_call)
            case PresenceEvent(peer, online):
                self.log.note("presence", peer=" ".join(peer), online=online)
            case MissedEvent(calls):
                found = [{"peer": f"{c.peer_phone} {c.peer_device_id}", "room": c.room_id} for c in calls]
                self.log.note("missed", calls=found)
            case ChangedEvent(what):
                for topic in what:
                    if topic in self.watched:
                        self.log.note("changed", what=topic)
            case SignalEvent(call, data):
                self.log.note("signal", room=call.room_id, data=data)


def _one(call: Call | None) -> Call:
    assert call is not None, "there is no such call"
    return call


def call_entry(call: Call, state: str, *, is_held: bool) -> Entry:
    """A call as the log has it."""
    told = {
        "peer": _peer(*call.peer, call.is_guest) if call.peer.phone else "",
        "link": call.link_name,
        "room": call.room_id,
        "reason": call.reason,
        "other_side": call.other_side if call.other_side != "here" else "",
        "held": is_held,
        "on_hold": call.is_on_hold,
        "own_end": call.is_own_end,
        "forgotten": call.is_forgotten,
    }
    return {"direction": call.direction, "state": state, **{name: value for name, value in told.items() if value}}


def _peer(phone: str, device_id: str, is_guest: bool) -> str:
    """The other side as the log has it: the phone of a guest is drawn."""
    return f"{'guest' if is_guest else phone} {device_id}"


def _link(link: Link) -> Entry:
    """A link as the log has it."""
    told = {name: getattr(link, name) for name in ("name", "is_on", "hours", "expires_at", "calls_left")}
    return {**told, "used": link.last_used_at is not None}


class Player:
    """Plays one story."""

    def __init__(self, story: Mapping[str, Any], protocol: str, reactor: Any) -> None:
        self._story = story
        self._protocol = protocol
        self._reactor = reactor
        self._actors: dict[str, Actor] = {}
        self._ports: list[Any] = []

    async def play(self, daemon: Daemon) -> str:
        """Play it.

        :return: the log.
        """
        try:
            for name, spec in self._story["devices"].items():
                self._actors[name] = self._actor(daemon, name, spec)
            for step in self._story["steps"]:
                if step.get("on", self._protocol) != self._protocol:
                    continue
                await self._take(self._actors[step["device"]], step)
            entries = [entry for actor in self._actors.values() for entry in list(actor.log.entries)]
        finally:
            await gatherResults([actor.device.close() for actor in self._actors.values()])
            await gatherResults([actor.guest.close() for actor in self._actors.values() if actor.guest is not None])
            await gatherResults([port.stopListening() for port in self._ports])
        return written(entries)

    def _actor(self, daemon: Daemon, name: str, spec: Mapping[str, Any]) -> Actor:
        parts = urlsplit(daemon.signaling_url)
        gate = Gate(str(parts.hostname), int(parts.port or 0))
        port = self._reactor.listenTCP(0, gate, interface="127.0.0.1")
        self._ports.append(port)
        server = Server(
            daemon.site_url,
            self._reactor,
            account_url=daemon.account_url,
            signaling_url=f"ws://127.0.0.1:{port.getHost().port}{parts.path}",
        )
        return Actor(name, spec, self._protocol, gate, server)

    async def _take(self, actor: Actor, step: Step) -> None:
        if "await" in step:
            await actor.log.wait(step["await"], self._reactor)
            return
        try:
            await getattr(self, f"_{step['do']}")(actor, step)
        except AccountError as error:
            actor.log.note("failed", do=step["do"], code=error.code)

    def _phone(self, step: Step) -> str:
        return self._actors[step["whom"]].account.address.phone

    async def _log_in(self, actor: Actor, _step: Step) -> None:
        await actor.account.login()

    async def _log_out(self, actor: Actor, _step: Step) -> None:
        await actor.account.logout()

    async def _take_credentials(self, actor: Actor, step: Step) -> None:
        actor.account.credentials = self._actors[step["of"]].account.credentials

    async def _pair(self, actor: Actor, step: Step) -> None:
        actor.pairing = await Pairing.begin(actor.account.server, step["name"])

    async def _resume_pairing(self, actor: Actor, _step: Step) -> None:
        actor.pairing = Pairing(actor.account.server, self._pairing(actor).begun)

    async def _paired(self, actor: Actor, _step: Step) -> None:
        account = await self._pairing(actor).finished()
        actor.account.credentials = account.credentials
        actor.log.note("paired", **{"as": " ".join(account.address)})

    async def _look_at(self, actor: Actor, step: Step) -> None:
        code = self._pairing(self._actors[step["whom"]]).user_code
        actor.found = await actor.account.waiting_device(code.lower().replace("-", " "))
        actor.log.note("waiting", name=actor.found.name)

    async def _accept_pairing(self, actor: Actor, step: Step) -> None:
        assert actor.found is not None, "it has looked for no device"
        device_id = self._actors[step["whom"]].account.address.device_id
        await actor.account.accept_pairing(actor.found.pairing_id, device_id, step["label"])

    async def _refuse_pairing(self, actor: Actor, _step: Step) -> None:
        assert actor.found is not None, "it has looked for no device"
        await actor.account.refuse_pairing(actor.found.pairing_id)

    def _pairing(self, actor: Actor) -> Pairing:
        assert actor.pairing is not None, "it does not wait"
        return actor.pairing

    async def _make_link(self, actor: Actor, step: Step) -> None:
        fields = {name: value for name, value in step.items() if name not in ("device", "do")}
        actor.link = await actor.account.make_link(**fields)
        actor.log.note("links", links=[_link(actor.link)])

    async def _change_link(self, actor: Actor, step: Step) -> None:
        assert actor.link is not None, "it has made no link"
        actor.link = await actor.account.change_link(actor.link.link_id, **step["changes"])
        actor.log.note("links", links=[_link(actor.link)])

    async def _remove_link(self, actor: Actor, _step: Step) -> None:
        assert actor.link is not None, "it has made no link"
        await actor.account.remove_link(actor.link.link_id)

    async def _links(self, actor: Actor, _step: Step) -> None:
        actor.log.note("links", links=[_link(link) for link in await actor.account.links()])

    async def _ring(self, actor: Actor, step: Step) -> None:
        link = None if "secret" in step else self._actors[step["link_of"]].link
        secret = step["secret"] if link is None else link.secret
        actor.guest = guest = GuestCall(actor.account.server, secret, step["name"], watch=CHECKED_GUEST)
        guest.listen(partial(actor.note_guest, guest))
        guest.ring()

    async def _hang_up_guest(self, actor: Actor, _step: Step) -> None:
        assert actor.guest is not None, "it does not ring"
        actor.guest.hang_up()

    async def _connect(self, actor: Actor, _step: Step) -> None:
        actor.device.connect()

    async def _close(self, actor: Actor, _step: Step) -> None:
        await actor.device.close()

    async def _call(self, actor: Actor, step: Step) -> None:
        if "address" in step:
            phone, device_id = step["address"]
        else:
            phone, device_id = self._actors[step.get("whom") or step["all_of"]].account.address
        called = actor.device.place(phone, EVERY_DEVICE if "all_of" in step else device_id)
        assert called is not None, "it is not online"

    async def _accept(self, actor: Actor, step: Step) -> None:
        actor.call_of(step).accept(hold=step.get("hold", False))

    async def _swap(self, actor: Actor, step: Step) -> None:  # noqa: ARG002
        actor.device.swap()

    async def _refuse(self, actor: Actor, step: Step) -> None:
        actor.call_of(step).refuse()

    async def _hang_up(self, actor: Actor, step: Step) -> None:
        actor.call_of(step).hang_up()

    async def _pull(self, actor: Actor, step: Step) -> None:
        assert actor.device.pull(self._actors[step["room_of"]].call.room_id) is not None, "it is not online"

    async def _signal(self, actor: Actor, step: Step) -> None:
        actor.call.signal(step["data"])

    async def _add_contact(self, actor: Actor, step: Step) -> None:
        await actor.account.add_contact(self._phone(step), step.get("name"), step.get("favourite"))

    async def _remove_contact(self, actor: Actor, step: Step) -> None:
        await actor.account.remove_contact(self._phone(step))

    async def _block(self, actor: Actor, step: Step) -> None:
        await actor.account.block(self._phone(step))

    async def _unblock(self, actor: Actor, step: Step) -> None:
        await actor.account.unblock(self._phone(step))

    async def _dismiss(self, actor: Actor, step: Step) -> None:
        await actor.account.dismiss(self._phone(step))

    async def _people(self, actor: Actor, _step: Step) -> None:
        names = ("phone", "name", "profile_name", "favourite", "joined", "online", "blocked")
        rows = await actor.account.people()
        actor.log.note("people", people=[{name: getattr(row, name) for name in names} for row in rows])

    async def _added(self, actor: Actor, _step: Step) -> None:
        rows = await actor.account.added()
        actor.log.note("added", added=[{"phone": row.phone, "profile_name": row.profile_name} for row in rows])

    async def _profile(self, actor: Actor, step: Step) -> None:
        now = await actor.account.profile(name=step["name"])
        actor.log.note("profile", profile={"name": now.name, "photo": now.photo})

    async def _devices(self, actor: Actor, _step: Step) -> None:
        rows = await actor.account.devices()
        names = ("label", "online", "this", "kiosk", "auto_answers")
        found = [{"device": row.device_id} | {name: getattr(row, name) for name in names} for row in rows]
        actor.log.note("devices", devices=found)

    async def _rename_device(self, actor: Actor, step: Step) -> None:
        device_id = self._actors[step["whom"]].account.address.device_id
        await actor.account.rename_device(device_id, step["label"])

    async def _configure_device(self, actor: Actor, step: Step) -> None:
        device_id = self._actors[step["whom"]].account.address.device_id
        await actor.account.configure_device(device_id, **step["changes"])

    async def _unlock(self, actor: Actor, step: Step) -> None:
        await actor.account.unlock(step["pin"])

    async def _remove_device(self, actor: Actor, step: Step) -> None:
        await actor.account.remove_device(self._actors[step["whom"]].account.address.device_id)

    async def _watch_changes(self, actor: Actor, step: Step) -> None:
        actor.watched = step["what"]

    async def _contacts(self, actor: Actor, _step: Step) -> None:
        rows = await actor.account.contacts()
        found = [{"peer": f"{row.phone} {row.device_id}", "name": row.name, "online": row.online} for row in rows]
        actor.log.note("contacts", contacts=found)

    async def _history(self, actor: Actor, step: Step) -> None:
        past = await actor.account.history()
        while len(past.calls) < step["until"]:
            await deferLater(self._reactor, ASK_AGAIN)
            past = await actor.account.history()
        found = [
            {
                "direction": call.direction,
                "peer": _peer(call.peer_phone, call.peer_device_id, call.guest),
                "room": call.room_id,
                "outcome": call.outcome,
                "answered": call.answered_at is not None,
            }
            for call in past.calls
        ]
        actor.log.note("history", calls=found)

    async def _settings(self, actor: Actor, step: Step) -> None:
        now = await actor.account.settings(**step["changes"])
        found = {
            "do_not_disturb": now.do_not_disturb,
            "do_not_disturb_until": now.do_not_disturb_until,
            "auto_answer": list(now.auto_answer),
            "who_may_call": now.who_may_call,
            "rings_through": list(now.rings_through),
            "second_call_rings": now.second_call_rings,
        }
        actor.log.note("settings", settings=found)

    async def _cut_off(self, actor: Actor, _step: Step) -> None:
        actor.gate.is_shut = True
        actor.gate.cut()

    async def _let_back(self, actor: Actor, _step: Step) -> None:
        actor.gate.is_shut = False

    async def _drop(self, actor: Actor, _step: Step) -> None:
        actor.gate.cut()


def written(entries: Sequence[Entry]) -> str:
    """A log as text, with the rooms numbered by where they first stand in it."""
    rooms: dict[str, str] = {}

    def named(value: Any) -> Any:
        if isinstance(value, list):
            return [named(one) for one in value]
        if not isinstance(value, dict):
            return value
        return {
            name: rooms.setdefault(one, f"room-{len(rooms) + 1}") if name == "room" and one else named(one)
            for name, one in value.items()
        }

    lines = (json.dumps(named(entry), ensure_ascii=False, separators=(",", ":")) for entry in entries)
    return "".join(f"{line}\n" for line in lines)
