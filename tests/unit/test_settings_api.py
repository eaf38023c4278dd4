"""``/account/settings``: a real site, the real service, a database in memory."""

from __future__ import annotations

from typing import Any

from callnet.accounts.preferences import SettingsOfPhones
from callnet.accounts.validation import phone_rule
from callnet.model import LISTED_MAX
from callnet.storage.preferences import SettingsChange, SqlPreferences
from tests.support.account_fixture import FRIEND, PHONE
from tests.support.api_case import LOGOUT, MARK, ApiTestCase
from tests.support.immediate import run_at_once
from tests.unit.test_api_fields import NO_UTF8, WRONG_TYPES, with_field

SETTINGS = "/account/settings"
NIGHT = {"from": "22:30", "to": "07:00", "time_zone": "Europe/Berlin"}
NOTHING: dict[str, Any] = {
    "do_not_disturb": None,
    "do_not_disturb_until": None,
    "auto_answer": [],
    "rings_through": [],
    "second_call_rings": False,
}


class SettingsTests(ApiTestCase):
    """A device that is logged in."""

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.body: dict[str, Any] = {"token": self.login()}

    def settings(self, **wanted: object) -> dict[str, Any]:
        """Set something; returns the present settings."""
        answer = self.post(SETTINGS, self.body | wanted).json()
        self.assertEqual(0, answer["errorCode"], answer)
        return {name: answer[name] for name in NOTHING}

    def message(self, **wanted: object) -> tuple[int, str]:
        """The errorCode and the message of a refusal."""
        fields = self.post(SETTINGS, self.body | wanted).json()
        return fields["errorCode"], fields["message"]

    def test_nothing(self) -> None:
        """At first nothing is set, and to ask sets nothing."""
        self.assertEqual(NOTHING, self.settings())
        self.assertEqual(NOTHING, self.settings(unknown=MARK))

    def test_quiet_hours(self) -> None:
        """They are kept as they were given, until they are null."""
        for from_, to in (("22:30", "07:00"), ("00:00", "23:59"), ("09:05", "09:05")):
            night = NIGHT | {"from": from_, "to": to}
            self.assertEqual(NOTHING | {"do_not_disturb": night}, self.settings(do_not_disturb=night))
            self.assertEqual(NOTHING | {"do_not_disturb": night}, self.settings())
        self.assertEqual(NOTHING, self.settings(do_not_disturb=None))

    def test_quiet_until(self) -> None:
        """An end is kept beside the hours, until it is null, or over."""
        end = self.fixture.clock.seconds() + 10.5
        self.settings(do_not_disturb=NIGHT)
        expected = NOTHING | {"do_not_disturb": NIGHT, "do_not_disturb_until": end}
        self.assertEqual(expected, self.settings(do_not_disturb_until=end))
        self.assertEqual(expected, self.settings())
        self.assertEqual(NOTHING | {"do_not_disturb": NIGHT}, self.settings(do_not_disturb_until=None))
        self.settings(do_not_disturb_until=end)
        self.fixture.clock.advance(10)
        self.assertEqual(end, self.settings()["do_not_disturb_until"])
        self.fixture.clock.advance(1)
        self.assertIsNone(self.settings()["do_not_disturb_until"])

    def test_wrong_end(self) -> None:
        """An end that is no time is errorCode 2, and changes nothing."""
        expected = (2, "do_not_disturb_until must be a time in seconds since 1970, at most in the year 9999, or null")
        wrongs: tuple[object, ...] = ("", "07:00", [], {}, True, -1, 1e12, MARK)
        for wrong in wrongs:
            self.assertEqual(expected, self.message(do_not_disturb_until=wrong), wrong)
        self.assertEqual(NOTHING, self.settings())

    def test_auto_answer(self) -> None:
        """The list is the one that was given last, in order, each phone once."""
        other = "13651884960"
        self.assertEqual([other, FRIEND], self.settings(auto_answer=[FRIEND, other, FRIEND])["auto_answer"])
        self.settings(do_not_disturb=NIGHT)
        self.assertEqual(NOTHING | {"do_not_disturb": NIGHT, "auto_answer": [other, FRIEND]}, self.settings())
        self.assertEqual([FRIEND], self.settings(auto_answer=[FRIEND])["auto_answer"])
        self.assertEqual([], self.settings(auto_answer=[])["auto_answer"])

    def test_exceptions(self) -> None:
        """The list of callers in quiet hours is the one given last; a second call rings if that is set."""
        other = "13651884960"
        listed = NOTHING | {"rings_through": [other, FRIEND]}
        self.assertEqual(listed, self.settings(rings_through=[FRIEND, other, FRIEND]))
        self.assertEqual(listed | {"second_call_rings": True}, self.settings(second_call_rings=True))
        self.assertEqual(NOTHING | {"second_call_rings": True}, self.settings(rings_through=[]))
        self.assertEqual(NOTHING, self.settings(second_call_rings=False))
        wrongs: tuple[object, ...] = (None, 1, "true", [])
        for wrong in wrongs:
            self.assertEqual((2, "second_call_rings must be true or false"), self.message(second_call_rings=wrong))

    def test_of_ones_own_phone(self) -> None:
        """They are those of the token's phone."""
        self.settings(do_not_disturb=NIGHT, auto_answer=[FRIEND], phone=FRIEND)
        self.body = {"token": self.login(PHONE, "other")}
        self.assertEqual(NOTHING | {"do_not_disturb": NIGHT, "auto_answer": [FRIEND]}, self.settings())
        self.body = {"token": self.login(FRIEND)}
        self.assertEqual(NOTHING, self.settings())

    def test_header(self) -> None:
        """The token may be in the header."""
        token = self.body.pop("token")
        answer = self.post(SETTINGS, self.body | {"auto_answer": [FRIEND]}, f"Authorization: Bearer {token}").json()
        self.assertEqual([FRIEND], answer["auto_answer"])

    def test_token(self) -> None:
        """Without a token it is errorCode 2, with one that was logged out errorCode 4, and nothing is set."""
        self.assert_error(2, SETTINGS, {"auto_answer": [FRIEND]})
        self.do_logout()
        self.assert_error(4, SETTINGS, self.body | {"auto_answer": [FRIEND]})
        self.body = {"token": self.login()}
        self.assertEqual(NOTHING, self.settings())

    def do_logout(self) -> None:
        """Log out."""
        self.assert_error(0, LOGOUT, self.body)

    def test_wrong_hours(self) -> None:
        """Invalid hours are errorCode 2, with a message about the valid form, and change nothing."""
        self.settings(do_not_disturb=NIGHT)
        expected = 'do_not_disturb must be null, or an object with "from" and "to", such as "22:30", and "time_zone"'
        wrongs: tuple[object, ...] = (
            [],
            MARK,
            7,
            {},
            {"from": "22:30", "to": "07:00"},
            NIGHT | {"from": "24:00"},
            NIGHT | {"from": "7:00"},
            NIGHT | {"from": "07:60"},
            NIGHT | {"from": "07:00\n"},
            NIGHT | {"from": " 07:00"},
            NIGHT | {"from": "٠٧:٠٠"},
            NIGHT | {"to": 700},
            NIGHT | {"to": None},
            NIGHT | {"time_zone": None},
        )
        for wrong in wrongs:
            self.assertEqual((2, expected), self.message(do_not_disturb=wrong), wrong)
        for zone in (MARK, "", "/etc/passwd", "../../etc/passwd", "Europe", "x" * 9000, "\0", "UTC\0"):
            hours = NIGHT | {"time_zone": zone}
            self.assertEqual((2, "do_not_disturb: unknown time_zone"), self.message(do_not_disturb=hours), zone)
        self.assertEqual(NIGHT, self.settings()["do_not_disturb"])

    def test_wrong_phones(self) -> None:
        """A list of anything but acceptable numbers of others is refused as a whole, and so is one that is too long."""
        wrongs: tuple[object, ...] = (None, MARK, {}, [7], [None], [[FRIEND]])
        for name in ("auto_answer", "rings_through"):
            self.settings(**{name: [FRIEND]})
            for wrong in wrongs:
                self.assertEqual((2, f"{name} must be an array of strings"), self.message(**{name: wrong}), wrong)
            refused = (3, f"{name} is not a valid number: 11 digits that begin with 1")
            for number in (MARK, "", "*", FRIEND + "\0", "23651884967"):
                self.assertEqual(refused, self.message(**{name: [FRIEND, number]}), number)
            own = (3, f"{name} contains the caller's own number")
            self.assertEqual(own, self.message(**{name: [FRIEND, PHONE]}))
            many = [str(13600000000 + number) for number in range(LISTED_MAX + 1)]
            self.assertEqual((2, f"{name} takes at most {LISTED_MAX} phones"), self.message(**{name: many}))
            self.assertEqual([FRIEND], self.settings()[name])
            self.assertEqual(many[1:], self.settings(**{name: many[1:]})[name])

    def test_operator_is_stricter(self) -> None:
        """Where only contacts may call any phone, the answer says so, whatever the phone has set."""
        fixture = self.fixture
        storage = SqlPreferences(fixture.database, run_at_once, contacts_only=False)
        strict = SettingsOfPhones(storage, fixture.tokens, phone_rule("cn-mobile"), contacts_only=True)
        found = self.successResultOf(strict.change(self.body["token"], SettingsChange(who_may_call="anyone")))
        self.assertEqual("contacts", found.who_may_call)

    def test_any_value(self) -> None:
        """Whatever a field is, it is taken, or refused with an errorCode of the caller's."""
        for name in (
            "do_not_disturb",
            "do_not_disturb_until",
            "auto_answer",
            "rings_through",
            "second_call_rings",
            "token",
        ):
            for value in (*NO_UTF8, *WRONG_TYPES[1:]):
                answer = self.post(SETTINGS, with_field(self.body, name, value)).json()
                self.assertIn(answer["errorCode"], (0, 2, 3), (name, value))
