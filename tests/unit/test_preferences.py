"""The preferences of phones' owners in a node's memory."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts import preferences
from callnet.accounts.preferences import KnownPreferences
from callnet.calls.preferences import ANYONE, NOBODY, PLAIN, UNREADABLE, Policy, Preferences, QuietHours, encode_names
from callnet.errors import Unavailable
from callnet.storage.preferences import SqlPreferences
from callnet.util.deferreds import Ready

ANN, TV = "13600000001", "13600000002"
BLOCKS_TV = Preferences(Policy(frozenset([TV])))
NAMES_TV = Preferences(names=encode_names({TV: "the television"}))


class SlowRecords(SqlPreferences):
    """A database that answers when the test says so."""

    def __init__(self) -> None:
        self.kept: dict[str, Preferences] = {}
        self.asked: list[tuple[list[str], Deferred[Mapping[str, Preferences]]]] = []
        self.asked_for_all: list[Deferred[Collection[str] | None]] = []
        self.with_names: Collection[str] | None = ()

    def restricted(self, most: int) -> Deferred[Collection[str] | None]:  # noqa: ARG002
        """See :meth:`SqlPreferences.restricted`."""
        self.asked_for_all.append(Deferred())
        return self.asked_for_all[-1]

    def announced(self, most: int) -> Deferred[Collection[str] | None]:  # noqa: ARG002
        """See :meth:`SqlPreferences.announced`."""
        return succeed(self.with_names)

    def wakeful(self, after: str, most: int) -> Deferred[Sequence[str]]:
        """See :meth:`SqlPreferences.wakeful`."""
        phones = sorted(phone for phone, wanted in self.kept.items() if wanted.policy.wakes and phone > after)
        return succeed(phones[:most])

    def read(self, phones: Collection[str]) -> Deferred[Mapping[str, Preferences]]:
        """See :meth:`SqlPreferences.read`."""
        answer: Deferred[Mapping[str, Preferences]] = Deferred()
        self.asked.append((list(phones), answer))
        return answer

    def answer(self) -> list[str]:
        """Answer the first question; returns its phones."""
        phones, answer = self.asked.pop(0)
        answer.callback({phone: self.kept.get(phone, Preferences()) for phone in phones})
        return phones

    def fail(self) -> None:
        """Do not."""
        self.asked.pop(0)[1].errback(Failure(Unavailable("away")))


class PreferencesTests(SynchronousTestCase):
    """A node that knows nothing yet."""

    def setUp(self) -> None:
        """Begin."""
        self.records, self.clock = SlowRecords(), Clock()
        self.preferences = KnownPreferences(self.records, self.clock)
        self.changes: list[tuple[str, Preferences]] = []
        self.preferences.subscribe(self.changed)
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def changed(self, phone: str, wanted: Preferences) -> Deferred[None]:
        """Take note of a change."""
        self.changes.append((phone, wanted))
        return succeed(None)

    def known(self, phone: str) -> Preferences:
        """The preferences of a phone that are known without waiting."""
        found = self.preferences.of(phone)
        assert isinstance(found, Ready)
        return found.value

    def asked(self, phone: str) -> Deferred[Preferences]:
        """Ask for a policy that is not known."""
        waiting = self.preferences.of(phone)
        assert isinstance(waiting, Deferred)
        return waiting

    def learn(self, *phones: str) -> None:
        """Let these be known."""
        for phone in phones:
            self.asked(phone)
        while self.records.asked:
            self.records.answer()

    def begin(self) -> None:
        """Read everything, with the present rows."""
        begun = self.preferences.begin()
        self.records.asked_for_all.pop(0).callback(list(self.records.kept))
        self.successResultOf(begun)

    def test_read_all_again(self) -> None:
        """Reading everything again forgets the old preferences, reads those in use, and reports the changed ones."""
        self.records.kept[ANN] = NAMES_TV
        self.begin()
        self.learn(ANN)
        in_use = self.known(ANN)
        self.records.kept = {TV: Preferences(NOBODY), ANN: BLOCKS_TV}
        self.begin()
        self.assertEqual([ANN, TV], sorted(self.records.answer()))
        self.assertEqual({(ANN, BLOCKS_TV), (TV, Preferences(NOBODY))}, set(self.changes))
        self.assertEqual((BLOCKS_TV, Preferences(NOBODY)), (self.known(ANN), self.known(TV)))
        self.assertNotEqual(in_use, self.known(ANN))

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
        self.patch(preferences, "_TOGETHER", 10)
        waiting = [self.asked(str(number)) for number in range(15)]
        self.assertEqual([["0"], [str(number) for number in range(1, 11)], ["11", "12", "13", "14"]], self.answered())
        for one in waiting:
            self.assertEqual(PLAIN, self.successResultOf(one))

    def answered(self) -> list[list[str]]:
        """Answer everything; returns the phones of each question."""
        answers = []
        while self.records.asked:
            answers.append(self.records.answer())
        return answers

    def test_changed(self) -> None:
        """A changed preference is read again, and reported if it differs."""
        self.learn(ANN, TV)
        self.records.kept[ANN] = BLOCKS_TV
        self.preferences.look_again([ANN, TV])
        self.assertEqual({ANN, TV}, set(self.records.answer()))
        self.assertEqual([(ANN, BLOCKS_TV)], self.changes)
        self.assertEqual((BLOCKS_TV, PLAIN), (self.known(ANN), self.known(TV)))
        self.preferences.look_again([])
        self.assertEqual([], self.records.asked)

    def test_changed_before_it_was_read(self) -> None:
        """A change of a phone that nobody has asked for is read and reported, once: its devices may sleep."""
        self.records.kept[ANN] = Preferences(Policy(wakes=frozenset(["tv"])))
        self.know_who_is_restricted()
        self.records.kept[ANN] = blocks = Preferences(Policy(frozenset([TV]), wakes=frozenset(["tv"])))
        for _ in range(2):
            self.preferences.look_again([ANN])
            self.assertEqual([ANN], self.records.answer())
        self.assertEqual(([(ANN, blocks)], blocks), (self.changes, self.known(ANN)))

    def test_changed_while_it_is_read(self) -> None:
        """A preference that changes while it is being read is read once more; the first read may have found that."""
        waiting = self.asked(ANN)
        self.preferences.look_again([ANN])
        self.records.answer()
        self.assertEqual(PLAIN, self.successResultOf(waiting))
        self.records.kept[ANN] = BLOCKS_TV
        self.records.answer()
        self.assertEqual([(ANN, PLAIN), (ANN, BLOCKS_TV)], self.changes)

    def know_who_is_restricted(self) -> None:
        """Find out the phones that have blocked anybody."""
        begun = self.preferences.begin()
        self.records.asked_for_all.pop(0).callback(list(self.records.kept))
        self.successResultOf(begun)

    def test_those_that_anybody_may_call(self) -> None:
        """When the phones that block anybody are known nobody waits for the others."""
        self.records.kept[ANN] = BLOCKS_TV
        self.know_who_is_restricted()
        self.assertEqual(PLAIN, self.known(TV))
        waiting = self.asked(ANN)
        self.records.answer()
        self.assertEqual(BLOCKS_TV, self.successResultOf(waiting))

    def test_one_of_these_blocks_somebody(self) -> None:
        """... and no others; a changed one of them is read again."""
        self.know_who_is_restricted()
        self.records.kept[ANN] = BLOCKS_TV
        self.preferences.look_again([ANN, TV])
        self.records.answer()
        self.assertEqual(([(ANN, BLOCKS_TV)], BLOCKS_TV), (self.changes, self.known(ANN)))
        del self.records.kept[ANN]
        self.preferences.look_again([ANN])
        self.records.answer()
        self.assertEqual(((ANN, PLAIN), PLAIN), (self.changes[-1], self.known(ANN)))

    def test_names(self) -> None:
        """Nobody waits for names to connect, but a request for all preferences does."""
        self.records.kept[ANN] = NAMES_TV
        self.records.with_names = [ANN]
        begun = self.preferences.begin()
        self.records.asked_for_all.pop(0).callback([])
        self.successResultOf(begun)
        self.assertEqual(ANYONE, self.policy_known(ANN))
        waiting = self.asked(ANN)
        self.records.answer()
        self.assertEqual(NAMES_TV, self.successResultOf(waiting))
        self.assertEqual([], self.changes)
        self.records.kept[TV] = NAMES_TV
        self.preferences.look_again([TV])
        self.records.answer()
        self.assertEqual(([(TV, NAMES_TV)], NAMES_TV), (self.changes, self.known(TV)))

    def test_names_and_then_a_block(self) -> None:
        """A phone that had only names, and that nobody has asked for, is known to block somebody once it does."""
        self.records.with_names = [ANN]
        self.know_who_is_restricted()
        self.assertEqual(ANYONE, self.policy_known(ANN))
        self.records.kept[ANN] = BLOCKS_TV
        self.preferences.look_again([ANN])
        self.records.answer()
        self.assertEqual(BLOCKS_TV.policy, self.policy_known(ANN))

    def policy_known(self, phone: str) -> Policy:
        """The policy of a phone that is known without waiting."""
        found = self.preferences.policy_of(phone)
        assert isinstance(found, Ready)
        return found.value

    def test_policy(self) -> None:
        """The policy of a phone is waited for, unless it is known that everybody may call it."""
        self.records.kept[ANN] = BLOCKS_TV
        waiting = self.preferences.policy_of(ANN)
        assert isinstance(waiting, Deferred)
        self.records.answer()
        self.assertEqual(BLOCKS_TV.policy, self.successResultOf(waiting))
        self.assertEqual(BLOCKS_TV.policy, self.policy_known(ANN))

    def test_in_use(self) -> None:
        """Preferences used by a session stay known, however many others are read meanwhile."""
        self.patch(preferences, "KNOWN_MAX", 3)
        self.records.kept[ANN] = Preferences(Policy(frozenset([TV])))
        self.learn(ANN)
        used = self.known(ANN)
        self.records.kept.clear()
        self.learn(*"123456")
        self.assertIs(used, self.known(ANN))
        self.assertEqual(used.policy, self.policy_known(ANN))
        self.preferences.look_again([ANN])
        self.records.answer()
        self.assertEqual([(ANN, PLAIN)], self.changes)
        self.changes.clear()
        self.learn(*"abcdef")
        self.asked(ANN)
        self.records.answer()

    def test_all_may_be_restricted(self) -> None:
        """Where only contacts may call each is asked for, as ever; so is it until the database has answered."""
        self.records.with_names = None
        begun = self.preferences.begin()
        self.records.asked_for_all.pop(0).errback(Failure(Unavailable("away")))
        self.failureResultOf(begun, Unavailable)
        self.preferences.begin()
        self.records.asked_for_all.pop(0).callback(None)
        self.asked(ANN)
        self.records.answer()

    def test_away(self) -> None:
        """While the database is away known policies hold; a phone that was never read cannot be called until it is."""
        self.learn(ANN)
        self.preferences.look_again([ANN])
        waiting = self.asked(TV)
        self.records.fail()
        self.records.fail()
        self.assertIs(UNREADABLE, self.successResultOf(waiting))
        self.assertEqual(PLAIN, self.known(ANN))
        self.preferences.look_again([])
        self.records.fail()
        self.preferences.look_again([])
        self.assertEqual({ANN, TV}, set(self.records.answer()))
        self.assertEqual({(ANN, PLAIN), (TV, PLAIN)}, set(self.changes))
        self.preferences.look_again([])
        self.assertEqual([], self.records.asked)

    def test_slow(self) -> None:
        """Nobody waits for longer than half a second; a later result is reported as a change."""
        self.records.kept[ANN] = BLOCKS_TV
        waiting = self.asked(ANN)
        self.clock.advance(preferences.PATIENCE)
        self.assertIs(UNREADABLE, self.successResultOf(waiting))
        self.records.answer()
        self.assertEqual([(ANN, BLOCKS_TV)], self.changes)
        self.assertEqual(BLOCKS_TV, self.known(ANN))

    def test_stop(self) -> None:
        """When the daemon stops nobody waits any more."""
        waiting = self.asked(ANN)
        self.preferences.stop()
        self.assertIs(UNREADABLE, self.successResultOf(waiting))
        self.records.fail()

    def test_memory(self) -> None:
        """The number of known phones is limited: the last that were read."""
        self.patch(preferences, "KNOWN_MAX", 3)
        self.learn("1", "2", "3", "4")
        for phone in "234":
            self.known(phone)
        self.asked("1")
        self.records.answer()


class PolicyTests(SynchronousTestCase):
    """The rules of a policy."""

    def test_allows(self) -> None:
        """A blocked caller may not call, nor one that is not listed where only contacts may."""
        for policy, allowed in (
            (ANYONE, [ANN, TV]),
            (NOBODY, []),
            (BLOCKS_TV.policy, [ANN]),
            (Policy(quiet=QuietHours(0, 0, "UTC")), []),
            (Policy(quiet=QuietHours(60, 0, "UTC")), [ANN, TV]),
            (Policy(only=frozenset([ANN, TV])), [ANN, TV]),
            (Policy(frozenset([TV]), frozenset([ANN, TV])), [ANN]),
        ):
            self.assertEqual(allowed, [phone for phone in (ANN, TV) if policy.allows(phone, 0.0)], policy)
