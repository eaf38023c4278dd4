"""Policies of phones on two nodes: policies that name many phones are kept once for their phone."""

from __future__ import annotations

from typing import Final

from callnet.calls.preferences import Policy, Preferences, QuietExceptions, QuietHours
from callnet.model import DeviceAddress
from tests.cluster.case import ANN, CAROL, TV, Phone
from tests.cluster.simulated import SimulatedCase, SimulatedNode

OTHERS: Final = frozenset(f"139{number:08d}" for number in range(1000))
BLOCKS: Final = Policy(OTHERS | {ANN.phone})


class PolicyTests(SimulatedCase):
    """The television's phone has blocked many."""

    async def of_one_phone(self, count: int, *nodes: SimulatedNode) -> list[Phone]:
        """Connect devices of the television's phone, in turn to each node."""
        devices = [DeviceAddress(TV.phone, f"tv{number}") for number in range(count)]
        return [await self.phone(device, nodes[number % len(nodes)]) for number, device in enumerate(devices)]

    async def prefers(self, policy: Policy, *nodes: SimulatedNode) -> None:
        """Let nodes hear the owner's preferences."""
        for node in nodes:
            node.rooms.change_policy(TV.phone, Preferences(policy))
        await self.pass_time(0.3)

    def held(self) -> int:
        """The bytes that Redis holds of the phone: its devices, and the part that is kept once."""
        keys = [f"{self.prefix}{kind}:{TV.phone}" for kind in "po"]
        records, kept_once = "table.concat(redis.call('HVALS', KEYS[1]))", "(redis.call('GET', KEYS[2]) or '')"
        return int(self.server.cli("EVAL", f"return #({records} .. {kept_once})", "2", *keys))

    async def test_size(self) -> None:
        """The records do not grow by the policy with each device."""
        here, there = await self.start(), await self.start()
        await self.of_one_phone(20, here, there)
        await self.prefers(BLOCKS, here, there)
        self.assertLess(self.held(), 20_000)

    async def test_blocked(self) -> None:
        """A blocked caller is told `offline`, on either node, and may call again when unblocked."""
        here, there = await self.start(), await self.start()
        await self.of_one_phone(2, here, there)
        callers = [await self.phone(ANN, here), await self.phone(CAROL, there)]
        await self.prefers(Policy(OTHERS | {ANN.phone, CAROL.phone}), here, there)
        for caller in callers:
            caller.calls(DeviceAddress(TV.phone, "*"))
            await self.hears(caller, "call_failed:offline")
        await self.prefers(Policy(OTHERS), here, there)
        callers[0].calls(DeviceAddress(TV.phone, "tv0"))
        callers[1].calls(DeviceAddress(TV.phone, "tv1"))
        await self.until(lambda: len([key for key in self.keys() if key.startswith("c:")]) == 2)

    async def test_second_call(self) -> None:
        """A second call rings all devices, whichever nodes take the two, whether the policy is short or kept once."""
        here, there = await self.start(), await self.start()
        devices = await self.of_one_phone(2, here, there)
        ann, desk = await self.phone(ANN, here), await self.phone(ANN._replace(device_id="desk"), there)
        for count, through in enumerate((frozenset[str](), OTHERS), 1):
            exceptions = QuietExceptions(through, second_call_rings=True)
            await self.prefers(Policy(quiet=QuietHours(0, 0, "UTC"), exceptions=exceptions), here, there)
            ann.calls(DeviceAddress(TV.phone, "tv0"))
            await self.until(lambda: ann.told.count("call_failed:offline") == count)  # noqa: B023
            await self.pass_time(3)
            self.assertEqual([count - 1] * 2, [device.told.count("called") for device in devices])
            desk.calls(DeviceAddress(TV.phone, "*"))
            await self.until(lambda: [device.told.count("called") for device in devices] == [count] * 2)  # noqa: B023
            desk.calls(CAROL)
            await self.until(lambda: desk.told.count("call_failed:offline") == count)  # noqa: B023
            await self.pass_time(180)

    async def test_redis_forgets(self) -> None:
        """When Redis has lost its memory the policy is written again, whichever node had the devices."""
        here, there = await self.start(), await self.start()
        await self.of_one_phone(2, here, there)
        ann = await self.phone(ANN, here)
        await self.prefers(BLOCKS, here, there)
        self.server.cli("FLUSHALL")
        await self.until(lambda: self.server.cli("HLEN", f"{self.prefix}p:{TV.phone}").strip() == "2")
        await self.until_complete(here)
        ann.calls(DeviceAddress(TV.phone, "tv1"))
        await self.hears(ann, "call_failed:offline")

    async def test_changed_while_redis_is_away(self) -> None:
        """A change made meanwhile holds on the node, and reaches the others when Redis is back."""
        here, there = await self.start(), await self.start()
        await self.of_one_phone(1, here)
        ann, carol = await self.phone(ANN, here), await self.phone(CAROL, there)
        await self.prefers(Policy(OTHERS), here)
        await self.cut_off(here)
        await self.prefers(Policy(OTHERS | {ANN.phone, CAROL.phone}), here)
        ann.calls(DeviceAddress(TV.phone, "tv0"))
        await self.hears(ann, "call_failed:unavailable")
        await self.let_back(here)
        carol.calls(DeviceAddress(TV.phone, "tv0"))
        await self.hears(carol, "call_failed:offline")

    async def test_nodes_die(self) -> None:
        """Nothing of it is left when the nodes of all its devices have died."""
        nodes = await self.start(), await self.start()
        await self.of_one_phone(2, *nodes)
        await self.prefers(BLOCKS, *nodes)
        self.assertIn(f"o:{TV.phone}", self.keys())
        for node in nodes:
            node.die()
        await self.start()
        await self.until(lambda: not [key for key in self.keys() if key[:2] in ("o:", "p:")])

    async def test_read_once(self) -> None:
        """A reader of the phone gets it once, for all its devices."""
        here = await self.start()
        await self.of_one_phone(3, here)
        await self.prefers(BLOCKS, here)
        records = await self.result_of(here.store.read([TV.phone], ()))
        self.assertEqual(
            {id(records.policies[TV.phone])}, {*map(id, map(records.policy_of, records.devices[TV.phone].values()))}
        )
        self.assertEqual(BLOCKS, records.policies[TV.phone])
