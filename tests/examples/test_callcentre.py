"""The queue of examples/callcentre, with agents at their terminals, and callers with base devices."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Coroutine
from contextlib import closing
from pathlib import Path
from secrets import token_hex
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from callnet.accounts.validation import secret_hash
from callnet.model import DeviceAddress
from callnet.storage import devices
from callnet.storage.database import Database
from callnet_client import Call, certificate_trust
from callnet_client.room import RoomSocket
from callnet_client.room_frames import Join, Room
from harness.forked_program import forked_program
from tests.examples.programs import EXAMPLES, PATIENCE, Script
from tests.support.daemon import Daemon
from tests.support.devices import NodeLifecycle, member, service_of
from tests.support.shared_daemon import new_phone, shared_daemon

QUEUE: Final = "13800138000"
"""The queue's number on the page."""
LINES: Final = 3
RINGS_FOR: Final = 60
"""Seconds that an agent is rung here: long enough to take a call on a machine that is busy with other tests."""
AGENTS_REFUSE: Final = 3.0
"""Seconds after which agents refuse a call to all devices that no line has taken."""
SOON_OVER: Final = 10
"""The same where an agent does not answer."""
OPENED: Final = r"opened \S+/static/demo/direct_chat\.html\?room_id=([0-9a-f]{32})\n"
"""The line that stands for the agents' browser here."""

reactor: Any = installed


class Page:
    """The page of a call.

    :param room: its room id, as a device knows it.
    """

    def __init__(self, daemon: Daemon, room: str) -> None:
        self.meets: Deferred[None] = Deferred()
        """Fires when the other page is there."""
        trust = certificate_trust(Path(daemon.certificate).read_bytes())
        join = Join(room, token_hex(16), token_hex(16))
        self.close = RoomSocket(daemon.site_url, join, self, reactor, trust=trust).close

    def reached(self, is_up: bool) -> None:
        """See :class:`callnet_client.room.Visitor`."""

    def entered(self, room: Room) -> None:
        """See :class:`callnet_client.room.Visitor`."""
        if room.state == "meeting" and not self.meets.called:
            self.meets.callback(None)

    def told(self, session: str, data: bytes) -> None:
        """See :class:`callnet_client.room.Visitor`."""

    def refused(self, reason: str) -> None:
        """See :class:`callnet_client.room.Visitor`."""
        self.meets.errback(AssertionError(f"the page has no seat: {reason}"))


class QueueTests(TestCase):
    """A daemon, and a desk."""

    timeout = 240

    async def setUp(self) -> None:  # type: ignore[override]
        """Have the one, and start the other."""
        self.daemon = await shared_daemon(self, 'accounts.enrolment = "known"')
        self.queue, *self.phones = [new_phone() for _ in range(LINES + 2)]
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.make_devices(*(f"line-{number + 1}" for number in range(LINES)), "bell", "agent-mei", "agent-bo")
        browser = self.folder / "browser"
        browser.write_text('#!/bin/sh\necho "opened $1"\n', encoding="utf-8")
        browser.chmod(0o700)
        self.environ = {
            "CALLNET_SITE": self.daemon.site_url,
            "CALLNET_CERTIFICATE": str(self.daemon.certificate),
            "CALLNET_ADMIN": self.daemon.admin_url,
            "CALLNET_ADMIN_KEY_FILE": f"{self.daemon.state_dir}/admin.key",
            "QUEUE_PHONE": self.queue,
            "QUEUE_LINES": str(LINES),
            "QUEUE_RINGS_FOR": str(RINGS_FOR),
            "BROWSER": str(browser),
        }
        self.desk = await self.start_desk()
        self.callers: dict[str, NodeLifecycle] = {}

    def make_devices(self, *names: str) -> None:
        """Make devices of the queue's phone as README.md does, and one of each caller."""
        with closing(Database(f"sqlite:///{self.daemon.state_dir}/callnet.db")) as database:
            devices.provision(database, self.queue, names, 0.0, False)
            for name in names:
                devices.set_secret(database, DeviceAddress(self.queue, name), secret_hash(name), 0.0)
                (self.folder / f"{name}.json").write_text(f'{{"secret": "{name}"}}', encoding="utf-8")
            for phone in self.phones:
                devices.provision(database, phone, ("tv",), 0.0, False)

    async def start(self, script: str, ready: str, *arguments: str) -> Script:
        """Start a script, and wait until it says that it is ready."""
        started = Script(f"callcentre/{script}", str(self.folder), self.environ, *arguments)
        started.start()
        self.addCleanup(started.stop)
        await started.says(ready)
        return started

    def start_desk(self) -> Coroutine[Any, Any, Script]:
        """Start the desk."""
        return self.start("desk.py", rf"ready: {LINES} lines\n")

    async def agent(self, name: str) -> Script:
        """An agent at a terminal."""
        return await self.start("agent.py", "online", name)

    async def call(self, phone: str, device_id: str = "*") -> Call:
        """Ring the queue's number with a base device, until the outcome is known."""
        if phone not in self.callers:
            self.callers[phone] = await member(self, service_of(self.daemon), phone, "tv")
        call = self.callers[phone].calls(self.queue, device_id)
        await call.until("active").addTimeout(PATIENCE, reactor)
        return call

    async def call_beside_agents(self, phone: str) -> Call:
        """Ring it while agents are there; again if a desk that stood still left the call to them."""
        begin = reactor.seconds()
        call = await self.call(phone)
        if call.reason != "refused":
            return call
        self.assertGreaterEqual(reactor.seconds() - begin, AGENTS_REFUSE)
        return await self.call_beside_agents(phone)

    async def taken(self, agent: Script) -> str:
        """The room that the browser of an agent opens who takes the call."""
        await agent.says("Enter takes the call")
        agent.said = b""
        agent.write("\n")
        return (await agent.says(OPENED))[1].decode()

    async def meet(self, agents: str, call: Call) -> None:
        """Have the page of an agent and the caller's meet: their devices know the call by room ids of their own."""
        pages = [Page(self.daemon, room) for room in (agents, call.room_id)]
        try:
            await gatherResults([page.meets for page in pages]).addTimeout(PATIENCE, reactor)
        finally:
            for page in pages:
                page.close()

    async def test_in_order(self) -> None:
        """Callers wait, and agents are given them in the order in which they came, as they become free."""
        first, second = [await self.call(phone) for phone in self.phones[:2]]
        self.assertEqual([first.state, second.state], ["active", "active"])
        agent = await self.agent("mei")
        await self.meet(await self.taken(agent), first)
        first.hang_up()
        await self.meet(await self.taken(agent), second)
        await self.desk.says("0 waiting")
        self.assertEqual(second.state, "active")

    async def test_a_caller_whose_connection_is_lost(self) -> None:
        """The page of a call is opened once, also if the caller's connection is lost and restored during the call."""
        call = await self.call(self.phones[0])
        agent = await self.agent("mei")
        await self.taken(agent)
        for _ in range(2):
            await self.callers[self.phones[0]].goes()
            await self.callers[self.phones[0]].comes()
        call.hang_up()
        await agent.says("The call is over")
        self.assertEqual(len(re.findall(OPENED.encode(), agent.said)), 1)

    async def test_agents_take_turns(self) -> None:
        """The free agent whose last call is the oldest is next."""
        mei = await self.agent("mei")
        call = await self.call_beside_agents(self.phones[0])
        await self.meet(await self.taken(mei), call)
        call.hang_up()
        await mei.says("The call is over")
        bo = await self.agent("bo")
        for agent, phone in ((bo, self.phones[1]), (mei, self.phones[2])):
            call = await self.call_beside_agents(phone)
            await self.meet(await self.taken(agent), call)
            call.hang_up()
            await agent.says("The call is over")

    async def test_an_agent_who_does_not_answer(self) -> None:
        """An agent who does not answer in time delays nobody: another one is next."""
        await self.desk.stop()
        self.environ["QUEUE_RINGS_FOR"] = str(SOON_OVER)
        self.desk = await self.start_desk()
        call = await self.call(self.phones[0])
        mei = await self.agent("mei")
        await mei.says("Enter takes the call")
        bo = await self.agent("bo")
        await mei.says("Somebody else has it")
        await self.meet(await self.taken(bo), call)

    async def test_a_caller_who_goes(self) -> None:
        """A caller who hangs up while an agent is rung leaves the queue, and the agent's device is still."""
        call = await self.call(self.phones[0])
        agent = await self.agent("mei")
        await agent.says("Enter takes the call")
        call.hang_up()
        await agent.says("or the caller has gone")
        await self.desk.says("0 waiting")

    async def test_a_full_queue(self) -> None:
        """A caller who comes when all lines are taken is refused soon; a line that becomes free takes the next."""
        calls = [await self.call(phone) for phone in self.phones[:LINES]]
        self.assertEqual([call.state for call in calls], ["active"] * LINES)
        self.assertEqual((await self.call(self.phones[LINES])).reason, "refused")
        self.assertEqual((await self.call(self.phones[LINES], "line-1")).reason, "busy")
        self.desk.said = b""
        calls[0].hang_up()
        await self.desk.says(f"{LINES - 1} waiting")
        call = await self.call(self.phones[LINES])
        self.assertEqual((call.state, call.reason), ("active", ""))

    async def test_a_new_start(self) -> None:
        """A caller waiting during a restart of the desk keeps its place in the queue."""
        first, second = [await self.call(phone) for phone in self.phones[:2]]
        await self.desk.stop()
        self.desk = await self.start_desk()
        agent = await self.agent("mei")
        await self.meet(await self.taken(agent), first)
        self.assertEqual(second.state, "active")
        self.assertEqual(os.stat(self.folder / "line-1.json").st_mode & 0o077, 0)

    async def test_what_the_page_says(self) -> None:
        """With the devices that the commands of README.md make, the desk starts and an agent comes."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        [made, *_] = re.findall(r"```sh\n(.*?)```", (EXAMPLES / "callcentre/README.md").read_text("utf-8"), re.DOTALL)
        self.assertIn("line-{1..10}", made)
        self.assertIn(QUEUE, made)
        script = (
            made.replace(QUEUE, self.queue).replace("line-{1..10}", "line-1").replace("agent-mei agent-bo", "agent-mei")
        )
        await self.desk.stop()
        with closing(Database(f"sqlite:///{self.daemon.state_dir}/callnet.db")) as database:
            devices.delete(database, self.queue, time.time)
        environ = {
            "PATH": f"{forked_program().parent}:{os.environ['PATH']}",
            "CALLNET_CONFIG": self.daemon.environ["CALLNET_CONFIG"],
        }
        ended = getProcessOutputAndValue("bash", ("-ec", script), environ, str(self.folder))
        self.assertEqual(await ended, (b"", b"", 0))
        self.assertEqual({file.stat().st_mode & 0o077 for file in self.folder.iterdir()}, {0})
        self.environ["QUEUE_LINES"] = "1"
        await self.start("desk.py", "ready: 1 lines\n")
        await self.agent("mei")
