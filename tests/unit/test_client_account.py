"""The client's account, against the service itself and against answers that it never gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.model import DeviceAddress
from callnet_client import (
    Account,
    AccountError,
    Adder,
    ClientError,
    ContactRow,
    Credentials,
    ErrorCode,
    Person,
    Photo,
    Profile,
    Server,
    Settings,
    Unreachable,
)
from callnet_client.account import RENEW_BEFORE
from callnet_client.server import TIMEOUT
from tests.support.account_fixture import FRIEND, PHONE, TV, ServiceFixture
from tests.unit.test_pictures import jpeg


class _Always(Resource):
    """Answers everything alike, and remembers the requests."""

    def __init__(self, status: int, body: bytes, **headers: str) -> None:
        Resource.__init__(self)
        self._status = status
        self._body = body
        self._headers = headers
        self.target: list[dict[str, Any]] = []

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        return self

    def render(self, request: Request) -> bytes:
        content: Any = request.content
        self.target.append(json.loads(content.read()))
        request.setResponseCode(self._status)
        for name, value in self._headers.items():
            request.setHeader(name.replace("_", "-"), value)
        return self._body


class _Overtaken(_Always):
    """Refuses a device that has another secret by the time it is told."""

    def __init__(self) -> None:
        _Always.__init__(self, 200, b'{"errorCode": 5}')
        self.account = Account(server_of(self, Clock()), *TV, kept=Credentials("a.b.c", 1e12, "old"))

    def render(self, request: Request) -> bytes:
        self.account.credentials = Credentials("t", 1e12, "new")
        return _Always.render(self, request)


class _Never(Resource):
    """Answers nothing."""

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        return self

    def render(self, request: Request) -> int:  # noqa: ARG002
        return NOT_DONE_YET


class _Slow(Resource):
    """Answers when a test says so."""

    isLeaf = True  # noqa: N815  Twisted's name

    def __init__(self) -> None:
        Resource.__init__(self)
        self.agent: Any = RequestTraversalAgent(self)  # type: ignore[no-untyped-call]
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.waiting: list[Request] = []

    def render(self, request: Request) -> int:
        content: Any = request.content
        self.asked.append((request.path.decode(), json.loads(content.read())))
        self.waiting.append(request)
        return NOT_DONE_YET

    def answer(self, **fields: Any) -> None:
        """Answer the oldest request."""
        request = self.waiting.pop(0)
        request.write(json.dumps({"errorCode": 0, **fields}).encode())
        request.finish()
        self.agent.flush()


def server_of(resource: IResource, clock: Clock) -> Server:
    """A server whose account service is a resource, without a network."""
    agent: IAgent = RequestTraversalAgent(resource)  # type: ignore[no-untyped-call]
    return Server("http://callnet.test:8083/", clock, agent=agent)


class ServiceTests(SynchronousTestCase):
    """The service itself."""

    def setUp(self) -> None:
        """A service that nobody has used, and a television."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.server = server_of(self.fixture.api(), self.fixture.clock)
        self.kept: list[Credentials] = []
        self.account = self.account_of(*TV, keep=self.kept.append)

    def account_of(self, phone: str, device_id: str, **options: Any) -> Account:
        """The account of a device."""
        return Account(self.server, phone, device_id, **options)

    def test_login(self) -> None:
        """A login gives a token, which is kept with the secret that the first login alone is told and shows at once."""
        self.assertFalse(self.account.is_logged_in)
        token = self.successResultOf(self.account.login())
        self.assertEqual(TV, self.fixture.tokens.verify(token).device)
        self.assertTrue(self.account.is_logged_in)
        offered, kept = self.kept
        self.assertEqual((token, self.account.credentials), (kept.token, kept))
        self.assertEqual(kept.secret, offered.secret)
        self.assertIsNotNone(kept.secret)
        self.successResultOf(self.account.login())
        self.assertEqual(kept.secret, self.kept[-1].secret)

    def test_claiming(self) -> None:
        """The first login has claimed the device: a login as it needs the kept secret."""
        token = self.successResultOf(self.account.login())
        self.assertTrue(self.fixture.tokens.verify(token).claimed)
        again = self.account_of(*TV, kept=self.kept[-1], keep=self.kept.append)
        self.successResultOf(again.login())
        error = self.failureResultOf(self.account_of(*TV).login(), AccountError).value
        self.assertEqual(ErrorCode.DEVICE, error.code)

    def test_nobody_keeps_the_secret(self) -> None:
        """Where the secret would get lost it is never shown, so that the device stays everybody's."""
        account = self.account_of(*TV)
        for _ in range(2):
            self.successResultOf(account.login())
        self.assertIsNone(account.credentials.secret)
        self.successResultOf(self.account_of(*TV).login())

    def test_secret_that_cannot_be_kept(self) -> None:
        """Where it cannot be kept now it is not shown either, and the account goes on with what it has."""

        def keep(_credentials: Credentials) -> None:
            raise OSError(28, "No space left on device")

        account = self.account_of(*TV, keep=keep)
        token = self.successResultOf(account.login())
        self.assertEqual((token, None), (account.token, account.credentials.secret))
        self.assertFalse(self.fixture.tokens.verify(token).claimed)
        account.forget()
        self.assertIsNone(account.token)
        self.assertEqual(2, len(self.flushLoggedErrors(OSError)))
        self.successResultOf(self.account_of(*TV).login())

    def test_login_that_is_refused(self) -> None:
        """A refusal has the service's code, its name and its words, and changes nothing."""
        account = self.account_of("not a phone", "tv")
        error = self.failureResultOf(account.login(), AccountError).value
        self.assertEqual((200, 3, "ERROR_CODE_PHONE_INVALID"), (error.status, error.code, error.name))
        self.assertTrue(str(error).startswith("ERROR_CODE_PHONE_INVALID: phone "), error)
        self.assertIsNone(account.token)

    def test_expiry(self) -> None:
        """A token is good until its time is over."""
        self.successResultOf(self.account.login())
        self.fixture.clock.advance(self.account.credentials.expires_at - self.fixture.clock.seconds() - 1)
        self.assertTrue(self.account.is_logged_in)
        self.fixture.clock.advance(1)
        self.assertFalse(self.account.is_logged_in)

    def test_renewal(self) -> None:
        """A token that has less than a day left is replaced, and the new one kept."""
        first = self.successResultOf(self.account.login())
        self.fixture.clock.advance(60)
        self.successResultOf(self.account.renew())
        self.assertNotEqual(first, self.account.token)
        self.assertEqual(self.account.credentials, self.kept[-1])
        self.assertTrue(self.account.is_logged_in)

    def test_renewal_that_is_refused(self) -> None:
        """Where a token cannot be renewed any more, such as one of a retired key, the device logs in again."""
        for _ in range(2):
            self.successResultOf(self.account.login())
        self.fixture.clock.advance(60)
        self.fixture.tokens.use(KeyRing.of(Key.of(b"k" * 32), [Key.of(b"n" * 32, 30.0)]))
        self.successResultOf(self.account.renew())
        token = self.fixture.tokens.verify(self.account.token or "")
        self.assertTrue(token.is_renewable and token.claimed)

    def test_nothing_to_renew(self) -> None:
        """A client that is not logged in has nothing to renew."""
        self.successResultOf(self.account.renew())
        self.assertEqual([], self.kept)

    def test_logout(self) -> None:
        """A logout revokes the token; the secret is kept."""
        token = self.successResultOf(self.account.login())
        self.successResultOf(self.account.logout())
        self.assertEqual((None, False), (self.account.token, self.account.is_logged_in))
        self.assertEqual((None, self.kept[0].secret), (self.kept[-1].token, self.kept[-1].secret))
        asked = self.server.post("/getContactPersons", {"phone": PHONE, "token": token})
        self.assertEqual(ErrorCode.TOKEN, self.failureResultOf(asked, AccountError).value.code)
        self.successResultOf(self.account.logout())

    def test_logout_of_what_is_revoked(self) -> None:
        """A logout with a revoked token is no error."""
        token = self.successResultOf(self.account.login())
        self.successResultOf(self.server.post("/account/logout", {"token": token}))
        self.successResultOf(self.account.logout())

    def test_a_token_that_is_no_good(self) -> None:
        """A request whose token is invalid is repeated once after a new login."""
        account = self.account_of(*TV, kept=Credentials("a.b.c", 1e12), keep=self.kept.append)
        self.assertEqual([], self.successResultOf(account.contacts()))
        self.assertEqual(account.token, self.kept[-1].token)

    def test_contacts(self) -> None:
        """Phones are put on the list, get a name and lose it, and are taken off; rows have their presence."""
        self.successResultOf(self.account_of(FRIEND, "phone1").login())
        self.assertEqual([], self.successResultOf(self.account.contacts()))
        self.successResultOf(self.account.add_contact(FRIEND))
        self.successResultOf(self.account.add_contact(FRIEND, "Mum"))
        self.fixture.put_online(DeviceAddress(FRIEND, "phone1"))
        rows = self.successResultOf(self.account.contacts())
        self.assertEqual([ContactRow(FRIEND, "phone1", "Mum", True)], rows)
        for name, kept in ((None, "Mum"), ("", "")):
            self.successResultOf(self.account.add_contact(FRIEND, name))
            self.assertEqual(kept, self.successResultOf(self.account.people())[0].name)
        self.successResultOf(self.account.remove_contact(FRIEND))
        self.assertEqual([], self.successResultOf(self.account.contacts()))

    def test_settings(self) -> None:
        """The owner's settings are kept, each until it is changed."""
        self.assertEqual(Settings(None, []), self.successResultOf(self.account.settings()))
        night = {"from": "22:30", "to": "07:00", "time_zone": "Europe/Berlin"}
        self.successResultOf(self.account.settings(do_not_disturb=night))
        changed = self.successResultOf(self.account.settings(auto_answer=[FRIEND]))
        self.assertEqual(Settings(night, [FRIEND]), changed)

    def test_people(self) -> None:
        """Contacts have profiles; who has added the phone is known until it is dismissed; blocked phones are listed."""
        friend = Account(self.server, FRIEND, "pad", keep=lambda _: None)
        self.assertEqual(Profile("Ann"), self.successResultOf(friend.profile(name="Ann")))
        self.successResultOf(friend.add_contact(PHONE))
        self.assertEqual([Adder(FRIEND, "Ann")], self.successResultOf(self.account.added()))
        self.successResultOf(self.account.dismiss(FRIEND))
        self.assertEqual([], self.successResultOf(self.account.added()))
        self.successResultOf(self.account.add_contact(FRIEND, favourite=True))
        person = Person(FRIEND, "", "Ann", None, favourite=True, joined=True)
        self.assertEqual([person], self.successResultOf(self.account.people()))
        self.successResultOf(self.account.block(FRIEND))
        self.assertEqual([FRIEND], self.successResultOf(self.account.blocked()))

    def test_photo(self) -> None:
        """A photo is set, seen and removed."""
        data = jpeg(64, 64)
        version = self.successResultOf(self.account.profile(photo=data)).photo
        self.assertEqual(Photo("image/jpeg", str(version), data), self.successResultOf(self.account.photo(PHONE)))
        self.assertEqual(version, self.successResultOf(self.account.profile(name="x")).photo)
        self.assertEqual(Profile("x"), self.successResultOf(self.account.profile(photo=b"")))
        self.assertIsNone(self.successResultOf(self.account.photo(PHONE)))

    def test_given_photo(self) -> None:
        """A contact is given a photo, which is seen in place of its own, and loses it."""
        data = jpeg(64, 64)
        self.successResultOf(self.account.add_contact(FRIEND, photo=data))
        (person,) = self.successResultOf(self.account.people())
        self.assertEqual(Photo("image/jpeg", str(person.photo), data), self.successResultOf(self.account.photo(FRIEND)))
        self.assertTrue(person.photo_given)
        self.successResultOf(self.account.add_contact(FRIEND, photo=b""))
        (person,) = self.successResultOf(self.account.people())
        self.assertEqual((None, False), (person.photo, person.photo_given))

    def test_devices(self) -> None:
        """A claimed device renames, logs out and removes others of its phone."""
        own = Account(self.server, PHONE, "phone", keep=lambda _: None)
        self.successResultOf(self.account.login())
        self.successResultOf(own.rename_device(TV.device_id, "TV"))
        found = self.successResultOf(own.devices())
        self.assertEqual(
            [("phone", "", True), (TV.device_id, "TV", False)], [(d.device_id, d.label, d.this) for d in found]
        )
        self.successResultOf(own.configure_device(TV.device_id, kiosk_pin="0471", auto_answers=True))
        found = self.successResultOf(own.devices())
        self.assertEqual([(False, False), (True, True)], [(d.kiosk, d.auto_answers) for d in found])
        wrong = self.failureResultOf(self.account.unlock("0472"), AccountError).value
        self.assertEqual(ErrorCode.CODE, wrong.code)
        self.successResultOf(self.account.unlock("0471"))
        self.assertEqual([False, False], [device.kiosk for device in self.successResultOf(own.devices())])
        self.successResultOf(own.log_out_device(TV.device_id))
        self.successResultOf(own.remove_device(TV.device_id))
        self.assertEqual(["phone"], [device.device_id for device in self.successResultOf(own.devices())])

    def test_removed(self) -> None:
        """A refused secret is forgotten. The device is out until somebody logs in again, and a new one then."""
        self.successResultOf(self.account.login())
        lost = self.kept[-1].secret
        own = Account(self.server, PHONE, "phone", keep=lambda _: None)
        self.successResultOf(own.remove_device(TV.device_id))
        for _ in range(2):
            error = self.failureResultOf(self.account.contacts(), AccountError).value
            self.assertEqual((ErrorCode.DEVICE, False), (error.code, self.account.is_logged_in))
        self.assertIsNone(self.kept[-1].secret)
        self.assertEqual(["phone"], [device.device_id for device in self.successResultOf(own.devices())])
        self.successResultOf(self.account.login())
        self.assertEqual([], self.successResultOf(self.account.contacts()))
        self.assertNotIn(self.kept[-1].secret, (None, lost))

    def test_deleted_calls(self) -> None:
        """Calls are deleted, one or all."""
        self.successResultOf(self.account.delete_call("0" * 32))
        self.successResultOf(self.account.delete_calls())
        self.assertEqual(ErrorCode.DATA, self.failureResultOf(self.account.delete_call("x"), AccountError).value.code)

    def test_history(self) -> None:
        """At first there are no past calls."""
        past = self.successResultOf(self.account.history(limit=10))
        self.assertEqual(([], None), (list(past.calls), past.next))

    def test_any_other_request(self) -> None:
        """Requests that this client has no method for go the same way, with the token."""
        asked = self.account.ask("/devices/push", kind="none")
        self.assertEqual(0, self.successResultOf(asked)["errorCode"])
        error = self.failureResultOf(self.server.post("/contacts/nothing", {}), AccountError).value
        self.assertEqual((404, 2), (error.status, error.code))


class AskedTests(SynchronousTestCase):
    """The outgoing requests."""

    ANSWER: Mapping[str, Any] = {"errorCode": 0, "token": "t", "calls": [], "next": "n", "contacts": []}

    def setUp(self) -> None:
        """Somebody who takes it."""
        self.resource = _Always(200, json.dumps(self.ANSWER).encode())
        server = server_of(self.resource, Clock())
        self.account = Account(server, *TV, kept=Credentials("t", 1e12, "s"), keep=lambda _: None)

    def test_login(self) -> None:
        """A login shows the secret and the code, where there are such."""
        self.successResultOf(self.account.login("123456"))
        who = {"phone": PHONE, "device_id": TV.device_id}
        self.assertEqual([{**who, "secret": "s", "code": "123456"}], self.resource.target)

    def test_renewal(self) -> None:
        """A token is replaced only when it has less than a day left."""
        for left, asked in ((RENEW_BEFORE + 1, []), (RENEW_BEFORE - 1, [{"token": "t"}])):
            account = Account(self.account.server, *TV, kept=Credentials("t", left))
            self.successResultOf(account.renew())
            self.assertEqual(asked, self.resource.target)

    def test_requests(self) -> None:
        """The requests have the words of the protocol."""
        self.successResultOf(self.account.request_code())
        self.successResultOf(self.account.block(FRIEND))
        self.successResultOf(self.account.unblock(FRIEND))
        self.assertEqual("n", self.successResultOf(self.account.history(2, "m")).next)
        contact = {"contact_phone": FRIEND, "token": "t"}
        self.assertEqual(
            [{"phone": PHONE}, contact, contact, {"limit": 2, "after": "m", "token": "t"}], self.resource.target
        )


class SlowTests(SynchronousTestCase):
    """A service that takes its time."""

    def setUp(self) -> None:
        """A device whose token is soon to expire."""
        self.service = _Slow()
        server = Server("http://callnet.test:8083/", Clock(), agent=self.service.agent)
        self.kept: list[Credentials] = []
        self.account = Account(server, *TV, kept=Credentials("old", 1.0, "s"), keep=self.kept.append)

    def refused(self, asked: Deferred[Any]) -> int | None:
        """The code with which a request has failed."""
        error: AccountError = self.failureResultOf(asked, AccountError).value
        return error.code

    def assert_logged_out_for(self, late: Deferred[Any]) -> None:
        """A logout is not undone by the answer to this request: its token is revoked, and nobody has it."""
        logout = self.account.logout()
        self.service.answer(token="new", expires_in=60)
        self.assertEqual(ErrorCode.TOKEN, self.refused(late))
        for _ in range(2):
            self.service.answer()
        self.successResultOf(logout)
        self.assertEqual([Credentials(secret="s")], self.kept)
        logouts = [("/account/logout", {"token": token}) for token in ("old", "new")]
        self.assertEqual(logouts, self.service.asked[1:])

    def test_logout_during_login(self) -> None:
        """A login in progress does not undo a logout."""
        self.assert_logged_out_for(self.account.login())

    def test_logout_during_renewal(self) -> None:
        """A renewal in progress does not undo a logout."""
        self.assert_logged_out_for(self.account.renew())

    def test_logged_out_for_good(self) -> None:
        """A device that has logged out comes back by :meth:`Account.login` only, and waits for no earlier one."""
        late = self.account.login()
        self.account.forget()
        self.assertEqual((ErrorCode.TOKEN, False), (self.refused(self.account.contacts()), self.account.is_logged_in))
        again = self.account.login()
        self.service.answer(token="late", expires_in=60)
        self.assertEqual(ErrorCode.TOKEN, self.refused(late))
        self.service.answer(token="new", expires_in=60)
        self.assertEqual(("new", "new"), (self.successResultOf(again), self.account.token))

    def test_logout_beside_a_request(self) -> None:
        """A request that is refused after a logout does not log in again."""
        asked = self.account.contacts()
        self.account.logout()
        self.service.answer(errorCode=ErrorCode.TOKEN)
        self.assertEqual(ErrorCode.TOKEN, self.refused(asked))
        self.assertEqual(["/getContactPersons", "/account/logout"], [path for path, _ in self.service.asked])

    def test_one_login(self) -> None:
        """Requests that need a login wait for the one in progress, and one that was overtaken needs none."""
        asked = [self.account.people() for _ in range(3)]
        for _ in asked:
            self.service.answer(errorCode=ErrorCode.TOKEN)
        self.service.answer(token="new", expires_in=60)
        for _ in asked:
            self.service.answer(contacts=[])
        self.assertEqual([[]] * 3, [self.successResultOf(one) for one in asked])
        self.assertEqual(1, [path for path, _ in self.service.asked].count("/account/login"))

    def test_overtaken(self) -> None:
        """A request whose token was replaced while it was on its way uses the new one."""
        first, second = self.account.people(), self.account.people()
        self.service.answer(errorCode=ErrorCode.TOKEN)
        late = self.service.waiting.pop(0)
        self.service.answer(token="new", expires_in=60)
        self.service.answer(contacts=[])
        self.successResultOf(first)
        self.service.waiting.append(late)
        self.service.answer(errorCode=ErrorCode.TOKEN)
        self.service.answer(contacts=[])
        self.successResultOf(second)
        self.assertEqual(1, [path for path, _ in self.service.asked].count("/account/login"))

    def test_cancelled(self) -> None:
        """A login goes on while somebody waits for it, and is given up when nobody does."""
        clock: Any = self.account.server.reactor
        one, other = self.account.login(), self.account.login()
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.assertNoResult(other)
        self.service.answer(token="new", expires_in=60)
        self.assertEqual("new", self.successResultOf(other))
        last = self.account.login()
        last.cancel()
        self.failureResultOf(last, CancelledError)
        self.assertEqual([], clock.getDelayedCalls())


class StrangeAnswerTests(SynchronousTestCase):
    """Something else than the service."""

    def account_at(self, resource: Resource) -> Account:
        """An account there."""
        self.clock = Clock()
        return Account(server_of(resource, self.clock), *TV, kept=Credentials("a.b.c", 1e12))

    def login_at(self, resource: Resource) -> Deferred[str]:
        """Log in there."""
        return self.account_at(resource).login()

    def test_answers_that_are_not_the_protocol(self) -> None:
        """A proxy's error page, or JSON of any other kind, is an error with its HTTP status."""
        for status, body in ((502, b"<h1>Bad Gateway</h1>"), (200, b"[]"), (200, b"\xff"), (200, b'{"errorCode": 0}')):
            error = self.failureResultOf(self.login_at(_Always(status, body)), AccountError).value
            self.assertEqual((status, None), (error.status, error.code))
        for ask in (Account.settings, Account.contacts):
            asked: Deferred[Any] = ask(self.account_at(_Always(200, b'{"errorCode": 0}')))
            self.failureResultOf(asked, AccountError)

    def test_error_without_the_usual_fields(self) -> None:
        """An error code alone is an error too."""
        error = self.failureResultOf(self.login_at(_Always(200, b'{"errorCode": "9"}')), AccountError).value
        self.assertIsNone(error.code)

    def test_when_to_try_again(self) -> None:
        """A client that asks too often is told when to ask again."""
        busy = _Always(429, b'{"errorCode": 6}', retry_after="20")
        error = self.failureResultOf(self.login_at(busy), AccountError).value
        self.assertEqual((ErrorCode.RATE_LIMITED, 20.0), (error.code, error.retry_after))

    def test_late_refusal(self) -> None:
        """The refusal of an old secret leaves a newer one alone."""
        account = _Overtaken().account
        self.failureResultOf(account.login(), AccountError)
        self.assertEqual(("new", True), (account.credentials.secret, account.is_logged_in))

    def test_base_server(self) -> None:
        """A server that knows only the seed answers rows of two fields, and a token without its time."""
        body = {"errorCode": 0, "token": "t", "contacts": [{"phone": FRIEND, "device_id": "phone1"}]}
        account = self.account_at(_Always(200, json.dumps(body).encode()))
        self.assertEqual([ContactRow(FRIEND, "phone1")], self.successResultOf(account.contacts()))
        self.successResultOf(account.login())
        self.assertTrue(account.is_logged_in)
        self.successResultOf(account.renew())

    def test_no_answer(self) -> None:
        """A service that does not answer is given up after some time."""
        answer = self.login_at(_Never())
        self.clock.advance(TIMEOUT)
        self.failureResultOf(answer, Unreachable)


class ServerTests(SynchronousTestCase):
    """Where a server is."""

    def test_pages(self) -> None:
        """The page of a call is where the server says, or where it always was."""
        server = server_of(Resource(), Clock())
        self.assertEqual("http://callnet.test:8083/there", server.page_of("r", "/there"))
        self.assertEqual("http://callnet.test:8083/static/demo/direct_chat.html?room_id=r", server.page_of("r"))

    def test_what_is_no_server(self) -> None:
        """A URL of another kind is an error of the client's own."""
        for url in ("ftp://callnet.test", "callnet.test", "wss:///socket.io", ""):
            self.assertRaises(ClientError, Server, url, Clock())
