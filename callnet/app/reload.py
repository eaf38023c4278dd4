"""What is read from files at a start, and again at SIGHUP. What is no good then stays as it was."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from callnet.accounts.keys import load_keys
from callnet.accounts.tokens import Tokens
from callnet.config.reload import LiveSettings
from callnet.config.schema import AdminSettings, Settings, TokenSettings, TurnSettings
from callnet.errors import StartError
from callnet.ops import certificates
from callnet.ops.admin_key import AdminKey, load_admin_key
from callnet.ops.certificates import ServerTls
from callnet.ops.turn_secret import TurnSecret, read_turn_secret
from callnet.util.logger import Logger

_log = Logger()


def renewals(
    live: LiveSettings,
    tls: ServerTls,
    tokens: Tokens,
    turn_secret: TurnSecret,
    admin_key: AdminKey,
    read: Callable[[], Settings] | None,
) -> dict[str, Callable[[], bool]]:
    """What reads each of these again, as far as it is in files, and tells whether it was good.

    :param read: reads the settings; ``None``: they come from the parent.
    """
    settings = live.settings
    found: dict[str, Callable[[], bool]] = {}
    if read is not None:
        found["settings"] = partial(_renew_settings, live, read)
    found["certificate"] = lambda: _renew_certificate(settings, tls)
    if not settings.tokens.signing_key:
        found["keys"] = lambda: _renew_keys(settings.tokens, tokens)
    found["turn"] = lambda: _renew_turn_secret(settings.turn, turn_secret)
    found["admin key"] = lambda: _renew_admin_key(settings.admin, admin_key)
    return found


def certificate(settings: Settings) -> certificates.Pair:
    """The operator's certificate, or one that callnet signs itself.

    :raises StartError: it cannot be read, or made.
    """
    if settings.tls.certificate:
        return certificates.configured(settings.tls)
    return certificates.self_signed(settings.state_dir, datetime.now(UTC))


def _renew_settings(live: LiveSettings, read: Callable[[], Settings]) -> bool:
    """Read the settings again, and let hold what may be changed now. If anything is wrong, all stay as they were."""
    try:
        new = read()
        if live.settings.turn != new.turn:
            read_turn_secret(new.turn)
    except StartError as error:
        _log.error("the settings stay as they were: {error}", error=error)
        return False
    changes = live.take_over(new)
    made, left = ", ".join(changes.made), ", ".join(changes.left)
    _log.info("the settings were read again: {made} changed", made=made or "nothing")
    if left:
        _log.warn("callnet must be started anew for what has changed in {left}", left=left)
    return True


def _renew_certificate(settings: Settings, tls: ServerTls) -> bool:
    """Read the certificate again, for connections that come from now on. If it is no good, the old one stays."""
    try:
        tls.renew(certificate(settings))
    except StartError as error:
        _log.error("the certificate stays as it was: {error}", error=error)
        return False
    _log.info("the certificate was read again")
    return True


def _renew_keys(settings: TokenSettings, tokens: Tokens) -> bool:
    """Read the signing keys again. If one of the files is no good, all keys stay as they were."""
    try:
        ring = load_keys(settings.signing_key_file)
    except StartError as error:
        _log.error("the signing keys stay as they were: {error}", error=error)
        return False
    tokens.use(ring)
    kid = ring.signing(tokens.now()).kid
    _log.info("the signing keys were read: there are {count}, and {kid} signs", count=len(ring.keys), kid=kid)
    return True


def _renew_admin_key(settings: AdminSettings, key: AdminKey) -> bool:
    """Read the operator's key again. If it is no good, the old one stays."""
    try:
        key.value = load_admin_key(settings.key_file)
    except StartError as error:
        _log.error("the operator's key stays as it was: {error}", error=error)
        return False
    return True


def _renew_turn_secret(settings: TurnSettings, secret: TurnSecret) -> bool:
    """Read the secret of the TURN servers again. What was given out is good as long as they accept the one before."""
    if not settings.urls:
        return True
    try:
        value = read_turn_secret(settings)
    except StartError as error:
        _log.error("the TURN secret stays as it was: {error}", error=error)
        return False
    changed = value != secret.value
    secret.value = value
    if not changed and not settings.secret_file:
        return True
    _log.info("the TURN secret was read again: it is {which}", which="another one" if changed else "the same")
    return True
