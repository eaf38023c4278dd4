"""The requests and answers of the account service, as structs, and the decorators that serve them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import wraps
from typing import Annotated, Any, Final, Literal, Self, TypeAlias, TypeVar, get_type_hints

import msgspec
from klein import Klein
from msgspec import UNSET, Meta, Struct, UnsetType
from msgspec.json import Encoder
from twisted.web.iweb import IRequest

from callnet.calls.preferences import TIME, QuietHours, minute_of
from callnet.errors import DataInvalid, ServiceError
from callnet.storage.links import StoredLink
from callnet.storage.preferences import WhoMayCall
from callnet.util.schema_hints import LINK_ID, LINK_NAME, NOT_NEGATIVE, PAIRING_ID, PHONE, PIN, ROOM_OR_ALL

CALLS_MAX: Final = 1_000_000
"""The most calls that a link may be limited to."""
LATEST: Final = 253_402_300_799
"""The end of the year 9999, in seconds since 1970: Python has no later dates."""

_encode = Encoder().encode


class Envelope(Struct, frozen=True, rename="camel"):
    """The fields of every answer."""

    error_code: int
    error_code_name: str
    message: str


SUCCESS: Final = Envelope(0, "ERROR_CODE_NONE", "ok")
"""The fields of the answer to a successful call, before the call's own."""

_SUCCESS: Final = _encode(SUCCESS)[:-1]


def write_success(request: IRequest, fields: Struct) -> bytes:
    """The body of an answer to a call that succeeded; status and headers are set on ``request``."""
    own = _encode(fields)
    return write(request, 200, b"%b%b%b" % (_SUCCESS, b"" if own == b"{}" else b",", own[1:]))


def write_error(request: IRequest, error: ServiceError) -> bytes:
    """The body of an answer that is an error; status and headers are set on ``request``."""
    if error.retry_after is not None:
        request.setHeader(b"retry-after", b"%d" % error.retry_after)
    return write(request, error.status, _encode(Envelope(error.error_code, error.error_name, str(error))))


def write(request: IRequest, status: int, body: bytes, kind: bytes = b"application/json") -> bytes:
    """The body of an answer that nobody may keep; status and headers are set on ``request``."""
    request.setResponseCode(status)
    request.setHeader(b"content-type", kind)
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    request.setHeader(b"content-length", b"%d" % len(body))
    return body


class LoginRequest(Struct, frozen=True):
    """``POST /account/login``. Which strings are acceptable is the account service's business."""

    phone: str
    device_id: str
    secret: str | None = None
    code: str | None = None


class CodeRequest(Struct, frozen=True):
    """``POST /account/code``."""

    phone: str


class TokenRequest(Struct, frozen=True):
    """Whatever is asked with a token alone, which may also be in the header ``Authorization``."""

    token: str | None = None


class ContactsRequest(Struct, frozen=True):
    """``POST /getContactPersons``."""

    phone: str
    token: str
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None
    after: str | None = None


class ContactRequest(Struct, frozen=True):
    """``POST /contacts/remove``, ``/contacts/block``, ``/contacts/unblock``; the token may be in the header."""

    contact_phone: str
    token: str | None = None


class AddContactRequest(Struct, frozen=True):
    """``POST /contacts/add``; the token may be in the header."""

    contact_phone: str
    token: str | None = None
    name: str | None = None
    favourite: bool | None = None
    """True if it is one of the favourites."""
    photo: str | UnsetType | None = UNSET
    """A photo of it for this list, shown in place of its own, as in `/account/profile`; ``null``: none."""


class PeopleRequest(Struct, frozen=True):
    """``POST /contacts/list``; the token may be in the header."""

    token: str | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None
    after: str | None = None


class ProfileRequest(Struct, frozen=True):
    """``POST /account/profile``; what is left out stays as it is. The token may be in the header."""

    token: str | None = None
    name: str | UnsetType = UNSET
    """The new name of the phone's owner, without characters that turn text (U+202A-202E, U+2066-2069)."""
    photo: str | UnsetType | None = UNSET
    """A square JPEG, PNG or WebP without metadata, at most 32 KiB and 512 pixels a side, in base64; ``null``: none."""


class DeviceRequest(Struct, frozen=True):
    """``POST /devices/logout``, ``/devices/remove``; the token may be in the header."""

    device_id: str
    token: str | None = None


class RenameDeviceRequest(Struct, frozen=True):
    """``POST /devices/rename``; the token may be in the header."""

    device_id: str
    label: str
    """The new label, or the empty string."""
    token: str | None = None


class ConfigureDeviceRequest(Struct, frozen=True):
    """``POST /devices/configure``; what is left out stays as it is. The token may be in the header."""

    device_id: str
    token: str | None = None
    kiosk_pin: Annotated[str, PIN] | UnsetType | None = UNSET
    """The device is a kiosk, until somebody enters this PIN of 4 to 8 digits; ``null``: it is not a kiosk."""
    auto_answers: bool | UnsetType = UNSET
    """True if the device answers the callers in the phone's ``auto_answer`` automatically."""


class UnlockRequest(Struct, frozen=True):
    """``POST /devices/unlock``; the token may be in the header."""

    pin: Annotated[str, PIN]
    """The digits that somebody has entered."""
    token: str | None = None


class BeginPairingRequest(Struct, frozen=True):
    """``POST /pairing/begin``, by a device that has no phone yet."""

    name: str = ""
    """The name that the device gives itself, without control and format characters."""


class PollPairingRequest(Struct, frozen=True):
    """``POST /pairing/poll``."""

    device_secret: str
    """The secret from `/pairing/begin`."""


class LookPairingRequest(Struct, frozen=True):
    """``POST /pairing/look``; the token may be in the header."""

    user_code: str
    """The letters that the other device shows, as somebody has typed them."""
    token: str | None = None


class AcceptPairingRequest(Struct, frozen=True):
    """``POST /pairing/accept``; the token may be in the header."""

    pairing_id: Annotated[str, PAIRING_ID]
    device_id: str
    token: str | None = None
    label: str = ""
    """The label of the new device, or the empty string."""


class RefusePairingRequest(Struct, frozen=True):
    """``POST /pairing/refuse``; the token may be in the header."""

    pairing_id: Annotated[str, PAIRING_ID]
    token: str | None = None


class MakeLinkRequest(Struct, frozen=True):
    """``POST /links/make``; the token may be in the header."""

    name: str
    """The name that its owner gave it."""
    token: str | None = None
    is_on: bool = True
    hours: QuietHoursFields | None = None
    """The part of each day in which it rings; ``null``: always."""
    expires_at: Annotated[float, Meta(ge=0, le=LATEST)] | None = None
    calls_left: Annotated[int, Meta(ge=0, le=CALLS_MAX)] | None = None
    """The number of calls by it that may still be answered; ``null``: any."""


class ChangeLinkRequest(Struct, frozen=True):
    """``POST /links/change``; what is left out stays as it is. The token may be in the header."""

    link_id: Annotated[str, LINK_ID]
    token: str | None = None
    name: str | UnsetType = UNSET
    is_on: bool | UnsetType = UNSET
    hours: QuietHoursFields | UnsetType | None = UNSET
    expires_at: Annotated[float, Meta(ge=0, le=LATEST)] | UnsetType | None = UNSET
    calls_left: Annotated[int, Meta(ge=0, le=CALLS_MAX)] | UnsetType | None = UNSET


class LinkRequest(Struct, frozen=True):
    """``POST /links/remove``; the token may be in the header."""

    link_id: Annotated[str, LINK_ID]
    token: str | None = None


class EnterRequest(Struct, frozen=True):
    """``POST /links/enter``, without a token."""

    secret: str
    """The part of the link behind the ``#``; any text."""
    name: str
    """The name that the guest gives itself."""


class DeleteCallsRequest(Struct, frozen=True):
    """``POST /calls/delete``; the token may be in the header."""

    room_id: Annotated[str, ROOM_OR_ALL]
    """The room of the call; ``*``: all calls."""
    token: str | None = None


class RefuseCallRequest(Struct, frozen=True):
    """``POST /calls/refuse``, without a token."""

    phone: str
    device_id: str
    ticket: str
    """The ticket of the message that woke the device."""


class HistoryRequest(Struct, frozen=True):
    """``POST /calls/history``; the token may be in the header."""

    token: str | None = None
    limit: Annotated[int, Meta(ge=1, le=500)] | None = None
    after: str | None = None


_Time: TypeAlias = Annotated[str, Meta(pattern=TIME, max_length=5)]


class QuietHoursFields(Struct, frozen=True, rename={"begins": "from", "ends": "to"}):
    """The part of each day in which a phone does not ring: ``HH:MM`` in a time zone."""

    begins: _Time
    ends: _Time
    time_zone: str

    def quiet_hours(self) -> QuietHours:
        """The hours that they describe."""
        return QuietHours(minute_of(self.begins), minute_of(self.ends), self.time_zone)


class SettingsRequest(Struct, frozen=True):
    """``POST /account/settings``; what is left out stays as it is. The token may be in the header."""

    token: str | None = None
    do_not_disturb: QuietHoursFields | UnsetType | None = UNSET
    do_not_disturb_until: Annotated[float, Meta(ge=0, le=LATEST)] | UnsetType | None = UNSET
    auto_answer: list[str] | UnsetType = UNSET
    who_may_call: WhoMayCall | UnsetType = UNSET
    """``contacts``: only phones in the phone's list may call it; ``anyone``: every phone that it has not blocked."""
    rings_through: list[str] | UnsetType = UNSET
    """The phones that may call in quiet hours and before ``do_not_disturb_until``, too."""
    second_call_rings: bool | UnsetType = UNSET
    """Then a second call within three minutes rings, of any phone that may call."""


class PushRequest(Struct, frozen=True):
    """``POST /devices/push``; the token may be in the header."""

    kind: Literal["webhook", "webpush", "none"]
    """The way to wake the device: the operator's gateway, the push service of its browser, or none."""
    token: str | None = None
    target: str = ""
    """By what the gateway knows the device, or what the browser gave, as JSON; of ``none`` it is not looked at."""


class RenewPushRequest(Struct, frozen=True):
    """``POST /devices/push/renew``, without a token."""

    phone: str
    device_id: str
    old: str
    """The subscription by which the device is woken now, as it was registered: nobody else has it."""
    target: str
    """The subscription that has taken its place."""


def bearer_token(request: IRequest) -> str | None:
    """The token of the header ``Authorization`` (RFC 6750 §2.1), if there is one."""
    headers: Sequence[bytes] = request.requestHeaders.getRawHeaders(b"authorization", ())
    for header in headers:
        scheme, _, token = header.decode("latin-1").strip().partition(" ")
        if scheme.lower() == "bearer" and token:
            return token.lstrip(" ")
    return None


_EXPECTED = {
    "limit": "a whole number from 1 to 500",
    "do_not_disturb": 'null, or an object with "from" and "to", such as "22:30", and "time_zone"',
    "do_not_disturb_until": "a time in seconds since 1970, at most in the year 9999, or null",
    "kind": '"webhook", "webpush" or "none"',
    "auto_answer": "an array of strings",
    "favourite": "true, false or null",
    "photo": "a string or null",
    "who_may_call": '"anyone" or "contacts"',
    "rings_through": "an array of strings",
    "second_call_rings": "true or false",
    "room_id": '32 lowercase hexadecimal digits, or "*"',
    "pairing_id": "32 lowercase hexadecimal digits",
    "link_id": "12 lowercase hexadecimal digits",
    "is_on": "true or false",
    "hours": 'null, or an object with "from" and "to", such as "22:30", and "time_zone"',
    "expires_at": "a time in seconds since 1970, at most in the year 9999, or null",
    "calls_left": f"a whole number from 0 to {CALLS_MAX}, or null",
    "kiosk_pin": "4 to 8 digits, or null",
    "auto_answers": "true or false",
    "pin": "4 to 8 digits",
    "level": '"debug", "info", "warn" or "error"',
}

_UNDECODABLE = (msgspec.MsgspecError, UnicodeError, RecursionError)
"""The exceptions that msgspec raises for bad input: two of the three are not its own."""

_Body = TypeVar("_Body", bound=Struct)


def decode_body(body: bytes, kind: type[_Body]) -> _Body:
    """Decode a request's body. Unknown fields are ignored; of duplicate keys the last counts.

    :raises DataInvalid: it is not such a body. The message names the field and repeats nothing of the body.
    """
    try:
        return msgspec.json.decode(body, type=kind)
    except _UNDECODABLE:
        return _convert(_fields(body), kind)


def _fields(body: bytes) -> dict[str, Any]:
    """Decode a body that was refused, without asking what it holds."""
    try:
        fields: Any = msgspec.json.decode(body)
    except _UNDECODABLE:
        raise DataInvalid("the body is not JSON in UTF-8") from None
    if not isinstance(fields, dict):
        raise DataInvalid("the body is not a JSON object")
    # JSON has numbers of one kind: to many clients, and to JSON Schema, 5.0 is a whole one.
    return {
        name: int(value) if isinstance(value, float) and value.is_integer() else value for name, value in fields.items()
    }


def _convert(fields: dict[str, Any], kind: type[_Body]) -> _Body:
    """Take the fields all the same if only an earlier one of duplicate keys was wrong; else say what is wrong."""
    fields.pop(kind.__struct_config__.tag_field or "", None)  # a tag is for messages between processes
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        if name not in fields:
            if field.required:
                raise DataInvalid(f"{name} is missing")
            continue
        try:
            msgspec.convert(fields[name], field.type)
        except msgspec.ValidationError:
            raise DataInvalid(f"{name} must be {_EXPECTED.get(name, 'a string')}") from None
    return msgspec.convert(fields, kind)


class Done(Struct, frozen=True):
    """It was done; there is no more to say."""


DONE: Final = Done()


class PushKey(Struct, frozen=True):
    """The data that a browser needs to subscribe to Web Push."""

    application_server_key: str | None
    """A point on P-256, uncompressed, in base64url (RFC 8292 §3.2); ``null``: there is no Web Push here."""


# A type of its own: in a request there may be other fields besides, in an answer there are none.
class QuietHoursAnswered(QuietHoursFields, frozen=True):
    """The part of each day in which a phone does not ring: ``HH:MM`` in a time zone."""

    @classmethod
    def of(cls, hours: QuietHours) -> Self:
        """These hours, as people read them."""
        return msgspec.convert(hours.fields(), cls)


class LinkRow(Struct, frozen=True):
    """A link that rings the phone. Times are seconds since 1970."""

    link_id: Annotated[str, LINK_ID]
    name: Annotated[str, LINK_NAME]
    secret: str
    """Anyone who has it may ring the phone: the address of its page is `/guest#` and this."""
    is_on: bool
    hours: QuietHoursAnswered | None
    """The part of each day in which it rings; ``null``: always."""
    expires_at: float | None
    calls_left: int | None
    """The number of calls by it that may still be answered; ``null``: any."""
    made_at: float
    last_used_at: float | None
    """The time at which a call by it was last answered."""

    @classmethod
    def of(cls, link: StoredLink) -> Self:
        """A link, as its owner sees it."""
        return cls(
            link.id,
            link.name,
            link.secret,
            link.is_on,
            None if link.hours is None else QuietHoursAnswered.of(link.hours),
            link.expires_at,
            link.calls_left,
            link.made_at,
            link.last_used_at,
        )


class LinkList(Struct, frozen=True):
    """The links that ring a phone, by name."""

    links: list[LinkRow]


class OneLink(Struct, frozen=True):
    """A link, as it now is."""

    link: LinkRow


class SettingsAnswer(Struct, frozen=True):
    """The settings of a phone for calls to it."""

    do_not_disturb: QuietHoursAnswered | None
    do_not_disturb_until: Annotated[float, NOT_NEGATIVE] | None
    auto_answer: Sequence[Annotated[str, PHONE]]
    """The phones whose calls its devices may answer by themselves."""
    who_may_call: WhoMayCall
    """``contacts``: only phones in the phone's list may call it. The server may require this of all phones."""
    rings_through: Sequence[Annotated[str, PHONE]]
    """The phones that may call in quiet hours and before ``do_not_disturb_until``, too."""
    second_call_rings: bool
    """Then a second call within three minutes rings, of any phone that may call."""


Method: TypeAlias = Callable[[Any, IRequest, Any], Awaitable[Struct]]
Look: TypeAlias = Callable[[Any], Struct]


def call(app: Klein, path: str) -> Callable[[Method], Method]:
    """Have a method answer ``POST`` requests at ``path``.

    It is given what the body says, and what it returns is the answer. :func:`types_of` finds out of which types
    that is.
    """

    def serve(method: Method) -> Method:
        asked = get_type_hints(method)["asked"]

        @app.route(path, methods=["POST"])
        @wraps(method)
        async def answer(api: Any, request: IRequest) -> bytes:
            return write_success(request, await method(api, request, decode_body(request.content.read(), asked)))

        return method

    return serve


def look(app: Klein, path: str) -> Callable[[Look], Look]:
    """Have a method answer ``GET`` requests at ``path``, which ask with nothing. What it returns is the answer."""

    def serve(method: Look) -> Look:
        @app.route(path, methods=["GET"])
        @wraps(method)
        def answer(api: Any, request: IRequest) -> bytes:
            return write_success(request, method(api))

        return method

    return serve


def types_of(method: Callable[..., Any]) -> tuple[type[Struct] | None, type[Struct]]:
    """The request and answer types of a method that serves a call."""
    hints = get_type_hints(method)
    return hints.get("asked"), hints["return"]
