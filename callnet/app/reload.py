"""Files that are read at start and again at SIGHUP. Invalid ones leave the old values in force."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial

from callnet.accounts.signing_keys import load_keys
from callnet.accounts.tokens import Tokens
from callnet.acme.folder import AcmeFolder
from callnet.config.reload import LiveSettings
from callnet.config.schema import AdminSettings, Settings, TokenSettings, TurnSettings
from callnet.errors import StartError
from callnet.ops import certificates
from callnet.ops.admin_key import AdminKey, load_admin_key
from callnet.ops.certificates import ServerTls
from callnet.ops.ice import TurnSecret, read_turn_secret
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
    """The functions that reread each of these files, and return whether it was valid.

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


def certificate_files(settings: Settings) -> tuple[str, str]:
    """The PEM files of the certificate that :func:`certificate` answers with, and of its key. They may be the same."""
    tls = settings.tls
    if tls.certificate:
        return tls.certificate, tls.private_key
    folder = acme_folder(settings)
    if tls.acme.names and folder.pair() is not None:
        return str(folder.certificate), str(folder.certificate)
    return certificates.self_signed_files(settings.state_dir)


def acme_folder(settings: Settings) -> AcmeFolder:
    """The files of the authority that the settings name."""
    return AcmeFolder(settings.state_dir, settings.tls.acme.directory)


def certificate(settings: Settings) -> certificates.Pair:
    """The operator's certificate, or one got by ACME, or until there is one that callnet signs itself.

    :raises StartError: it cannot be read, or made.
    """
    if settings.tls.certificate:
        return certificates.configured(settings.tls)
    found = acme_folder(settings).pair() if settings.tls.acme.names else None
    return found or certificates.self_signed(settings.state_dir, datetime.now(UTC))


def _renew_settings(live: LiveSettings, read: Callable[[], Settings]) -> bool:
    """Read the settings again, and let hold what may be changed now. If anything is wrong, all stay as they were."""
    try:
        new = read()
        if live.settings.turn != new.turn:
            read_turn_secret(new.turn)
    except StartError as error:
        _log.error("kept the old settings: {error}", error=error)
        return False
    changes = live.take_over(new)
    made, left = ", ".join(changes.made), ", ".join(changes.left)
    _log.info("reloaded the settings; changed: {made}", made=made or "nothing")
    if left:
        _log.warn("restart required for changed settings: {left}", left=left)
    return True


def _renew_certificate(settings: Settings, tls: ServerTls) -> bool:
    """Read the certificate again, for new connections. If it is unusable, the old one stays."""
    try:
        tls.renew(certificate(settings))
    except StartError as error:
        _log.error("kept the old certificate: {error}", error=error)
        return False
    _log.info("reloaded the certificate")
    return True


def _renew_keys(settings: TokenSettings, tokens: Tokens) -> bool:
    """Read the signing keys again. If one of the files is invalid, all keys stay as they were."""
    try:
        ring = load_keys(settings.signing_key_file)
    except StartError as error:
        _log.error("kept the old signing keys: {error}", error=error)
        return False
    tokens.use(ring)
    kid = ring.signing(tokens.now()).kid
    _log.info("reloaded the signing keys: {count} in use, {kid} signs", count=len(ring.keys), kid=kid)
    return True


def _renew_admin_key(settings: AdminSettings, key: AdminKey) -> bool:
    """Read the operator's key again. If it is invalid, the old one stays."""
    try:
        key.value = load_admin_key(settings.key_file)
    except StartError as error:
        _log.error("kept the old operator's key: {error}", error=error)
        return False
    return True


def _renew_turn_secret(settings: TurnSettings, secret: TurnSecret) -> bool:
    """Read the secret of the TURN servers again. Credentials given out stay valid while they accept the old one."""
    if not settings.all_urls:
        return True
    try:
        value = read_turn_secret(settings)
    except StartError as error:
        _log.error("kept the old TURN secret: {error}", error=error)
        return False
    changed = value != secret.value
    secret.value = value
    if not changed and not settings.secret_file:
        return True
    _log.info("reloaded the TURN secret: {which}", which="changed" if changed else "unchanged")
    return True
