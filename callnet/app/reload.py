"""Files that are read at start and again at SIGHUP. Invalid ones leave the old values in force.

The settings are one of them, of which some take effect while callnet runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from msgspec import Struct

from callnet.accounts.signing_keys import load_keys
from callnet.accounts.tokens import Tokens
from callnet.acme.renewal import AcmeFolder
from callnet.config.schema import AdminSettings, Settings, TokenSettings, TurnSettings
from callnet.errors import StartError
from callnet.ops import certificates
from callnet.ops.admin_api import AdminKey, load_admin_key
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
        found["settings"] = _unless_invalid("settings", partial(_renew_settings, live, read))
    found["certificate"] = _unless_invalid("certificate", partial(renew_certificate, settings, tls))
    if not settings.tokens.signing_key:
        found["keys"] = _unless_invalid("signing keys", partial(_renew_keys, settings.tokens, tokens))
    found["turn"] = _unless_invalid("TURN secret", partial(_renew_turn_secret, settings.turn, turn_secret))
    found["admin key"] = _unless_invalid("operator's key", partial(_renew_admin_key, settings.admin, admin_key))
    return found


def _unless_invalid(what: str, renew: Callable[[], None]) -> Callable[[], bool]:
    """A function that rereads something, and returns whether it was valid. If not, the old one stays."""

    def renewed() -> bool:
        try:
            renew()
        except StartError as error:
            _log.error("kept the old {what}: {error}", what=what, error=error)
            return False
        return True

    return renewed


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


def _renew_settings(live: LiveSettings, read: Callable[[], Settings]) -> None:
    """Let hold what may be changed now."""
    new = read()
    if live.settings.turn != new.turn:
        read_turn_secret(new.turn)
    changes = live.take_over(new)
    made, left = ", ".join(changes.made), ", ".join(changes.left)
    _log.info("reloaded the settings; changed: {made}", made=made or "nothing")
    if left:
        _log.warn("restart required for changed settings: {left}", left=left)


def renew_certificate(settings: Settings, tls: ServerTls) -> None:
    """Read the certificate again, for new connections.

    :raises StartError: it cannot be read; nor may the certificate of an authority be lost for a self-signed one.
    """
    folder = acme_folder(settings)
    if settings.tls.acme.names and not tls.is_self_signed and folder.pair() is None:
        raise StartError(f"tls.acme: there is no usable one in {folder.certificate}")
    tls.renew(certificate(settings))
    _log.info("reloaded the certificate")


def _renew_keys(settings: TokenSettings, tokens: Tokens) -> None:
    """Read the signing keys again. If one of the files is invalid, all keys stay as they were."""
    ring = load_keys(settings.signing_key_file)
    tokens.use(ring)
    kid = ring.signing(tokens.now()).kid
    _log.info("reloaded the signing keys: {count} in use, {kid} signs", count=len(ring.keys), kid=kid)


def _renew_admin_key(settings: AdminSettings, key: AdminKey) -> None:
    key.value = load_admin_key(settings.key_file)


def _renew_turn_secret(settings: TurnSettings, secret: TurnSecret) -> None:
    """Read the secret of the TURN servers again. Credentials given out stay valid while they accept the old one."""
    if not settings.all_urls:
        return
    before, secret.value = secret.value, read_turn_secret(settings)
    changed = before != secret.value
    if changed or settings.secret_file:
        _log.info("reloaded the TURN secret: {which}", which="changed" if changed else "unchanged")


LIVE: Final = ("drain_deadline", "limits", "calls", "turn", "signaling")
"""Settings, and sections of them, that take effect at a reload. The others need a restart,
and so does ``turn`` together with another port of the site for it."""


class LiveSettings:
    """The settings in force, in which what is live may change.

    :param changed: called after that, for what was made of them.
    """

    def __init__(self, settings: Settings, changed: Sequence[Callable[[], None]] = ()) -> None:
        self.settings: Final = settings
        self._changed = changed

    def take_over(self, new: Settings) -> Changes:
        """Have those of ``new`` that may be changed now hold from now on."""
        settings = self.settings
        differing = list(differences(settings, new))
        for name in LIVE:
            if name != "turn" or _handovers(settings) == _handovers(new):
                _overwrite(settings, new, name)
        left = set(differences(settings, new))
        for changed in self._changed:
            changed()
        return Changes([path for path in differing if path not in left], [path for path in differing if path in left])


class Changes(Struct, frozen=True):
    """The changes in settings that were reread, by key path. Values are never shown: they may be secrets."""

    made: Sequence[str]
    left: Sequence[str]
    """Settings that need a restart and keep their old values."""


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """The key paths by which two settings, or sections of them, differ."""
    if isinstance(old, Struct):
        for name in old.__struct_fields__:
            yield from differences(getattr(old, name), getattr(new, name), f"{path}.{name}".lstrip("."))
    elif old != new:
        yield path


def _handovers(settings: Settings) -> Sequence[Any]:
    """The listeners' part of TURN on the port of the site, which clients are told of; listeners need a restart."""
    return settings.one_port, *(listener.turn for listener in settings.listeners.site)


def _overwrite(settings: Any, new: Any, name: str) -> None:
    """Give one of the settings, or each in a section, its new value: the section itself is held by many."""
    section, value = getattr(settings, name), getattr(new, name)
    if not isinstance(section, Struct):
        setattr(settings, name, value)
        return
    for field in section.__struct_fields__:
        setattr(section, field, getattr(value, field))
