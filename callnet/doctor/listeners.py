"""The listeners of the daemon and their certificate."""

from __future__ import annotations

import errno
import socket
import stat
from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from cryptography import x509

from callnet.acme.renewal import AcmeFolder
from callnet.config import endpoints
from callnet.config.schema import Settings
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.doctor.network import UNKNOWN, owner_of
from callnet.errors import StartError
from callnet.ops.certificates import Pair, ServerTls, configured, expiry, near_expiry
from callnet.util.net import any_address, bracketed

_PRIVILEGED: Final = 1024
UNITS: Final = tuple(map(Path, ("/etc/systemd/system", "/run/systemd/system", "/usr/lib/systemd/system")))
"""The folders of systemd.unit(5)."""
_CERTIFICATE: Final = "certificate"


def examine(settings: Settings, runs: bool, now: datetime, units: Sequence[Path] = UNITS) -> Iterator[Finding]:
    """Look at the listeners.

    :param runs: whether the daemon runs, and so has them open.
    :param now: with a time zone.
    :param units: the folders with the units of systemd.
    """
    for key, listener in settings.keyed_listeners():
        address = endpoints.address(listener.endpoint)
        if address is None or address[1] == 0:
            yield _unseen(key, listener.endpoint, units)
        else:
            host, port = address
            yield _port(key, any_address() if host == "::" else host, port, runs)
    if any(listener.tls for _, listener in settings.listeners.keyed()):
        yield from _certificate(settings, now)


def _unseen(key: str, endpoint: str, units: Sequence[Path]) -> Finding:
    name = endpoints.socket_name(endpoint)
    if name is None:
        return good(key, f"{endpoint} (checked at start only)")
    for unit in (unit for folder in units for unit in folder.glob("*.socket")):
        if f"FileDescriptorName={name}" in unit.read_text("utf-8", "replace").split():
            return good(key, f"{endpoint}, passed by {unit.name}")
    return bad(
        key,
        f"no socket of systemd has the name {name}",
        f"set FileDescriptorName={name} in its unit, or correct the endpoint; then: systemctl daemon-reload",
    )


def _port(key: str, host: str, port: int, runs: bool) -> Finding:
    place = f"{bracketed(host)}:{port}"
    try:
        with closing(socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)) as trial:
            trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            trial.bind((host, port))
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return _used(key, place, port, owner_of("tcp", port, Path("/proc")) or UNKNOWN, runs)
        if error.errno == errno.EACCES and port < _PRIVILEGED:
            return _privileged(key, place, port, runs)
        return bad(key, f"cannot listen on {place}: {error.strerror}")
    return _unused(key, place) if runs else good(key, f"{place} is free")


def _privileged(key: str, place: str, port: int, runs: bool) -> Finding:
    """Look at a port for which the service has a capability that this process lacks."""
    owner = owner_of("tcp", port, Path("/proc"))
    if owner is not None:
        return _used(key, place, port, owner, runs)
    if runs:
        return _unused(key, place)
    return doubt(
        key,
        f"{place} is free; this user may not listen there",
        "see that the unit has AmbientCapabilities=CAP_NET_BIND_SERVICE, or use a port above 1023",
    )


def _used(key: str, place: str, port: int, owner: str, runs: bool) -> Finding:
    if runs:
        return good(key, f"{place} is in use by the running callnet")
    return bad(key, f"{place} is in use by {owner}", f"stop it; ss -ltnp 'sport = :{port}' shows it")


def _unused(key: str, place: str) -> Finding:
    return bad(
        key, f"nothing listens on {place} although callnet is running", "restart callnet: it runs with other settings"
    )


def _certificate(settings: Settings, now: datetime) -> Iterator[Finding]:
    acme = settings.tls.acme
    if acme.names:
        folder = AcmeFolder(settings.state_dir, acme.directory)
        ordered = folder.pair()
        if folder.failure:
            report = bad if ordered is None else doubt
            yield report(_CERTIFICATE, folder.failure, "callnet tries again; at once at: systemctl reload callnet")
        elif ordered is None:
            yield doubt(_CERTIFICATE, "self-signed until callnet has got one", "start callnet, or wait a minute")
        if ordered is not None:
            yield from _pair(ordered, now, "wait for callnet to renew it")
    elif settings.tls.certificate:
        yield from _key(Path(settings.tls.private_key))
        try:
            pair = configured(settings.tls)
            ServerTls(pair)
        except StartError as error:
            remedy = "copy the certificate and its key together, as the authority gave them"
            yield bad(_CERTIFICATE, str(error), remedy)
        else:
            yield from _pair(pair, now, "renew it, for example with: certbot renew")
    else:
        yield doubt(
            _CERTIFICATE,
            "self-signed; browsers ask whether to trust it",
            "set tls.acme.names or tls.certificate (docs/tls.md)",
        )


def _pair(pair: Pair, now: datetime, remedy: str) -> Iterator[Finding]:
    """Look at a certificate.

    :param remedy: against its end.
    """
    about, leaf, expires = _CERTIFICATE, pair.chain[0], expiry(pair)
    text = f"for {', '.join(names_of(leaf)) or 'no name'}, until {expires:%Y-%m-%d}"
    if expires <= now:
        yield bad(about, f"{text}: expired", remedy)
    elif leaf.not_valid_before_utc > now:
        yield bad(about, f"not valid before {leaf.not_valid_before_utc:%Y-%m-%d}", "check the clock of this machine")
    elif now >= near_expiry(pair):
        yield doubt(about, text, remedy)
    else:
        yield good(about, text)
    if _lacks_intermediate(pair):
        yield doubt(
            about,
            "the intermediate certificate is missing",
            "append it, as in certbot's fullchain.pem",
        )


def _key(path: Path) -> Iterator[Finding]:
    with suppress(OSError):
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & stat.S_IROTH:
            yield bad(
                "certificate", f"every user of this machine can read its key (mode {mode:04o})", f"chmod o-r {path}"
            )


def names_of(certificate: x509.Certificate) -> list[str]:
    """The names in a certificate."""
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [*found.get_values_for_type(x509.DNSName), *map(str, found.get_values_for_type(x509.IPAddress))]


def _lacks_intermediate(pair: Pair) -> bool:
    leaf = pair.chain[0]
    return len(pair.chain) == 1 and leaf.issuer != leaf.subject
