"""The client of the account service, against the service itself and against answers that it never gives."""

from __future__ import annotations

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.iweb import IAgent
from twisted.web.resource import IResource, Resource
from twisted.web.server import NOT_DONE_YET, Request

from callnet.client import Account, AccountError, ContactRow, Unreachable
from callnet.client.account import TIMEOUT
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from tests.account_fixture import FRIEND, PHONE, TV, ServiceFixture


class _Always(Resource):
    """Answers everything alike."""

    def __init__(self, status: int, body: bytes) -> None:
        Resource.__init__(self)
        self._status = status
        self._body = body

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        return self

    def render(self, request: Request) -> bytes:
        request.setResponseCode(self._status)
        return self._body


class _Never(Resource):
    """Answers nothing."""

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        return self

    def render(self, request: Request) -> int:  # noqa: ARG002
        return NOT_DONE_YET


def agent_of(resource: IResource) -> IAgent:
    """Requests that go straight to a resource."""
    agent: IAgent = RequestTraversalAgent(resource)  # type: ignore[no-untyped-call]
    return agent


class ServiceTests(SynchronousTestCase):
    """The service itself."""

    def setUp(self) -> None:
        """A service that nobody has used."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        agent = agent_of(self.fixture.api())
        self.account = Account("http://callnet.test:8083/", Clock(), agent=agent)

    def test_login(self) -> None:
        """A login answers the token of that device."""
        token = self.successResultOf(self.account.login(*TV))
        self.assertEqual(TV, self.fixture.tokens.verify(token).device)

    def test_login_that_is_refused(self) -> None:
        """A refusal has the service's code, its name and its words."""
        error = self.failureResultOf(self.account.login("not a phone", "tv"), AccountError).value
        self.assertEqual((200, 3, "ERROR_CODE_PHONE_INVALID"), (error.status, error.code, error.name))
        self.assertTrue(str(error).startswith("ERROR_CODE_PHONE_INVALID: phone "), error)

    def test_contacts(self) -> None:
        """The contacts come as rows, with what is callnet's own."""
        token = self.successResultOf(self.account.login(*TV))
        self.assertEqual([], self.successResultOf(self.account.contacts(PHONE, token)))
        self.successResultOf(self.account.login(FRIEND, "phone1"))
        contacts.add(self.fixture.database, [Pair(PHONE, FRIEND, "Mum")], 0.0)
        self.fixture.put_online(DeviceAddress(FRIEND, "phone1"))
        rows = self.successResultOf(self.account.contacts(PHONE, token))
        self.assertEqual([ContactRow(FRIEND, "phone1", "Mum", True)], rows)

    def test_any_other_request(self) -> None:
        """Requests that this client has no method for go the same way."""
        error = self.failureResultOf(self.account.post("/contacts/nothing", {}), AccountError).value
        self.assertEqual((404, 2), (error.status, error.code))


class StrangeAnswerTests(SynchronousTestCase):
    """Something else than the service."""

    def login_at(self, resource: Resource) -> Deferred[str]:
        """Log in there."""
        self.clock = Clock()
        return Account("http://callnet.test", self.clock, agent=agent_of(resource)).login(*TV)

    def test_answers_that_are_not_the_protocol(self) -> None:
        """A proxy's error page, or JSON of any other kind, is an error with its HTTP status."""
        for status, body in ((502, b"<h1>Bad Gateway</h1>"), (200, b"[]"), (200, b"\xff"), (200, b'{"errorCode": 0}')):
            error = self.failureResultOf(self.login_at(_Always(status, body)), AccountError).value
            self.assertEqual((status, None), (error.status, error.code))

    def test_error_without_the_usual_fields(self) -> None:
        """An error code alone is an error too."""
        error = self.failureResultOf(self.login_at(_Always(200, b'{"errorCode": "9"}')), AccountError).value
        self.assertIsNone(error.code)

    def test_base_server_has_no_names_and_presence(self) -> None:
        """A server that knows only the seed answers rows of two fields."""
        body = b'{"errorCode": 0, "contacts": [{"phone": "13651884968", "device_id": "phone1"}]}'
        account = Account("http://callnet.test", Clock(), agent=agent_of(_Always(200, body)))
        self.assertEqual([ContactRow(FRIEND, "phone1")], self.successResultOf(account.contacts(PHONE, "a.b.c")))

    def test_no_answer(self) -> None:
        """A service that does not answer is given up after a while."""
        answer = self.login_at(_Never())
        self.clock.advance(TIMEOUT)
        self.failureResultOf(answer, Unreachable)
