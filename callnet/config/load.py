"""The settings, read from one TOML file and a few environment variables.

An error raises :class:`StartError` with one line that names the file, the key and what is allowed; no value is ever
repeated, since it may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from ipaddress import ip_address, ip_network
from typing import Final, TypeVar
from urllib.parse import urlsplit

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from callnet.config import endpoints
from callnet.config.schema import (
    HTTP01,
    PONG_TIME,
    WEBHOOK_SECRET_MIN,
    Listener,
    ListenerSettings,
    OtpSettings,
    PushSettings,
    RelaySettings,
    RequestSettings,
    Settings,
    SiteListener,
    SupervisedSettings,
    TurnSettings,
)
from callnet.errors import StartError
from callnet.frames import ice
from callnet.util.net import IPV6_SITE, bracketed

_Signing = TypeVar("_Signing", bound=RequestSettings)
T = TypeVar("T")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`\Z")
_FIELD = re.compile(r"`(?P<field>[^`]*)`\Z")
_STEP = re.compile(r"[^.\[\]]+")
_FINAL_DOT = re.compile(r"(?<=[a-z0-9])\.(?=(:[0-9]+)?\Z)", re.IGNORECASE)
"""The end of a name that no search domain is added to."""


def load(path: str | None, environ: Mapping[str, str]) -> Settings:
    """Read the settings.

    :param path: the TOML file; ``None``: the one that ``CALLNET_CONFIG`` names, or all defaults.
    :param environ: ``CALLNET_STATE_DIR``, ``CALLNET_DATABASE_URL``, ``CALLNET_REDIS_URL``, ``CALLNET_SIGNING_KEY``,
        ``CALLNET_OTP_SECRET``, ``CALLNET_WEBHOOKS_SECRET``, ``CALLNET_GATEWAY_SECRET`` and ``CALLNET_TURN_SECRET`` go
        before the file.
    :raises StartError: the file cannot be read, or a setting is wrong.
    """
    path = path or environ.get("CALLNET_CONFIG") or None
    found = Settings() if path is None else decode_toml(_read(path), Settings, path)
    try:
        settings = _complete(found, environ)
        if settings.one_port:
            settings = _on_one_port(settings)
        _check(settings)
    except StartError as error:
        raise StartError(f"{path}: {error}" if path else str(error)) from None
    return settings


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise StartError(f"{path}: cannot read the settings: {error.strerror}") from None


def _on_one_port(settings: Settings) -> Settings:
    """Have the site, which serves everything, listen on that port in the place of the listeners that are not set."""
    given, default = settings.listeners, ListenerSettings()
    if given.site != default.site:
        raise StartError("one_port and listeners.site are both set; remove one")
    turn = _proxy_place(settings.turn.supervised) if settings.turn.relay == "supervised" else ""
    site = SiteListener(f"tcp6:{settings.one_port}", turn=turn)
    return replace(
        settings,
        listeners=replace(
            given,
            site=(site,),
            account=() if given.account == default.account else given.account,
            signaling=() if given.signaling == default.signaling else given.signaling,
        ),
    )


def _check(settings: Settings) -> None:
    """Check settings against each other."""
    listeners = settings.listeners
    if not (listeners.account or listeners.signaling or listeners.site):
        raise StartError("listeners: at least one of account, signaling and site needs an address")
    for key, listener in listeners.keyed():
        _check_listener(key, listener)
        _check_exposure(settings, key, listener)
    if settings.workers != 1 and not settings.redis.url:
        raise StartError("workers: more than one process needs redis.url")
    if settings.accounts.enrolment == "otp":
        _check_otp(settings.accounts.otp)
    if settings.webhooks.url:
        _check_requests("webhooks", settings.webhooks)
    if settings.sockets.silence < settings.sockets.ping_after + PONG_TIME:
        raise StartError(f"sockets.silence must exceed sockets.ping_after by {PONG_TIME:g} s, the time for a pong")
    _check_push(settings.push)
    _check_turn(settings.turn)
    tls = settings.tls
    if bool(tls.certificate) != bool(tls.private_key):
        raise StartError("tls.certificate and tls.private_key must be set together")
    _check_acme(settings)
    if settings.site.hsts and not (tls.certificate or tls.acme.names):
        raise StartError(
            "site.hsts needs your own certificate in tls.certificate, or tls.acme.names:"
            " with HSTS, browsers let nobody past a self-signed one on any port of the host"
        )


def _check_otp(otp: OtpSettings) -> None:
    if not otp.url:
        raise StartError('accounts.otp.url must be set, since accounts.enrolment is "otp": it sends the codes')
    _check_requests("accounts.otp", otp)


def _check_requests(section: str, settings: RequestSettings) -> None:
    if not _can_be_asked(settings.url):
        raise StartError(
            f"{section}.url must be a URL such as https://hooks.example.org/callnet:"
            " its host must be a name or an address, its port, if it has one, from 1 to 65535"
        )
    if settings.secret and settings.secret_file:
        raise StartError(f"{section}.secret and {section}.secret_file are both set; remove one")
    if not settings.secret_file and len(settings.secret) < WEBHOOK_SECRET_MIN:
        raise StartError(f"{section}.secret must have at least {WEBHOOK_SECRET_MIN} characters")


def _can_be_asked(url: str) -> bool:
    """Return whether host and port of a URL are valid; a user and a password may stand before them."""
    try:
        place = urlsplit(url).netloc.rpartition("@")[2]
    except ValueError:  # brackets that are not a pair
        return False
    return ice.is_host_and_port(_FINAL_DOT.sub("", place))


def _check_push(push: PushSettings) -> None:
    if push.gateway.url:
        _check_requests("push.gateway", push.gateway)
    if push.allowed_hosts and not push.subject:
        raise StartError("push.subject must be set, since push.allowed_hosts is: push services contact you there")
    _check_each("push.allowed_networks", push.allowed_networks, endpoints.network_objection)


def _check_acme(settings: Settings) -> None:
    acme = settings.tls.acme
    if acme.names and settings.tls.certificate:
        raise StartError("tls.certificate and tls.acme.names are both set; remove one")
    if acme.http01 and not acme.names:
        raise StartError("tls.acme.names must be set, since tls.acme.http01 is: it answers for these names")
    if acme.http01:
        _check_listener(HTTP01, Listener(acme.http01))
    if acme.names and not (acme.http01 or any(listener.tls for _, listener in settings.listeners.keyed())):
        raise StartError("tls.acme.names needs a listener with tls = true, or tls.acme.http01")


def _check_listener(key: str, listener: Listener) -> None:
    wrong = endpoints.objection(listener.endpoint)
    if wrong:
        raise StartError(f"{key}.endpoint {listener.endpoint!r}: {wrong}")
    if isinstance(listener, SiteListener) and listener.turn:
        try:
            endpoints.client_address(listener.turn)
        except ValueError:
            raise StartError(f'{key}.turn must be an endpoint such as "tcp:127.0.0.1:5348"') from None
    _check_each(f"{key}.proxy_protocol", listener.proxy_protocol, partial(endpoints.peer_objection, listener.endpoint))


def is_exposed(listeners: ListenerSettings) -> bool:
    """True if clients on other machines can log in."""
    served = [listener for key, listener in listeners.keyed() if not key.startswith("listeners.admin[")]
    return any(one.proxy_protocol or not endpoints.is_local(one.endpoint) for one in served)


def _check_exposure(settings: Settings, key: str, listener: Listener) -> None:
    """Refuse to expose access without a secret to the network, unless the operator has allowed it."""
    opening, remedy, accounts = "", "", settings.accounts
    if settings.one_port and isinstance(listener, SiteListener):
        opening, remedy = "one_port is open to the network", "remove it"
    elif listener.proxy_protocol:
        opening, remedy = f"{key}.proxy_protocol opens it to the network", "remove it"
    elif not endpoints.is_local(listener.endpoint):
        opening = f"{key}.endpoint {listener.endpoint!r} is open to the network"
        remedy = "add :interface=127.0.0.1"
    if not opening:
        return
    if key.startswith("listeners.admin["):
        if not listener.proxy_protocol:  # with it, nobody but the load balancers gets in
            raise StartError(
                f"{opening}, and parts of it need no key: {remedy},"
                " or list the load balancers that may connect in proxy_protocol"
            )
    elif accounts.enrolment == "open" and not accounts.open_enrolment_on_network:
        raise StartError(
            f'{opening}, and with accounts.enrolment = "open" anyone who knows a phone number and a device id'
            f" can log in as that device: {remedy}, or set accounts.open_enrolment_on_network = true"
        )


def _complete(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """Put the environment's values in, and the defaults that depend on the state directory."""
    state_dir = os.path.abspath(environ.get("CALLNET_STATE_DIR") or settings.state_dir or _default_state_dir(environ))
    tokens, database, redis, tls = settings.tokens, settings.database, settings.redis, settings.tls
    push, admin = settings.push, settings.admin
    turn = replace(settings.turn, secret=environ.get("CALLNET_TURN_SECRET") or settings.turn.secret)
    return replace(
        settings,
        state_dir=state_dir,
        tokens=replace(
            tokens,
            signing_key_file=os.path.abspath(tokens.signing_key_file or os.path.join(state_dir, "signing.key")),
            signing_key=environ.get("CALLNET_SIGNING_KEY") or tokens.signing_key,
        ),
        database=replace(
            database,
            url=environ.get("CALLNET_DATABASE_URL") or database.url or f"sqlite:///{state_dir}/callnet.db",
        ),
        redis=replace(
            redis, url=environ.get("CALLNET_REDIS_URL") or redis.url, ca=redis.ca and os.path.abspath(redis.ca)
        ),
        accounts=replace(settings.accounts, otp=_signing(settings.accounts.otp, environ, "CALLNET_OTP_SECRET")),
        webhooks=_signing(settings.webhooks, environ, "CALLNET_WEBHOOKS_SECRET"),
        push=replace(
            push,
            gateway=_signing(push.gateway, environ, "CALLNET_GATEWAY_SECRET"),
            vapid_key_file=os.path.abspath(push.vapid_key_file or os.path.join(state_dir, "vapid.key")),
        ),
        admin=replace(admin, key_file=os.path.abspath(admin.key_file or os.path.join(state_dir, "admin.key"))),
        turn=_complete_turn(turn, state_dir, settings.one_port)
        if turn.relay == "supervised"
        else replace(turn, secret_file=turn.secret_file and os.path.abspath(turn.secret_file)),
        tls=replace(
            tls,
            certificate=tls.certificate and os.path.abspath(tls.certificate),
            private_key=tls.private_key and os.path.abspath(tls.private_key),
            acme=replace(tls.acme, ca=tls.acme.ca and os.path.abspath(tls.acme.ca)),
        ),
    )


def _signing(section: _Signing, environ: Mapping[str, str], name: str) -> _Signing:
    """A section with a secret that signs requests, which the environment may have."""
    file = section.secret_file and os.path.abspath(section.secret_file)
    return replace(section, secret=environ.get(name) or section.secret, secret_file=file)


def _default_state_dir(environ: Mapping[str, str]) -> str:
    """The directory that systemd made for the service, or the user's own."""
    given = environ.get("STATE_DIRECTORY", "").split(":")[0]
    if given:
        return given
    home = environ.get("HOME") or os.path.expanduser("~")
    return os.path.join(environ.get("XDG_STATE_HOME") or os.path.join(home, ".local", "state"), "callnet")


def decode_toml(data: bytes, into: type[T], source: str) -> T:
    """Read a document.

    :param source: what to call the document in an error, such as its path.
    :raises StartError: not TOML, or it does not fit.
    """
    try:
        return msgspec.toml.decode(data, type=into)
    except msgspec.ValidationError as error:
        raise StartError(f"{source}: {_explain(str(error), into)}") from None
    except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
        raise StartError(f"{source}: not TOML: {_first_line(error)}") from None


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


def _explain(message: str, into: type) -> str:
    """Turn msgspec's message into ours."""
    at = _AT.search(message)
    path = at["path"] if at else ""
    what = message[: at.start()] if at else message
    place = _find(inspect.type_info(into), path)
    field = _FIELD.search(what)
    if field and isinstance(place, inspect.StructType):
        key = f"{path}.{field['field']}" if path else field["field"]
        if "unknown" in what:
            return f"unknown key {key}: known keys are {', '.join(each.encode_name for each in place.fields)}"
        if "missing" in what:
            return f"{key} is missing; it must be {_allowed(_find(place, field['field']))}"
    return f"{path} must be {_allowed(place)}"


def _find(place: inspect.Type, path: str) -> inspect.Type:
    """The type at a path such as ``listeners.account[0].endpoint``."""
    for step in _STEP.findall(path):
        if isinstance(place, inspect.StructType):
            place = next(field.type for field in place.fields if field.encode_name == step)
        elif isinstance(place, inspect.VarTupleType):
            place = place.item_type
    return place


def _allowed(place: inspect.Type) -> str:
    """The allowed values, in words."""
    match place:
        case inspect.Metadata(extra_json_schema={"description": str(description)}):
            return description
        case inspect.Metadata(type=inner):
            return _allowed(inner)
        case inspect.BoolType():
            return "true or false"
        case inspect.IntType():
            return "a whole number" + _range(place)
        case inspect.FloatType():
            return "a number" + _range(place)
        case inspect.LiteralType(values=values):
            return "one of " + ", ".join(f'"{value}"' for value in values)
        case inspect.StructType(fields=fields):
            return "a table with the keys " + ", ".join(field.encode_name for field in fields)
        case inspect.VarTupleType(item_type=item):
            return f"an array whose entries are {_allowed(item)}"
        case _:
            return "a string"


def _range(place: inspect.IntType | inspect.FloatType) -> str:
    low, high = place.ge, place.le
    if low is None:
        return "" if high is None else f" of at most {high:.10g}"
    return f" of at least {low:.10g}" if high is None else f" from {low:.10g} to {high:.10g}"


# Relays: what is wrong with their settings, and what follows from those of one that callnet runs itself

_SUPERVISED: Final = "turn.supervised"
_RELAY_PORT_MIN: Final = 1024
_RELAY_PORT_MAX: Final = 65535
_IPV6: Final = 6


def relay_directory(state_dir: str) -> str:
    """Where the relay's files are."""
    return os.path.join(state_dir, "relay")


def relay_secret_file(state_dir: str) -> str:
    """The file with the secret that credentials are made with."""
    return os.path.join(relay_directory(state_dir), "secret")


def _proxy_place(settings: SupervisedSettings) -> str:
    """Where connections are handed over, as ``turn`` of a listener of the site."""
    return f"tcp:127.0.0.1:{settings.proxy_port}"


def _check_turn(turn: TurnSettings) -> None:
    """Check the servers that clients are told of, and the secret.

    :raises StartError: a setting is wrong.
    """
    if turn.relays and (turn.urls or turn.stun):
        raise StartError("turn.relays is set, and turn.urls or turn.stun too; make these a relay in turn.relays")
    for index, relay in enumerate(turn.all_relays):
        _check_servers(f"turn.relays[{index}]" if turn.relays else "turn", relay)
    seen: set[str] = set()
    for index, relay in enumerate(turn.relays):
        key = f"turn.relays[{index}]"
        if not relay.urls:
            raise StartError(f"{key}.urls must not be empty")
        if not seen.isdisjoint(relay.urls):
            raise StartError(f"{key}.urls: one of them is another relay's too; a relay may have several networks")
        seen.update(relay.urls)
        _check_each(f"{key}.networks", relay.networks, _client_network_objection)
        if len({ip_network(network) for network in relay.networks}) < len(relay.networks):
            raise StartError(f"{key}.networks: one of them is listed twice")
    if turn.secret and turn.secret_file:
        raise StartError("turn.secret and turn.secret_file are both set; remove one")
    if turn.all_urls and not (turn.secret or turn.secret_file):
        raise StartError(
            f"turn.secret or turn.secret_file must be set, since turn.{'relays' if turn.relays else 'urls'} is:"
            " TURN servers require credentials"
        )
    if turn.secret and not ice.is_secret(turn.secret):
        raise StartError(f"turn.secret must have {ice.SECRET_MIN} to {ice.SECRET_MAX} ASCII characters without spaces")


def _check_servers(key: str, relay: RelaySettings) -> None:
    for index, uri in enumerate(relay.urls):
        if not ice.is_turn_uri(uri):
            raise StartError(
                f'{key}.urls[{index}] must be a URI such as "turn:turn.example.org:3478?transport=udp"'
                ' or "turns:turn.example.org:5349?transport=tcp" (RFC 7065)'
            )
    for index, uri in enumerate(relay.stun):
        if not ice.is_stun_uri(uri):
            raise StartError(f'{key}.stun[{index}] must be a URI such as "stun:turn.example.org:3478" (RFC 7064)')


def _client_network_objection(text: str) -> str | None:
    objection = endpoints.network_objection(text)
    if objection is not None:
        return objection
    network = ip_network(text)
    if network.version == _IPV6 and network.prefixlen > IPV6_SITE:
        return f"must not be smaller than a /{IPV6_SITE}, by which callnet tells clients of IPv6 apart"
    return None


def _complete_turn(turn: TurnSettings, state_dir: str, one_port: int) -> TurnSettings:
    """The settings with those that callnet makes itself.

    :param one_port: the port on which it is handed the connections of its clients by TLS; 0: it is not.
    :raises StartError: a setting is wrong.
    """
    if turn.relays:
        raise StartError('turn.relay = "supervised" and turn.relays are both set; remove one')
    if turn.urls or turn.stun or turn.secret or turn.secret_file:
        raise StartError(
            'turn.relay = "supervised" makes turn.urls, turn.stun and the secret itself; remove them from the settings,'
            " and CALLNET_TURN_SECRET from the environment"
        )
    _check_supervised(turn.supervised)
    if one_port and turn.supervised.tls_port:
        raise StartError(f"{_SUPERVISED}.tls_port and one_port are both set; remove one")
    if one_port and turn.supervised.proxy_port in (one_port, turn.supervised.port):
        raise StartError(f"{_SUPERVISED}.proxy_port must differ from one_port and {_SUPERVISED}.port")
    return replace(
        turn,
        urls=_relay_urls(turn.supervised, one_port),
        stun=(_uri("stun", turn.supervised),),
        secret_file=relay_secret_file(state_dir),
    )


def _relay_urls(settings: SupervisedSettings, one_port: int) -> tuple[str, ...]:
    """The URIs of the relay."""
    plain, tls_port = _uri("turn", settings), one_port or settings.tls_port
    found = [f"{plain}?transport=udp"]
    if not one_port:
        found.append(f"{plain}?transport=tcp")
    if tls_port:
        found.append(f"turns:{bracketed(settings.host)}:{tls_port}?transport=tcp")
    return tuple(found)


def _uri(scheme: str, settings: SupervisedSettings) -> str:
    return f"{scheme}:{bracketed(settings.host)}:{settings.port}"


def _check_supervised(settings: SupervisedSettings) -> None:
    if not settings.host:
        raise StartError(f'{_SUPERVISED}.host must be set, since turn.relay is "supervised": clients are told it')
    if not ice.is_turn_uri(_uri("turn", settings)):
        raise StartError(f'{_SUPERVISED}.host must be a name such as "calls.example.org", or an address')
    if settings.tls_port == settings.port:
        raise StartError(f"{_SUPERVISED}.tls_port and {_SUPERVISED}.port must differ")
    low, high = map(int, settings.relay_ports.split("-"))
    if not _RELAY_PORT_MIN <= low <= high <= _RELAY_PORT_MAX:
        raise StartError(
            f"{_SUPERVISED}.relay_ports must be two ports from {_RELAY_PORT_MIN} to {_RELAY_PORT_MAX}, the lower first"
        )
    if any(low <= port <= high for port in (settings.port, settings.tls_port)):
        raise StartError(f"{_SUPERVISED}.relay_ports must not include {_SUPERVISED}.port or {_SUPERVISED}.tls_port")
    _check_each(f"{_SUPERVISED}.listening_addresses", settings.listening_addresses, _address_objection)
    _check_each(f"{_SUPERVISED}.external_addresses", settings.external_addresses, _external_objection)
    _check_each(f"{_SUPERVISED}.allowed_peers", settings.allowed_peers, endpoints.network_objection)


def _check_each(key: str, values: Iterable[str], objection: Callable[[str], str | None]) -> None:
    for index, value in enumerate(values):
        wrong = objection(value)
        if wrong:
            raise StartError(f"{key}[{index}] {wrong}")


def _address_objection(address: str) -> str | None:
    return None if _version(address) else "must be an address of this machine; for all of them use []"


def _external_objection(address: str) -> str | None:
    public, slash, own = address.partition("/")
    version = _version(public)
    if version and (not slash or _version(own) == version):
        return None
    return (
        'must be a public address such as "203.0.113.7",'
        ' or it and the machine\'s own of the same family: "203.0.113.7/10.0.0.7"'
    )


def _version(address: str) -> int:
    """The family of the address of a machine; 0: it is none, or stands for several machines or addresses."""
    try:
        found = ip_address(address)
    except ValueError:
        return 0
    return 0 if "%" in address or found.is_unspecified or found.is_multicast else found.version
