"""STUN and TURN servers for devices: ``POST /ice``, and ``welcome`` of ``callnet.v2``."""

from __future__ import annotations

from typing import Any, Final

from callnet.config.schema import LimitSettings, TurnSettings
from tests.support.account_fixture import TV, ServiceFixture
from tests.support.api_case import LOGOUT, ApiTestCase
from tests.support.extended_case import ANN, ExtendedCase
from tests.support.http_wire import Answer
from tests.support.turn_case import HOUR, STUN, TURN, expiry
from tests.support.wires import World

ICE: Final = "/ice"
TWO: Final = LimitSettings(turn_credentials_a_minute_from_an_address=2)


class IceApiTests(ApiTestCase):
    """``/ice``: a real site, the real service, a database in memory. An address gets two credentials a minute."""

    turn = TURN

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.world = World(limits=TWO, turn=self.turn)
        self.addCleanup(self.world.stop)
        self.fixture = ServiceFixture(world=self.world)
        self.addCleanup(self.fixture.database.close)
        self.serve(self.fixture.logins, self.fixture.lists)
        self.token = self.login(*TV)

    def ask(self, **fields: object) -> Answer:
        """Ask for servers."""
        return self.post(ICE, {"token": self.token, **fields})

    def test_servers(self) -> None:
        """A device gets all servers, and for how long its credentials are good; nothing in them says who it is."""
        self.world.clock.advance(7)
        answer = self.ask(phone="13651884968", device_id="other")
        said = answer.json()
        self.assertEqual((0, HOUR), (said["errorCode"], said["expires_in"]))
        self.assertEqual(7 + HOUR, expiry(said["ice_servers"]))
        self.assertEqual("no-store", answer.headers["cache-control"])
        for name in TV:
            self.assertNotIn(name.encode(), answer.body)

    def test_each_time_others(self) -> None:
        """Each answer has credentials of its own."""
        first, second = (self.ask().json()["ice_servers"][1] for _ in range(2))
        self.assertNotEqual(first["username"], second["username"])
        self.assertNotEqual(first["credential"], second["credential"])

    def test_header(self) -> None:
        """The token may be in the header."""
        said = self.post(ICE, {}, f"Authorization: Bearer {self.token}").json()
        self.assertEqual(HOUR, expiry(said["ice_servers"]))

    def test_token(self) -> None:
        """Without a token it is errorCode 2, with an invalid one errorCode 4, and nobody's share is used up."""
        for _ in range(3):
            self.assert_error(2, ICE, {})
            self.assert_error(2, ICE, {"token": 7})
            self.assert_error(4, ICE, {"token": ""})
            self.assert_error(4, ICE, {"token": self.token[:-2]})
        self.assertEqual(0, self.ask().json()["errorCode"])
        self.assert_error(0, LOGOUT, {"token": self.token})
        self.assert_error(4, ICE, {"token": self.token})

    def test_expired_token(self) -> None:
        """A token that has expired gets nothing."""
        self.world.clock.advance(7 * 86400 + 1)
        self.assert_error(4, ICE, {"token": self.token})

    def test_what_is_no_request(self) -> None:
        """A body that is not a JSON object is errorCode 2; there is no ``GET``."""
        for body in (b"", b"[]", b"\xff", b"{"):
            self.assert_error(2, ICE, body)
        self.assertEqual(405, self.wire.request("GET", ICE).status)

    def test_too_many(self) -> None:
        """Too many requests from one address are answered 429 with errorCode 6 and when to ask again; then it works."""
        for _ in range(2):
            self.assertEqual(0, self.ask().json()["errorCode"])
        answer = self.ask()
        self.assertEqual((429, 6, "30"), (answer.status, answer.json()["errorCode"], answer.headers["retry-after"]))
        self.world.clock.advance(30)
        self.assertEqual(0, self.ask().json()["errorCode"])
        self.assertEqual((3, 1), (self.world.ice.given["device"], self.world.ice.refused["device"]))


class StunAloneTests(IceApiTests):
    """Where there is STUN alone."""

    turn = TurnSettings(stun=TURN.stun, lifetime=HOUR)

    def test_servers(self) -> None:
        """A device is told them, however often it asks."""
        for _ in range(5):
            said = self.ask().json()
            self.assertEqual((STUN, HOUR), (said["ice_servers"], said["expires_in"]))

    test_each_time_others = test_header = test_too_many = test_servers


class NoServersTests(ApiTestCase):
    """Where there are no settings."""

    def test_none(self) -> None:
        """A device is told so."""
        said = self.post(ICE, {"token": self.login()}).json()
        self.assertEqual((0, []), (said["errorCode"], said["ice_servers"]))


class WelcomeTests(ExtendedCase):
    """The first frame on a connection of an extended device."""

    def make_world(self) -> World:
        """A server with TURN servers."""
        return World(turn=TURN, limits=TWO)

    def told(self) -> list[dict[str, Any]]:
        """The servers that a connecting device is told."""
        self.extended(ANN)
        servers = self.welcome["ice_servers"]
        assert isinstance(servers, list)
        return servers

    def test_servers(self) -> None:
        """It has the answer of ``/ice``."""
        self.world.clock.advance(7)
        self.assertEqual(7 + HOUR, expiry(self.told()))

    def test_too_many(self) -> None:
        """A device from an address that had too many credentials is told of STUN alone, and admitted."""
        self.assertEqual([HOUR, HOUR, None], [expiry(self.told()) for _ in range(3)])
        self.assertEqual((2, 1), (self.world.ice.given["device"], self.world.ice.refused["device"]))

    def test_base_clients(self) -> None:
        """A base client gets nothing unless it asks."""
        self.assertEqual([], self.world.device(*ANN).heard())
        self.assertEqual(0, self.world.ice.given["device"])
