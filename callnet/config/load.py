"""The settings, read from one TOML file and a few environment variables.

An error raises :class:`StartError` with one line that names the file, the key and what is allowed; no value is ever
repeated, since it may be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import TypeVar

import msgspec
from msgspec import inspect
from msgspec.structs import replace

from callnet.config import endpoints, relay
from callnet.config.schema import (
    HTTP01,
    PONG_TIME,
    WEBHOOK_SECRET_MIN,
    Listener,
    ListenerSettings,
    OtpSettings,
    PushSettings,
    RequestSettings,
    Settings,
    SiteListener,
)
from callnet.errors import StartError

_Signing = TypeVar("_Signing", bound=RequestSettings)
T = TypeVar("T")
_AT = re.compile(r" - at `\$\.?(?P<path>[^`]*)`\Z")
_FIELD = re.compile(r"`(?P<field>[^`]*)`\Z")
_STEP = re.compile(r"[^.\[\]]+")


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
    turn = relay.proxy_place(settings.turn.supervised) if settings.turn.relay == "supervised" else ""
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
        _check_webhook_secret("webhooks", settings.webhooks)
    if settings.sockets.silence < settings.sockets.ping_after + PONG_TIME:
        raise StartError(f"sockets.silence must exceed sockets.ping_after by {PONG_TIME:g} s, the time for a pong")
    _check_push(settings.push)
    relay.check(settings.turn)
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
    _check_webhook_secret("accounts.otp", otp)


def _check_webhook_secret(section: str, settings: RequestSettings) -> None:
    if settings.secret and settings.secret_file:
        raise StartError(f"{section}.secret and {section}.secret_file are both set; remove one")
    if not settings.secret_file and len(settings.secret) < WEBHOOK_SECRET_MIN:
        raise StartError(f"{section}.secret must have at least {WEBHOOK_SECRET_MIN} characters")


def _check_push(push: PushSettings) -> None:
    if push.gateway.url:
        _check_webhook_secret("push.gateway", push.gateway)
    if push.allowed_hosts and not push.subject:
        raise StartError("push.subject must be set, since push.allowed_hosts is: push services contact you there")
    for index, network in enumerate(push.allowed_networks):
        objection = endpoints.network_objection(network)
        if objection is not None:
            raise StartError(f"push.allowed_networks[{index}] {objection}")


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
    for index, network in enumerate(listener.proxy_protocol):
        wrong = endpoints.peer_objection(listener.endpoint, network)
        if wrong:
            raise StartError(f"{key}.proxy_protocol[{index}] {wrong}")


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
        turn=relay.complete(turn, state_dir, settings.one_port)
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
