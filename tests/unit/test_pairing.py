"""Pairing: a device of a phone lets another one in by the letters that it shows, over HTTP."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any, Final

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.pairing import CODE_LENGTH, INTERVAL, LETTERS, VALID_FOR, draw_code, read_code, shown
from callnet.accounts.validation import secret_hash
from callnet.config.schema import LimitSettings
from callnet.errors import CodeInvalid, RateLimited
from callnet.model import DEVICE_ID_MAX, DEVICE_LABEL_MAX, EVERY_DEVICE, DeviceAddress, Topic
from callnet.ops.limits import LimitsAlone, PairingLimits
from callnet.storage import devices
from callnet.storage.changes import SqlChanges
from callnet.storage.codes import SqlPairings
from callnet.storage.revoking import SqlRevocations
from tests.support.account_fixture import FRIEND, PHONE, ServiceFixture
from tests.support.api_case import LOGIN, MARK, ApiTestCase
from tests.support.immediate import run_at_once

BEGIN, POLL = "/pairing/begin", "/pairing/poll"
LOOK, ACCEPT, REFUSE = "/pairing/look", "/pairing/accept", "/pairing/refuse"
DEVICES = "/devices/list"
PLAIN: Final = {"errorCode", "errorCodeName", "message"}
ODD = "\u200b \u00ad-–—　\t"
"""Characters that people and keyboards put between letters."""


class PairingCase(ApiTestCase):
    """A phone with a claimed device."""

    enrolment: Any = "open"

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.fixture.database.close()
        self.fixture = ServiceFixture(self.enrolment)
        self.addCleanup(self.fixture.database.close)
        self.serve(self.fixture.logins, self.fixture.lists)
        self.token = self.claimed(PHONE, "pad")

    def claimed(self, phone: str, device_id: str) -> str:
        """The token of a device that has shown its secret."""
        devices.provision(self.fixture.database, phone, [device_id], 0.0, secrets={device_id: secret_hash("s" * 32)})
        self.fixture.accounts.forget([phone])
        token: str = self.ask(LOGIN, phone=phone, device_id=device_id, secret="s" * 32)["token"]
        return token

    def ask(self, path: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request that succeeds, but for the envelope."""
        answer: dict[str, Any] = self.post(path, fields).json()
        self.assertEqual(0, answer["errorCode"], answer)
        return {name: value for name, value in answer.items() if name not in PLAIN}

    def code_of(self, path: str, **fields: Any) -> int:
        """The errorCode of an answer."""
        code: int = self.post(path, fields).json()["errorCode"]
        return code

    def find(self, code: str, token: str | None = None) -> str:
        """The id of the device that shows a code."""
        found: str = self.ask(LOOK, token=token or self.token, user_code=code)["pairing_id"]
        return found

    def poll(self, begun: dict[str, Any]) -> Any:
        """The answer to the device that waits: the device that it is, ``None``, or the errorCode."""
        self.fixture.clock.advance(INTERVAL)
        answer = self.post(POLL, {"device_secret": begun["device_secret"]}).json()
        if answer["errorCode"]:
            return answer["errorCode"]
        return answer["phone"] and DeviceAddress(answer["phone"], answer["device_id"])

    def accepts(self, pairing_id: str, device_id: str = "tv", token: str | None = None, label: str = "") -> int:
        """Accept a device; the errorCode."""
        return self.code_of(ACCEPT, token=token or self.token, pairing_id=pairing_id, device_id=device_id, label=label)


class PairingTests(PairingCase):
    """From the code to the login."""

    def test_pairing(self) -> None:
        """A device shows a code, one of a phone accepts it under a name, and it logs in with a secret of its own."""
        begun = self.ask(BEGIN, name="Television")
        self.assertEqual((VALID_FOR, INTERVAL), (begun["expires_in"], begun["interval"]))
        self.assertRegex(begun["user_code"], rf"\A[{LETTERS}]{{4}}-[{LETTERS}]{{4}}\Z")
        self.assertGreaterEqual(len(begun["device_secret"]), 32)
        self.assertIsNone(self.poll(begun))
        found = self.ask(LOOK, token=self.token, user_code=begun["user_code"].lower())
        self.assertEqual(("Television", INTERVAL), (found["name"], found["age"]))
        self.assertEqual({"pairing_id", "name", "age"}, set(found))
        self.assertEqual(0, self.accepts(found["pairing_id"], "tv", label="Mum's 电视"))
        self.assertEqual(DeviceAddress(PHONE, "tv"), self.poll(begun))
        login = self.ask(LOGIN, phone=PHONE, device_id="tv", secret=begun["device_secret"])
        self.assertNotIn("device_secret", login)
        token = self.fixture.tokens.verify(login["token"])
        self.assertEqual((DeviceAddress(PHONE, "tv"), True), (token.device, token.claimed))
        rows = self.ask(DEVICES, token=self.token)["devices"]
        self.assertEqual(["", "Mum's 电视"], [row["label"] for row in rows])
        self.assertEqual({"begun": 1, "accepted": 1, "refused": 0, "limited": 0}, self.fixture.pairings.counts)

    def test_blank_names(self) -> None:
        """Names of which nothing is seen are none: what a device calls itself, and what its owner calls it."""
        begun = self.ask(BEGIN, name="\u3000")
        found = self.ask(LOOK, token=self.token, user_code=begun["user_code"])
        self.assertEqual("", found["name"])
        self.assertEqual(0, self.accepts(found["pairing_id"], "tv", label=" "))
        self.assertEqual(["", ""], [row["label"] for row in self.ask(DEVICES, token=self.token)["devices"]])

    def test_secret_is_needed(self) -> None:
        """The new device needs its secret from the first moment on."""
        begun = self.ask(BEGIN)
        self.accepts(self.find(begun["user_code"]))
        self.assertNotEqual(0, self.code_of(LOGIN, phone=PHONE, device_id="tv"))
        self.assertEqual(5, self.code_of(LOGIN, phone=PHONE, device_id="tv", secret="x"))

    def test_lost_answers(self) -> None:
        """An answer that is lost takes nothing with it: all can be asked again."""
        begun = self.ask(BEGIN)
        pairing_id = self.find(begun["user_code"])
        self.assertEqual([0, 0], [self.accepts(pairing_id) for _ in range(2)])
        for _ in range(3):
            self.assertEqual(DeviceAddress(PHONE, "tv"), self.poll(begun))
        self.assertEqual(2, len(self.ask(DEVICES, token=self.token)["devices"]))

    def test_late_answer(self) -> None:
        """A device that is accepted in the last moment has time to hear of it."""
        begun = self.ask(BEGIN)
        pairing_id = self.find(begun["user_code"])
        self.fixture.clock.advance(VALID_FOR - 1)
        self.accepts(pairing_id)
        self.assertEqual(DeviceAddress(PHONE, "tv"), self.poll(begun))
        self.fixture.clock.advance(120)
        self.assertEqual(7, self.poll(begun))

    def test_told(self) -> None:
        """A device that was told that it is let in is soon not known any more, although its code was valid longer."""
        begun = self.ask(BEGIN)
        self.accepts(self.find(begun["user_code"]))
        self.assertEqual(DeviceAddress(PHONE, "tv"), self.poll(begun))
        self.fixture.clock.advance(100)
        self.assertEqual(DeviceAddress(PHONE, "tv"), self.poll(begun))
        self.fixture.clock.advance(20)
        self.assertEqual(7, self.poll(begun))

    def test_states(self) -> None:
        """Every state answers every request."""
        friend = self.claimed(FRIEND, "pad")

        def expires(_: str) -> None:
            self.fixture.clock.advance(VALID_FOR)

        for happens, becomes, codes in (
            (lambda _: None, None, [0, 0, 7, 7]),
            (expires, 7, [7, 7, 7, 7]),
            (self.accepts, DeviceAddress(PHONE, "tv"), [7, 0, 7, 7]),
            (lambda found: self.accepts(found, "x", friend), DeviceAddress(FRIEND, "x"), [7, 7, 7, 7]),
            (lambda found: self.code_of(REFUSE, token=friend, pairing_id=found), 5, [7, 7, 7, 0]),
        ):
            begun = self.ask(BEGIN)
            found = self.find(begun["user_code"])
            happens(found)
            self.assertEqual(becomes, self.poll(begun))
            answers = [
                self.code_of(LOOK, token=friend, user_code=begun["user_code"]),
                self.accepts(found),
                self.accepts(found, "y", friend),
                self.code_of(REFUSE, token=friend, pairing_id=found),
            ]
            self.assertEqual(codes, answers, becomes)
            self.code_of("/devices/remove", token=self.token, device_id="tv")

    def test_two_at_once(self) -> None:
        """Of two phones that accept the same device one has it."""
        friend = self.claimed(FRIEND, "pad")
        begun = self.ask(BEGIN)
        pairing_id = self.find(begun["user_code"])
        self.assertEqual([0, 7], [self.accepts(pairing_id, "tv", token) for token in (self.token, friend)])
        self.assertEqual(PHONE, self.poll(begun).phone)
        self.assertEqual(1, len(self.ask(DEVICES, token=friend)["devices"]))

    def test_known_device_is_left_alone(self) -> None:
        """A device that exists is not taken over: the new one needs another id, and waits on."""
        begun = self.ask(BEGIN)
        pairing_id = self.find(begun["user_code"])
        self.assertEqual(5, self.accepts(pairing_id, "pad"))
        self.ask(LOGIN, phone=PHONE, device_id="pad", secret="s" * 32)
        self.assertIsNone(self.poll(begun))
        self.assertEqual(0, self.accepts(pairing_id, "tv"))

    def test_many_devices(self) -> None:
        """Paired devices count as those that logins make, and wait on if there is no room."""
        for number in range(20):
            self.successResultOf(self.fixture.accounts.enrol(DeviceAddress(PHONE, f"d{number}"), b"o" * 32))
        begun = self.ask(BEGIN)
        pairing_id = self.find(begun["user_code"])
        self.assertEqual(5, self.accepts(pairing_id))
        self.assertEqual(1, self.fixture.accounts.refused)
        self.assertIsNone(self.poll(begun))

    def test_unused(self) -> None:
        """A device that was accepted and never came is forgotten as any other; one that came stays."""
        for device_id in ("gone", "tv"):
            begun = self.ask(BEGIN)
            self.accepts(self.find(begun["user_code"]), device_id)
        self.ask(LOGIN, phone=PHONE, device_id="tv", secret=begun["device_secret"])
        self.fixture.clock.advance(8 * 86400)
        self.token = self.ask(LOGIN, phone=PHONE, device_id="pad", secret="s" * 32)["token"]
        begun = self.ask(BEGIN)
        self.accepts(self.find(begun["user_code"]), "new")
        rows = self.ask(DEVICES, token=self.token)["devices"]
        self.assertEqual(["new", "pad", "tv"], [row["device_id"] for row in rows])
        self.assertEqual(1, self.fixture.accounts.forgotten)

    def test_changed(self) -> None:
        """The other devices of the phone are told that its devices have changed."""
        changes = SqlChanges(self.fixture.database, run_at_once, self.fixture.clock.seconds)
        self.successResultOf(changes.new())
        begun = self.ask(BEGIN)
        self.accepts(self.find(begun["user_code"]))
        self.assertEqual({PHONE: {Topic.DEVICES}}, self.successResultOf(changes.new()).phones)

    def test_removed_again(self) -> None:
        """A paired device that was removed comes back neither by its secret nor by its code."""
        begun = self.ask(BEGIN)
        pairing_id = self.find(begun["user_code"])
        self.accepts(pairing_id)
        self.ask("/devices/remove", token=self.token, device_id="tv")
        self.assertNotEqual(0, self.code_of(LOGIN, phone=PHONE, device_id="tv", secret=begun["device_secret"]))
        self.assertEqual(7, self.accepts(pairing_id))
        self.assertEqual(1, len(self.ask(DEVICES, token=self.token)["devices"]))

    def test_counts(self) -> None:
        """A repeated answer counts once."""
        for _ in range(2):
            begun = self.ask(BEGIN)
            pairing_id = self.find(begun["user_code"])
            for _ in range(2):
                self.code_of(REFUSE, token=self.token, pairing_id=pairing_id)
        pairing_id = self.find(self.ask(BEGIN)["user_code"])
        self.assertEqual([0, 0], [self.accepts(pairing_id) for _ in range(2)])
        self.assertEqual({"begun": 3, "accepted": 1, "refused": 2, "limited": 0}, self.fixture.pairings.counts)

    def test_deleted_account(self) -> None:
        """Of a phone that is deleted nothing is left in the table."""
        begun = self.ask(BEGIN)
        self.accepts(self.find(begun["user_code"]))
        devices.delete(self.fixture.database, PHONE, self.fixture.clock.seconds)
        self.assertEqual(7, self.poll(begun))


class InKnownTests(PairingTests):
    """The same where the operator makes the devices."""

    enrolment = "known"


class InOtpTests(PairingTests):
    """The same where new devices need a code that is sent to the phone."""

    enrolment = "otp"


class RefusalTests(PairingCase):
    """Requests that are refused."""

    def test_unclaimed(self) -> None:
        """A device without a secret, which anybody could pose as, lets nobody in."""
        begun = self.ask(BEGIN)
        pairing_id = self.find(begun["user_code"])
        token = self.login(PHONE, "radio")
        self.assertEqual(5, self.code_of(LOOK, token=token, user_code=begun["user_code"]))
        self.assertEqual(5, self.accepts(pairing_id, "tv", token))
        self.assertEqual(5, self.code_of(REFUSE, token=token, pairing_id=pairing_id))
        self.assertIsNone(self.poll(begun))

    def test_tokens(self) -> None:
        """Without a token it is errorCode 2, with an invalid one errorCode 4."""
        for path, body in (
            (LOOK, {"user_code": "BBBBBBBB"}),
            (ACCEPT, {"pairing_id": "0" * 32, "device_id": "tv"}),
            (REFUSE, {"pairing_id": "0" * 32}),
        ):
            self.assert_error(2, path, body)
            self.assert_error(4, path, {**body, "token": "a.b.c"})

    def test_revoked_meanwhile(self) -> None:
        """A token that was revoked on another node, of which this one has not heard yet, lets nobody in."""
        begun = self.ask(BEGIN)
        pairing_id = self.find(begun["user_code"])
        revoked = SqlRevocations(self.fixture.database, run_at_once, self.fixture.clock.seconds)
        self.successResultOf(revoked.revoke_all(DeviceAddress(PHONE, EVERY_DEVICE)))
        self.assertEqual(4, self.accepts(pairing_id))
        self.assertIsNone(self.poll(begun))

    def test_wrong_fields(self) -> None:
        """Fields that are not acceptable are refused in clear words, and change nothing."""
        begun = self.ask(BEGIN, name="x" * DEVICE_LABEL_MAX)
        pairing_id = self.find(begun["user_code"])
        for name in (7, None, "x" * (DEVICE_LABEL_MAX + 1), "a\0", "\ud800", "TV\u2069", "\u202eVT", "\u200b"):
            self.assertEqual(2, self.code_of(BEGIN, name=name), name)
        for device_id in ("", EVERY_DEVICE, "a\0", "x" * (DEVICE_ID_MAX + 1)):
            self.assertEqual(5, self.accepts(pairing_id, device_id), device_id)
        self.assertEqual(2, self.accepts(pairing_id, label="a\n"))
        for wrong in (7, "", "x", "0" * 31, "0" * 32 + "\n", "\0" * 32):
            self.assertEqual(2, self.code_of(REFUSE, token=self.token, pairing_id=wrong), wrong)
            self.assertEqual(2, self.code_of(ACCEPT, token=self.token, pairing_id=wrong, device_id="tv"), wrong)
        self.assertEqual(7, self.code_of(REFUSE, token=self.token, pairing_id="0" * 32))
        for secret in ("", MARK, "\0", "x" * 10_000):
            self.assertEqual(7, self.code_of(POLL, device_secret=secret), secret[:10])
        self.assert_error(2, POLL, {})
        self.assertIsNone(self.poll(begun))

    def test_quiet(self) -> None:
        """The log has no code, no secret, no name and no number."""
        name = "Grandmother's television"
        with capturedLogs() as events:
            begun = self.ask(BEGIN, name=name)
            self.accepts(self.find(begun["user_code"]))
            self.poll(begun)
        text = " ".join(formatEvent(event) for event in events)
        for secret in (begun["user_code"], begun["device_secret"], name, PHONE):
            self.assertNotIn(secret, text)


class LimitTests(PairingCase):
    """Limits on guesses, and on all that strangers can make grow."""

    def test_codes(self) -> None:
        """The devices of a phone look for five codes, right or wrong, and for one more every two minutes."""
        other = self.claimed(PHONE, "another")
        codes = [self.ask(BEGIN)["user_code"] for _ in range(2)]
        found = [
            self.code_of(LOOK, token=token, user_code=code)
            for token, code in zip([self.token, other] * 4, [*codes, *["BBBB-BBBB"] * 6], strict=True)
        ]
        self.assertEqual([0, 0, 7, 7, 7, 6, 6, 6], found)
        answer = self.post(LOOK, {"token": self.token, "user_code": codes[0]})
        self.assertEqual((429, "120"), (answer.status, answer.headers["retry-after"]))
        self.fixture.clock.advance(120)
        self.assertEqual(0, self.code_of(LOOK, token=other, user_code=codes[0]))
        self.assertEqual(0, self.code_of(LOOK, token=self.claimed(FRIEND, "tv"), user_code=codes[0]))

    def test_misspelt(self) -> None:
        """A text that cannot be a code is no try."""
        for text in ("", "BBBB", "BBBB-BBBA", "B" * 9, "B" * 100, MARK, "１２３４５６７８"):
            self.assertEqual(7, self.code_of(LOOK, token=self.token, user_code=text), text)
        self.assertEqual(0, self.code_of(LOOK, token=self.token, user_code=self.ask(BEGIN)["user_code"]))

    def test_too_soon(self) -> None:
        """A device that asks too often is told when to ask again, and loses nothing."""
        begun = self.ask(BEGIN)
        asked = {"device_secret": begun["device_secret"]}
        self.assertEqual([0, 0, 6], [self.code_of(POLL, **asked) for _ in range(3)])
        answer = self.post(POLL, asked)
        self.assertEqual((429, str(INTERVAL)), (answer.status, answer.headers["retry-after"]))
        self.fixture.clock.advance(INTERVAL)
        self.assertEqual(0, self.code_of(POLL, **asked))
        for _ in range(50):
            self.fixture.clock.advance(INTERVAL)
            self.assertEqual(0, self.code_of(POLL, **asked))

    def test_address(self) -> None:
        """The number of pairings from an address is limited, and so is that of their questions."""
        settings = LimitSettings(pairings_an_hour_from_an_address=12)
        limits = PairingLimits(settings, LimitsAlone(lambda: 0.0), INTERVAL)

        def outcome(made: Any) -> bool:
            return self.successResultOf(Deferred.fromCoroutine(made).addCallbacks(lambda _: True, lambda _: False))

        self.assertEqual([True, True, False], [outcome(limits.begin("192.0.2.1")) for _ in range(3)])
        self.assertEqual([True] * 3, [outcome(limits.begin("127.0.0.1")) for _ in range(3)])
        polls = [outcome(limits.poll("192.0.2.1", str(number))) for number in range(145)]
        self.assertEqual([True] * 144 + [False], polls)
        settings.pairings_an_hour_from_an_address = 0
        limits.changed()
        self.assertTrue(outcome(limits.begin("192.0.2.1")))
        self.assertTrue(outcome(limits.poll("192.0.2.1", "x")))

    def test_network(self) -> None:
        """The addresses of an IPv6 /48, of which a stranger may have all, begin ten times as many as one."""
        limits = PairingLimits(LimitSettings(), LimitsAlone(lambda: 0.0), INTERVAL)

        def begins(host: str) -> str:
            made = Deferred.fromCoroutine(limits.begin(host))
            return self.successResultOf(made.addCallbacks(lambda _: "", lambda failure: str(failure.value)))

        of_one, of_network = "too many pairings from this address", "too many pairings from this network"
        self.assertEqual([""] * 10 + [of_one], [begins("2001:db8:1:1::1") for _ in range(11)])
        self.assertEqual(
            [""] * 90 + [of_network] * 9, [begins(f"2001:db8:1:{number:x}::1") for number in range(2, 101)]
        )
        self.assertEqual("", begins("2001:db8:2::1"))
        self.assertEqual("", begins("192.0.2.1"))

    def test_codes_from_address(self) -> None:
        """A stranger with any number of phones looks for 20 codes from an address, and for one more every 30 s; from an
        IPv6 /48 for ten times as many.
        """
        now = [0.0]
        limits = PairingLimits(LimitSettings(), LimitsAlone(lambda: now[0]), INTERVAL)

        def looks(host: str, phone: int) -> str:
            looked = Deferred.fromCoroutine(limits.code(host, str(phone)))
            return self.successResultOf(looked.addCallbacks(lambda _: "", lambda failure: str(failure.value)))

        refused = "too many codes were entered from this address"
        self.assertEqual([""] * 20 + [refused], [looks("192.0.2.1", number) for number in range(21)])
        self.assertEqual("", looks("192.0.2.2", 21))
        self.assertEqual("", looks("127.0.0.1", 22))
        now[0] = 30.0
        self.assertEqual(["", refused], [looks("192.0.2.1", number) for number in (23, 24)])

        found = [looks(f"2001:db8:1:{number:x}::1", number) for number in range(100, 301)]
        self.assertEqual([""] * 200 + ["too many codes were entered from this network"], found)

    def test_all(self) -> None:
        """The number of devices that wait is bounded; those that have given up make room."""
        self.fixture.pairings._pairings = SqlPairings(self.fixture.database, run_at_once, 3)
        self.assertEqual([0, 0, 0, 6, 6], [self.code_of(BEGIN) for _ in range(5)])
        self.assertEqual(2, self.fixture.pairings.counts["limited"])
        self.fixture.clock.advance(VALID_FOR)
        self.assertEqual([0, 0, 0, 6, 6], [self.code_of(BEGIN) for _ in range(5)])

    def test_guessing(self) -> None:
        """A phone that has guessed wrong five times finds nothing by the right code either; all that wait get in."""
        draw = random.Random(8628)  # noqa: S311
        waiting = [self.ask(BEGIN) for _ in range(10)]
        limits, pairings = self.fixture.pairing_limits, self.fixture.pairings
        outcomes: Counter[type[Exception]] = Counter()

        codes = {read_code(begun["user_code"]) for begun in waiting}

        def wrong() -> str:
            code = "".join(draw.choices(LETTERS, k=CODE_LENGTH))
            return wrong() if code in codes else code

        async def guess(phone: int, code: str | None) -> None:
            await limits.code("", str(phone))
            await pairings.find(code or wrong())

        for phone in range(1000):
            for code in (None, None, None, None, None, draw.choice(sorted(filter(None, codes)))):
                failure = self.failureResultOf(Deferred.fromCoroutine(guess(phone, code)))
                outcomes[failure.type] += 1
        self.assertEqual({CodeInvalid: 5000, RateLimited: 1000}, outcomes)
        for number, begun in enumerate(waiting):
            token = self.claimed(f"1365188{number:04}", "pad")
            self.assertEqual(0, self.accepts(self.find(begun["user_code"], token), "tv", token))
        for number, begun in enumerate(waiting):
            device = self.poll(begun)
            self.assertEqual(DeviceAddress(f"1365188{number:04}", "tv"), device)
            self.ask(LOGIN, **device._asdict(), secret=begun["device_secret"])


class CodeTests(SynchronousTestCase):
    """The letters of a code, as people type them."""

    def test_drawn(self) -> None:
        """A code that was drawn is read as itself, in groups or not."""
        codes = {draw_code() for _ in range(100)}
        self.assertEqual(100, len(codes))
        for code in codes:
            self.assertEqual([code, code], [read_code(code), read_code(shown(code))])

    @given(st.text(LETTERS, min_size=8, max_size=8), st.lists(st.text(ODD, max_size=2), min_size=9, max_size=9))
    def test_typed(self, code: str, between: list[str]) -> None:
        """Case, width, spaces and hyphens do not matter."""
        for letters in (code, code.lower(), "".join(chr(ord(each) + 0xFEE0) for each in code)):
            typed = "".join(odd + letter for odd, letter in zip(between, letters, strict=False)) + between[-1]
            self.assertEqual(code, read_code(typed))

    @given(st.text(st.characters(codec=None), max_size=80))
    def test_anything(self, text: str) -> None:
        """Any text is a code or none."""
        code = read_code(text)
        if code is not None:
            self.assertEqual(CODE_LENGTH, len(code))
            self.assertLessEqual(set(code), set(LETTERS))
