"""Who may call which phone, as a node remembers it."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from callnet.accounts import policies
from callnet.accounts.policies import Policies
from callnet.errors import Unavailable
from callnet.interfaces import IPolicyRecords
from callnet.records import ANYONE, NOBODY, Policy
from callnet.soon import Ready, Soon

ANN, TV = "13600000001", "13600000002"
BLOCKS_TV = Policy(frozenset([TV]))


@implementer(IPolicyRecords)
class SlowRecords:
    """A database that answers when the test says so."""

    def __init__(self) -> None:
        self.kept: dict[str, Policy] = {}
        self.asked: list[tuple[list[str], Deferred[Mapping[str, Policy]]]] = []
        self.asked_for_all: list[Deferred[Collection[str] | None]] = []

    def restricted(self, most: int) -> Deferred[Collection[str] | None]:  # noqa: ARG002
        """See :meth:`IPolicyRecords.restricted`."""
        self.asked_for_all.append(Deferred())
        return self.asked_for_all[-1]

    def read(self, phones: Collection[str]) -> Deferred[Mapping[str, Policy]]:
        """See :meth:`IPolicyRecords.read`."""
        answer: Deferred[Mapping[str, Policy]] = Deferred()
        self.asked.append((list(phones), answer))
        return answer

    def answer(self) -> list[str]:
        """Answer what was asked first; which phones these were."""
        phones, answer = self.asked.pop(0)
        answer.callback({phone: self.kept.get(phone, ANYONE) for phone in phones})
        return phones

    def fail(self) -> None:
        """Do not."""
        self.asked.pop(0)[1].errback(Failure(Unavailable("away")))


class PoliciesTests(SynchronousTestCase):
    """A node that knows nothing yet."""

    def setUp(self) -> None:
        """Begin."""
        self.records, self.clock = SlowRecords(), Clock()
        self.policies = Policies(self.records, self.clock)
        self.changes: list[tuple[str, Policy]] = []
        self.policies.changed = self.changed
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def changed(self, phone: str, policy: Policy) -> Soon[None]:
        """Take note of a change."""
        self.changes.append((phone, policy))
        return Ready(None)

    def known(self, phone: str) -> Policy:
        """What is known of a phone without waiting."""
        found = self.policies.of(phone)
        assert isinstance(found, Ready)
        return found.value

    def asked(self, phone: str) -> Deferred[Policy]:
        """Ask for what is not known."""
        waiting = self.policies.of(phone)
        assert isinstance(waiting, Deferred)
        return waiting

    def learn(self, *phones: str) -> None:
        """Let these be known."""
        for phone in phones:
            self.asked(phone)
        while self.records.asked:
            self.records.answer()

    def test_read_once(self) -> None:
        """A phone is read when it is first asked for, and known from then on."""
        self.records.kept[ANN] = BLOCKS_TV
        first, second = self.asked(ANN), self.asked(ANN)
        self.records.answer()
        self.assertEqual([BLOCKS_TV] * 2, [self.successResultOf(one) for one in (first, second)])
        self.assertEqual(BLOCKS_TV, self.known(ANN))
        self.assertEqual(([], []), (self.records.asked, self.changes))

    def test_together(self) -> None:
        """Those that ask while the database is at work are read together."""
        self.patch(policies, "_TOGETHER", 10)
        waiting = [self.asked(str(number)) for number in range(15)]
        self.assertEqual([["0"], [str(number) for number in range(1, 11)], ["11", "12", "13", "14"]], self.answered())
        for one in waiting:
            self.assertIs(ANYONE, self.successResultOf(one))

    def answered(self) -> list[list[str]]:
        """Answer everything; what was asked together."""
        answers = []
        while self.records.asked:
            answers.append(self.records.answer())
        return answers

    def test_changed(self) -> None:
        """What has changed is read again, and told if it is another; what nobody asked for is not read."""
        self.learn(ANN, TV)
        self.records.kept[ANN] = BLOCKS_TV
        self.policies.look_again([ANN, TV, "13600000003"])
        self.assertEqual({ANN, TV}, set(self.records.answer()))
        self.assertEqual([(ANN, BLOCKS_TV)], self.changes)
        self.assertEqual((BLOCKS_TV, ANYONE), (self.known(ANN), self.known(TV)))
        self.policies.look_again([])
        self.assertEqual([], self.records.asked)

    def test_changed_while_it_is_read(self) -> None:
        """What changes while it is being read is read once more."""
        waiting = self.asked(ANN)
        self.policies.look_again([ANN])
        self.records.answer()
        self.assertIs(ANYONE, self.successResultOf(waiting))
        self.records.kept[ANN] = BLOCKS_TV
        self.records.answer()
        self.assertEqual([(ANN, BLOCKS_TV)], self.changes)

    def know_who_is_restricted(self) -> None:
        """Find out who has blocked anybody."""
        begun = self.policies.begin()
        self.records.asked_for_all.pop(0).callback(list(self.records.kept))
        self.successResultOf(begun)

    def test_those_that_anybody_may_call(self) -> None:
        """When it is known who has blocked anybody nobody waits for the others."""
        self.records.kept[ANN] = BLOCKS_TV
        self.know_who_is_restricted()
        self.assertEqual(ANYONE, self.known(TV))
        waiting = self.asked(ANN)
        self.records.answer()
        self.assertEqual(BLOCKS_TV, self.successResultOf(waiting))

    def test_one_of_these_blocks_somebody(self) -> None:
        """... and no more; what has changed of any of them is read again."""
        self.know_who_is_restricted()
        self.records.kept[ANN] = BLOCKS_TV
        self.policies.look_again([ANN, TV])
        self.records.answer()
        self.assertEqual(([(ANN, BLOCKS_TV)], BLOCKS_TV), (self.changes, self.known(ANN)))
        del self.records.kept[ANN]
        self.policies.look_again([ANN])
        self.records.answer()
        self.assertEqual(((ANN, ANYONE), ANYONE), (self.changes[-1], self.known(ANN)))

    def test_all_may_be_restricted(self) -> None:
        """Where only contacts may call each is asked for, as ever; so is it until the database has answered."""
        begun = self.policies.begin()
        self.records.asked_for_all.pop(0).errback(Failure(Unavailable("away")))
        self.failureResultOf(begun, Unavailable)
        self.policies.begin()
        self.records.asked_for_all.pop(0).callback(None)
        self.asked(ANN)
        self.records.answer()

    def test_away(self) -> None:
        """While the database is away what is known holds; whoever was never read nobody may call, until it is."""
        self.learn(ANN)
        self.policies.look_again([ANN])
        waiting = self.asked(TV)
        self.records.fail()
        self.records.fail()
        self.assertIs(NOBODY, self.successResultOf(waiting))
        self.assertIs(ANYONE, self.known(ANN))
        self.policies.look_again([])
        self.records.fail()
        self.policies.look_again([])
        self.assertEqual({ANN, TV}, set(self.records.answer()))
        self.assertEqual({(ANN, ANYONE), (TV, ANYONE)}, set(self.changes))
        self.policies.look_again([])
        self.assertEqual([], self.records.asked)

    def test_slow(self) -> None:
        """Nobody waits for longer than half a second; what comes then is told as a change."""
        self.records.kept[ANN] = BLOCKS_TV
        waiting = self.asked(ANN)
        self.clock.advance(policies.PATIENCE)
        self.assertIs(NOBODY, self.successResultOf(waiting))
        self.records.answer()
        self.assertEqual([(ANN, BLOCKS_TV)], self.changes)
        self.assertEqual(BLOCKS_TV, self.known(ANN))

    def test_stop(self) -> None:
        """When the daemon stops nobody waits any more."""
        waiting = self.asked(ANN)
        self.policies.stop()
        self.assertIs(NOBODY, self.successResultOf(waiting))
        self.records.fail()

    def test_memory(self) -> None:
        """So many phones are known, the last that were read."""
        self.patch(policies, "KNOWN_MAX", 3)
        self.learn("1", "2", "3", "4")
        for phone in "234":
            self.known(phone)
        self.asked("1")
        self.records.answer()


class PolicyTests(SynchronousTestCase):
    """What a policy says."""

    def test_allows(self) -> None:
        """Who is blocked may not call, nor who is not listed where only contacts may."""
        for policy, allowed in (
            (ANYONE, [ANN, TV]),
            (NOBODY, []),
            (BLOCKS_TV, [ANN]),
            (Policy(only=frozenset([ANN, TV])), [ANN, TV]),
            (Policy(frozenset([TV]), frozenset([ANN, TV])), [ANN]),
        ):
            self.assertEqual(allowed, [phone for phone in (ANN, TV) if policy.allows(phone)], policy)
