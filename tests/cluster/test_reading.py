"""Reads of many phones: in parts, and once for all who ask at the same time."""

from __future__ import annotations

import re

from twisted.internet.defer import gatherResults

from callnet.calls.ports import PHONES_AT_ONCE
from callnet.model import DeviceAddress
from tests.cluster.case import ANN, TV, ClusterCase
from tests.support.shared_nodes import PatientNodes


class ReadingTests(ClusterCase, PatientNodes):
    """One node, on a server of its own that counts its commands."""

    def setUp(self) -> None:
        """Start the server."""
        super().setUp()
        self.server = self.own_server()
        self.know_the_run()

    def counted(self, command: str) -> int:
        """Calls of a command since the last time."""
        found = re.search(rf"cmdstat_{command}:calls=(\d+)", self.server.cli("INFO", "commandstats"))
        self.server.cli("CONFIG", "RESETSTAT")
        return 0 if found is None else int(found[1])

    async def test_long_list(self) -> None:
        """The presence of a thousand phones is read in parts, so that others are answered between them."""
        node = await self.start()
        await self.phone(TV, node)
        phones = [TV, *(DeviceAddress(f"139{number:08d}", "phone") for number in range(999))]
        self.counted("evalsha")
        found = await node.member.presence.online(phones, ANN.phone)
        self.assertGreaterEqual(self.counted("evalsha"), len(phones) // PHONES_AT_ONCE)
        self.assertEqual(frozenset([TV]), found)

    async def test_lists_at_once(self) -> None:
        """No script looks at more than some phones, however many lists are looked up at the same time."""
        node = await self.start()
        lists = [[DeviceAddress(f"1{part:02d}{number:08d}", "phone") for number in range(50)] for part in range(20)]
        self.counted("evalsha")
        await gatherResults([node.member.presence.online(each) for each in lists])
        self.assertGreaterEqual(self.counted("evalsha"), 10)

    async def test_equal_questions(self) -> None:
        """A phone that many ask for at the same time is looked at once."""
        node = await self.start()
        await self.phone(TV, node)
        self.counted("hgetall")
        asking = [node.store.read([ANN.phone, TV.phone], ()) for _ in range(64)]
        found = await gatherResults(asking)
        self.assertEqual(2, self.counted("hgetall"))
        self.assertEqual([True] * 64, [TV.device_id in records.devices[TV.phone] for records in found])
