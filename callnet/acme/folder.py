"""The files of ACME, in private folders of the state directory, which all processes share: one for each authority.

==========================  =====================================================================================
``account.key``             the key by which the authority knows callnet
``contact``                 the contact that the authority took last
``certificate.pem``         the private key, then the certificate and the intermediate ones: in one file they always fit
``http-01/TOKEN``           the answer to a challenge (RFC 8555 §8.3)
``tls-alpn-01/NAME``        the private key and the certificate that answer one (RFC 8737 §3)
``failure``                 the last failure, if the last order failed
``lock``                    held by the one process that orders
==========================  =====================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from OpenSSL import SSL

from callnet.ops import certificates
from callnet.ops.certificates import Pair, context_with
from callnet.util import files

_TOKEN: Final = re.compile(r"[A-Za-z0-9_-]{22,128}")
"""A token in base64url, of 128 bits at the least (RFC 8555 §8.1)."""
_UNFIT: Final = re.compile(r"[^A-Za-z0-9.-]+")
"""Characters of a URL that the name of a folder does not have."""
_NAME: Final = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_ANSWER_MAX: Final = 512
"""Bytes of an answer to ``http-01``: the token and the fingerprint of a key."""


class AcmeFolder:
    """The folder of one authority. It need not exist until something is written.

    :param directory: the URL of the authority's directory.
    """

    def __init__(self, state_dir: str, directory: str) -> None:
        name = _UNFIT.sub("_", directory.partition("://")[2].removesuffix("/directory"))
        self._path = Path(state_dir, "acme", name)
        self.account_key: Final = self._path / "account.key"
        self.certificate: Final = self._path / "certificate.pem"
        self.lock: Final = self._path / "lock"
        self._http01 = self._path / "http-01"
        self._alpn = self._path / "tls-alpn-01"
        self._contact = self._path / "contact"
        self._failure = self._path / "failure"

    def make(self) -> None:
        """Make the folder, for this user alone.

        :raises StartError: it cannot be made.
        """
        for path in (self._path, self._http01, self._alpn):
            files.make_private_directory(str(path), "state_dir")

    def pair(self) -> Pair | None:
        """The certificate, if there is a usable one."""
        return certificates.find(str(self.certificate), str(self.certificate))

    def write(self, path: Path, data: bytes) -> None:
        """Write a file of the folder, whole or not at all.

        :raises OSError: it cannot be written.
        """
        files.overwrite(str(path), data, files.PRIVATE)

    def answer_http01(self, token: str, answer: bytes) -> None:
        """Have a request for a token be answered.

        :raises ValueError: it is no token.
        :raises OSError: it cannot be written.
        """
        if not _TOKEN.fullmatch(token):
            raise ValueError("the authority sent an invalid token")
        self.write(self._http01 / token, answer)

    def answer_alpn(self, name: str, pair: Pair) -> None:
        """Have a handshake for a host name be answered with this certificate.

        :raises OSError: it cannot be written.
        """
        self.write(self._alpn / name, certificates.to_pem(pair))

    def http01(self, token: str) -> bytes | None:
        """The answer to ``http-01``.

        :param token: anything that a stranger may have sent.
        """
        if not _TOKEN.fullmatch(token):
            return None
        try:
            with (self._http01 / token).open("rb") as file:
                return file.read(_ANSWER_MAX)
        except OSError:
            return None

    def alpn(self, name: str) -> Pair | None:
        """The certificate that answers ``tls-alpn-01``.

        :param name: anything that a stranger may have sent.
        """
        if not _NAME.fullmatch(name):
            return None
        path = str(self._alpn / name)
        return certificates.find(path, path)

    def clear_answers(self) -> None:
        """Answer no challenge any more.

        :raises OSError: one cannot be removed.
        """
        for folder in (self._http01, self._alpn):
            for path in folder.iterdir():
                path.unlink()

    @property
    def contact(self) -> str | None:
        """The contact that the authority took last, or an empty text; ``None``: not known."""
        try:
            return self._contact.read_text(encoding="utf-8")
        except OSError:
            return None

    @contact.setter
    def contact(self, taken: str) -> None:
        self.write(self._contact, taken.encode())

    @property
    def failure(self) -> str:
        """The cause of the failure of the last order; empty: it did not fail."""
        try:
            return self._failure.read_text(encoding="utf-8")
        except OSError:
            return ""

    @failure.setter
    def failure(self, cause: str) -> None:
        with suppress(OSError):  # the log has it
            if cause:
                self.write(self._failure, cause.encode())
            else:
                self._failure.unlink(missing_ok=True)

    @property
    def failed_at(self) -> datetime:
        """The time of that failure; long ago: there was none."""
        try:
            return datetime.fromtimestamp(self._failure.stat().st_mtime, UTC)
        except OSError:
            return datetime.fromtimestamp(0, UTC)


ALPN_PROTOCOL: Final = b"acme-tls/1"


class AlpnAnswers:
    """The answer to ``tls-alpn-01`` (RFC 8737): takes those connections that ask to validate a name, while it is being
    validated. Each is shown a certificate of its own, and closed after the handshake.

    :param names: those that may be asked for.
    """

    def __init__(self, folder: AcmeFolder, names: Collection[str]) -> None:
        self._folder = folder
        self._names = {name.encode(): name for name in names}

    def __call__(self, connection: SSL.Connection) -> bool:
        """Give a connection the certificate that answers, if there is one.

        OpenSSL asks this before it chooses the certificate in TLS 1.3 alone, which authorities speak.
        """
        name = self._names.get((connection.get_servername() or b"").lower())
        answer = None if name is None else self._folder.alpn(name)
        if answer is None:
            return False
        connection.set_context(_context(answer))
        return True


def _context(answer: Pair) -> SSL.Context:
    context = context_with(answer)
    context.set_info_callback(_close_after_handshake)
    return context


def _close_after_handshake(connection: SSL.Connection, where: int, _: int) -> None:
    if where & SSL.SSL_CB_HANDSHAKE_DONE:
        connection.get_app_data().abortConnection()
