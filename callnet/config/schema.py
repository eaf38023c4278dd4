"""The settings as a tree of structs; ``etc/callnet.toml`` describes every one for operators.

Settings that can be reloaded while callnet runs (:mod:`callnet.app.reload`) are in structs that are not frozen:
whoever uses them reads them each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

from msgspec import Meta, Struct, field

_MONTH = 31 * 86400.0
SIGNING_KEY_MIN = 32
"""The shortest key that signs tokens, in bytes (RFC 7518 §3.2)."""

WEBHOOK_SECRET_MIN = 32
"""The shortest secret that signs requests to the operator's programs, in characters."""

TOKEN_LIFETIME_MAX = 10 * 366 * 86400
"""The longest lifetime of tokens, in seconds."""

SESSION_LIFETIME = 180 * 86400
"""Seconds after a login for which its tokens are refreshed, without settings."""

TURN_LIFETIME_MAX = 86400
"""The longest lifetime of TURN credentials, in seconds: they cannot be revoked."""

HTTP01 = "tls.acme.http01"
"""The key path of the listener that answers ``http-01``."""

PONG_TIME = 8.0
"""Seconds that a client has to answer a ping, at the least."""

Duration = Annotated[float, Meta(ge=0, le=_MONTH)]
"""Seconds; 0 is allowed."""
PositiveDuration = Annotated[float, Meta(ge=0.1, le=_MONTH)]
"""Seconds."""
Limit = Annotated[int, Meta(ge=0)]
WebhookUrl = Annotated[
    str, Meta(pattern=r"\A(https?://[!-~]+)?\Z", description="a URL that begins with https:// or http://")
]
Origin = Annotated[
    str, Meta(pattern=r"\A[a-z][a-z0-9+.-]*://[^/\s]+\Z", description="an origin such as https://phones.example.org")
]
WebhookEvent = Literal["call_started", "call_answered", "call_ended", "call_missed", "device_enrolled"]
Processes = Annotated[
    Annotated[int, Meta(ge=1, le=64)] | Literal["auto"], Meta(description='a whole number from 1 to 64, or "auto"')
]
KeyPrefix = Annotated[
    str, Meta(pattern=r"\A[A-Za-z0-9:._/-]{1,64}\Z", description="1 to 64 letters, digits, and any of : . _ / -")
]


PushHost = Annotated[
    str,
    Meta(
        pattern=r"\A(?=[^:]{1,253}(:|\Z))(\*\.)?([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*"
        r"[a-z]([a-z0-9-]{0,61}[a-z0-9])?(:[1-9][0-9]{0,4})?\Z",
        description='a host such as "push.example.org", or "*.example.org" for all below it, in lower case',
    ),
]
HostName = Annotated[
    str,
    Meta(
        pattern=r"\A[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?\Z",
        description='a name such as "callnet.example.org", in lower case and without a port',
    ),
]
AcmeContact = Annotated[
    str, Meta(pattern=r"\A(mailto:[!-~]+@[!-~]+)?\Z", description="a contact such as mailto:operator@example.org")
]
AcmeDirectory = Annotated[
    str,
    Meta(
        pattern=r"\Ahttps://[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]{1,5})?(/[!-~]*)?\Z",
        description="a URL that begins with https:// and a host name",
    ),
]
VapidSubject = Annotated[
    str,
    Meta(
        pattern=r"\A((mailto:[!-~]+@[!-~]+|https://[!-~]+))?\Z",
        description="a contact: mailto: with an address, or a URL that begins with https://",
    ),
]


class RequestSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A program of the operator's that gets signed requests."""

    url: WebhookUrl = ""
    """Gets a POST for each event, code or device to wake; empty: none. It may have a user and a password, the
    credentials of HTTP Basic: never log it."""
    secret: str = ""
    """Signs the requests."""
    secret_file: str = ""
    """Holds the secret."""


class OtpSettings(RequestSettings, frozen=True, forbid_unknown_fields=True):
    """The program that sends one-time codes to phones, where enrolment is ``otp``. Its secret also makes what the
    database keeps of a code useless to others.
    """

    text: Annotated[str, Meta(max_length=500, pattern=r"\{code\}", description="a text with {code} in it")] = (
        "Your code is {code}. It is valid for 5 minutes."
    )
    code_without_secret: bool = True
    """A device without a secret needs a code at each login, not only at its first."""


class AccountSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Accounts and enrolment."""

    enrolment: Literal["open", "known", "otp"] = "open"
    """``open``: a first login creates the account and the device; ``known``: only devices created by the operator may
    log in; ``otp``: a new device needs a code that is sent to the phone."""
    otp: OtpSettings = OtpSettings()
    who_may_call: Literal["anyone", "contacts"] = "anyone"
    """``anyone``: every phone that the callee has not blocked; ``contacts``: of these, those that the callee lists."""
    open_enrolment_on_network: bool = False
    """Allow enrolment ``open`` on addresses other than loopback."""
    devices_shown_to_anyone: bool = False
    """In ``known`` and ``otp``, show a phone's devices to phones that it does not list."""
    hosts: tuple[HostName, ...] = ()
    """The host names of the account service, beside ``localhost`` and addresses; empty: any."""
    phone_format: Annotated[str, Meta(min_length=1, description="number, cn-mobile, e164, or a regular expression")] = (
        "number"
    )

    @property
    def shows_mutual_contacts_alone(self) -> bool:
        """True if the devices of a phone are shown only to phones that it lists."""
        is_hidden = self.enrolment != "open" and not self.devices_shown_to_anyone
        return is_hidden or self.who_may_call == "contacts"


class TokenSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Tokens that a login answers with (protocol §1)."""

    lifetime: Annotated[int, Meta(ge=60, le=TOKEN_LIFETIME_MAX)] = 7 * 86400
    """Seconds."""
    session_lifetime: Annotated[int, Meta(ge=60, le=TOKEN_LIFETIME_MAX)] = SESSION_LIFETIME
    """Seconds after a login for which its tokens are refreshed; then the device logs in again."""
    signing_key_file: str = ""
    """Made on first start if it is missing."""
    signing_key: str = ""
    """The key itself; the file is not looked at then."""


class LimitSettings(Struct, forbid_unknown_fields=True):
    """Rate limits (0: none), for all nodes together.

    Of an IPv6 address its /64 counts, and its /48 with ten times as many, or with four times as many open HTTP
    connections. Loopback addresses do not count at all.
    """

    logins_a_minute_from_an_address: Limit = 120
    logins_a_minute_of_a_phone: Limit = 30
    devices_of_a_phone: Limit = 20
    """Devices created by logins; the operator may create any number."""
    codes_an_hour_from_an_address: Limit = 20
    """Requests for codes."""
    pairings_an_hour_from_an_address: Limit = 60
    """Devices that begin to wait until another one lets them in; a sixth of them at once."""
    photos_an_hour_from_an_address: Limit = 300
    """Photos that devices store, of their phones and for contacts."""
    guest_calls_an_hour_from_an_address: Limit = 20
    """Calls of guests, by links that ring. Beyond it they fail, beyond the next two they ring nobody."""
    guest_calls_an_hour_of_a_link: Limit = 60
    guest_calls_an_hour_of_a_phone: Limit = 120
    refreshes_an_hour_of_a_device: Limit = 6
    logouts_an_hour_of_a_device: Limit = 20
    sockets_of_an_address: Limit = 2000
    """Of devices, and as many of pages."""
    sockets_of_a_phone: Limit = 100
    """Of its devices, on one process."""
    sockets_of_a_process: Limit = 100_000
    """Of devices, and as many of pages."""
    frames_a_minute_of_a_device: Limit = 600
    frames_a_minute_of_a_page: Limit = 3000
    connections_of_an_address: Limit = 1000
    """HTTP connections to the account service, and as many to the site, until they become WebSockets or are handed to
    a TURN server, which may get as many again."""
    connections_of_a_process: Limit = 10_000
    """The same of all addresses together."""
    requests_a_minute_from_an_address: Limit = 6000
    """HTTP requests to the account service, and as many to the site, of each process."""
    calls_a_minute_of_a_device: Limit = 60
    """All devices of a phone together may place twice as many."""
    calls_a_minute_between_phones: Limit = 30
    """From the devices of one phone to those of another."""
    displacements_a_minute: Limit = 5
    """Connections of a device that are closed since it has opened another one."""
    turn_credentials_a_minute_from_an_address: Limit = 300
    """Given to devices and pages together."""
    account_requests_a_minute_of_a_device: Limit = 120
    """Requests of the account service that carry a token."""
    account_requests_a_minute_of_a_phone: Limit = 300


class SocketSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Time and memory limits of one WebSocket, of a device or a page."""

    handshake_bytes: Annotated[int, Meta(ge=1024, le=65536)] = 8192
    handshake_time: PositiveDuration = 10.0
    """Time limit of a handshake, in seconds."""
    ping_after: PositiveDuration = 15.0
    """Seconds of silence after which a socket is pinged ..."""
    silence: PositiveDuration = 25.0
    """... and closed, if it had time to answer. Sockets are checked every five seconds."""
    unread: Annotated[int, Meta(ge=4096, le=16 * 1024 * 1024)] = 16 * 1024
    """Bytes that may wait for a device that does not read, beyond :mod:`callnet.ws.protocol`."""
    unread_of_pages: Annotated[int, Meta(ge=4096, le=16 * 1024 * 1024)] = 128 * 1024
    """The same for pages and for devices that speak ``callnet.v2``, whose frames are longer."""


class HttpSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Time and memory limits of one HTTP connection."""

    header_bytes: Annotated[int, Meta(ge=2048, le=65536)] = 16 * 1024
    """Of a request, its first line included."""
    body_bytes: Annotated[int, Meta(ge=16 * 1024, le=1024 * 1024)] = 16 * 1024
    request_time: PositiveDuration = 15.0
    """Time limit of a request from its first byte on, in seconds."""
    handshake_time: PositiveDuration = 10.0
    """Time limit of a TLS handshake, in seconds."""
    idle_time: PositiveDuration = 60.0
    """Seconds that a connection may stay open between requests."""


class HistorySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The past calls of each phone."""

    days: Annotated[int, Meta(ge=0, le=3660)] = 90
    """Days for which they are kept; 0: none are."""
    rows: Annotated[int, Meta(ge=0, le=1_000_000)] = 1000
    """About how many are kept for each phone, the newest; 0: any number."""


class WebhookSettings(RequestSettings, frozen=True, forbid_unknown_fields=True):
    """Webhooks: the events sent to a program of the operator (docs/webhooks.md)."""

    events: tuple[WebhookEvent, ...] = (
        "call_started",
        "call_answered",
        "call_ended",
        "call_missed",
        "device_enrolled",
    )

    @property
    def wanted(self) -> frozenset[WebhookEvent]:
        """The events that are sent."""
        return frozenset(self.events if self.url else ())


class GatewaySettings(RequestSettings, frozen=True, forbid_unknown_fields=True):
    """The operator's program that wakes devices which registered with ``webhook``."""


class PushSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """Waking of sleeping devices that are called."""

    gateway: GatewaySettings = GatewaySettings()
    allowed_hosts: tuple[PushHost, ...] = ()
    """The services that browsers may name for Web Push; empty: there is no Web Push."""
    allowed_networks: tuple[str, ...] = ()
    """Networks with addresses that each of these services may have although they are not public."""
    subject: VapidSubject = ""
    """The contact for these services (RFC 8292 §2.1)."""
    vapid_key_file: str = ""
    """The key by which they know callnet; made on first start if it is missing."""


class RelaySettings(Struct, frozen=True, forbid_unknown_fields=True):
    """A relay among several."""

    urls: tuple[str, ...]
    """Of the TURN server (RFC 7065)."""
    stun: tuple[str, ...] = ()
    """Of its STUN server (RFC 7064)."""
    networks: tuple[str, ...] = ()
    """Networks whose clients are near; empty: it is for everybody."""


class SupervisedSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The relay that callnet runs: coturn."""

    program: Annotated[str, Meta(min_length=1, description="a name or a path of a program")] = "turnserver"
    host: str = ""
    """The name or address that clients are told."""
    port: Annotated[int, Meta(ge=1, le=65535)] = 3478
    """For UDP and TCP."""
    tls_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """For TLS, with callnet's certificate; 0: none."""
    proxy_port: Annotated[int, Meta(ge=1, le=65535)] = 5348
    """With ``one_port``: the port of loopback on which it takes connections, and on no other."""
    listening_addresses: tuple[str, ...] = ()
    """Empty: all of the machine."""
    external_addresses: tuple[str, ...] = ()
    """Behind a NAT: the public address, or ``PUBLIC/OWN``, of each family."""
    relay_ports: Annotated[
        str, Meta(pattern=r"\A[0-9]{4,5}-[0-9]{4,5}\Z", description='two ports such as "49152-65535"')
    ] = "49152-65535"
    allowed_peers: tuple[str, ...] = ()
    """Networks that are relayed to although they are not public."""


class TurnSettings(Struct, forbid_unknown_fields=True):
    """The servers by which clients behind NATs reach each other (docs/turn.md)."""

    urls: tuple[str, ...] = ()
    """Of TURN servers that share the secret (RFC 7065); empty: there are none."""
    stun: tuple[str, ...] = ()
    """Of STUN servers (RFC 7064), which everybody is told."""
    secret: str = ""
    secret_file: str = ""
    """Holds the secret; it is read again at SIGHUP."""
    lifetime: Annotated[int, Meta(ge=60, le=TURN_LIFETIME_MAX)] = 12 * 3600
    """Seconds for which credentials are good, at the most."""
    adhoc: bool = False
    """Give credentials to pages in rooms made up by hand: anyone can make one up."""
    relays: tuple[RelaySettings, ...] = ()
    """Several relays that share the secret, in place of ``urls`` and ``stun``."""
    relay: Literal["none", "supervised"] = "none"
    """``supervised``: callnet runs the TURN server, and sets ``urls``, ``stun`` and ``secret_file``."""
    supervised: SupervisedSettings = SupervisedSettings()

    @property
    def all_relays(self) -> tuple[RelaySettings, ...]:
        """The relays; ``urls`` and ``stun`` are one for everybody, which may be STUN alone."""
        return self.relays or ((RelaySettings(self.urls, self.stun),) if self.urls or self.stun else ())

    @property
    def all_urls(self) -> tuple[str, ...]:
        """Those of all TURN servers; empty: there are none."""
        return tuple(url for relay in self.all_relays for url in relay.urls)


class DatabaseSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The database of accounts and contacts."""

    url: str = ""
    """As SQLAlchemy writes it. It may hold a password: never log it."""
    upgrade_on_start: bool = True


class RedisSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The Redis over which nodes and workers work together; without it there is one process."""

    url: str = ""
    """``redis://``, ``rediss://``, ``unix://`` or ``redis+sentinel://``. It may hold a password: never log it."""
    prefix: KeyPrefix = "callnet:"
    """The prefix of every key and channel."""
    ca: str = ""
    """PEM file with the authorities that ``rediss://`` trusts; empty: those of the system."""


class CallSettings(Struct, forbid_unknown_fields=True):
    """The durations of the phases of a call, in seconds (protocol §2.4)."""

    ring_time: PositiveDuration = 45.0
    grace: PositiveDuration = 30.0
    longest: PositiveDuration = 12 * 3600.0
    unseated_limit: Duration = 600.0
    """No seat was taken this long after the accept; 0 = never."""
    offline_after: Duration = 0.15
    """Delay before a caller is told ``offline``, whatever the cause (§2.1)."""
    adhoc_rooms: bool = True
    """Allow opening the page with a room that belongs to no call."""


class Listener(Struct, frozen=True, forbid_unknown_fields=True):
    """One address that a service is offered on."""

    endpoint: str
    tls: bool = False
    proxy_protocol: tuple[str, ...] = ()
    """The networks or addresses of load balancers whose PROXY header names the client, or ``unix``. If there are any,
    nobody else may connect."""


class SiteListener(Listener, frozen=True, forbid_unknown_fields=True):
    """The same for the site: a browser gives a camera only to pages that came over TLS."""

    tls: bool = True
    turn: str = ""
    """A relay such as ``tcp:127.0.0.1:5348`` that gets the connections of TURN clients, each with a PROXY header before
    it; empty: there are none."""


class ListenerSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The addresses of each service."""

    account: tuple[Listener, ...] = (Listener("tcp:8083:interface=127.0.0.1"),)
    signaling: tuple[Listener, ...] = (Listener("tcp:8082:interface=127.0.0.1"),)
    site: tuple[SiteListener, ...] = (
        SiteListener("tcp:8080:interface=127.0.0.1"),
        SiteListener("tcp:8081:interface=127.0.0.1", tls=False),
    )
    """The second one is for browsers on this machine: they give a camera to ``http://localhost`` too, and ask for no
    trust in a certificate."""
    admin: tuple[Listener, ...] = (Listener("tcp:8084:interface=127.0.0.1"),)
    """For the operator and for what watches over callnet, not for devices."""

    def keyed(self) -> Iterator[tuple[str, Listener]]:
        """Each listener with its key path, such as ``listeners.site[0]``."""
        for name in self.__struct_fields__:
            for index, listener in enumerate(getattr(self, name)):
                yield f"listeners.{name}[{index}]", listener


class AcmeSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The authority from which callnet gets a certificate by ACME (RFC 8555), and renews it."""

    names: Annotated[tuple[HostName, ...], Meta(max_length=100)] = ()
    """The host names in the certificate; empty: there is no ACME."""
    contact: AcmeContact = ""
    """Where the authority reaches the operator; empty: it is told nothing."""
    directory: AcmeDirectory = "https://acme-v02.api.letsencrypt.org/directory"
    """The authority's directory (RFC 8555 §7.1.1)."""
    ca: str = ""
    """PEM file with the authorities that are trusted for the directory itself; empty: those of the system."""
    http01: str = ""
    """The endpoint where ``http-01`` is answered (RFC 8555 §8.3); empty: the listeners with ``tls`` answer
    ``tls-alpn-01`` (RFC 8737)."""


class TlsSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The certificate of every listener with ``tls``; without one callnet signs its own."""

    certificate: str = ""
    """PEM file: the server's certificate, then the intermediate ones."""
    private_key: str = ""
    """PEM file."""
    acme: AcmeSettings = AcmeSettings()


class SiteSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The site with the page."""

    hsts: Annotated[int, Meta(ge=0, le=10 * 366 * 86400)] = 0
    """``max-age`` of Strict-Transport-Security in seconds; 0: the header is not sent."""


class AdminSettings(Struct, frozen=True, forbid_unknown_fields=True):
    """The operator's listener (docs/admin-api.md)."""

    key_file: str = ""
    """The key of those who may see calls and give orders; made on first start if it is missing."""
    hosts: tuple[HostName, ...] = ()
    """The host names of the listener, beside ``localhost`` and addresses."""


class SignalingSettings(Struct, forbid_unknown_fields=True):
    """The devices' WebSocket."""

    allowed_origins: tuple[Origin, ...] = ()
    """Web pages that may open it; empty: all. They may use the account service, too, whatever their host."""

    def allows(self, origin: str) -> bool:
        """Tell whether an ``Origin`` is among them."""
        return origin.lower() in (allowed.rstrip("/").lower() for allowed in self.allowed_origins)


class Settings(Struct, forbid_unknown_fields=True):
    """Everything that can be set.

    As :func:`callnet.config.load.load` returns it, only what ``[tls]`` and ``[redis]`` name may be empty.
    """

    state_dir: str = ""
    workers: Processes = 1
    """The number of processes; ``auto``: one for each core."""
    one_port: Annotated[int, Meta(ge=0, le=65535)] = 0
    """A port of TCP on which everything but the operator's listener is; 0: each service has its listeners."""
    drain_deadline: Duration = 30.0
    """At a stop, seconds that those who are in calls have to end them; 0: they are cut off at once."""
    accounts: AccountSettings = AccountSettings()
    tokens: TokenSettings = TokenSettings()
    limits: LimitSettings = field(default_factory=LimitSettings)
    database: DatabaseSettings = DatabaseSettings()
    redis: RedisSettings = RedisSettings()
    calls: CallSettings = field(default_factory=CallSettings)
    turn: TurnSettings = field(default_factory=TurnSettings)
    push: PushSettings = PushSettings()
    history: HistorySettings = HistorySettings()
    webhooks: WebhookSettings = WebhookSettings()
    listeners: ListenerSettings = ListenerSettings()
    tls: TlsSettings = TlsSettings()
    site: SiteSettings = SiteSettings()
    signaling: SignalingSettings = field(default_factory=SignalingSettings)
    admin: AdminSettings = AdminSettings()
    sockets: SocketSettings = SocketSettings()
    http: HttpSettings = HttpSettings()

    def keyed_listeners(self) -> Iterator[tuple[str, Listener]]:
        """Each listener with its key path, and that of ``http-01`` as :data:`HTTP01`."""
        yield from self.listeners.keyed()
        if self.tls.acme.http01:
            yield HTTP01, Listener(self.tls.acme.http01)
