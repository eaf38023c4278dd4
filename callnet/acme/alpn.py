"""The answer to ``tls-alpn-01`` (RFC 8737): a handshake with a certificate of its own, and no connection after it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from OpenSSL import SSL

from callnet.acme.folder import AcmeFolder
from callnet.ops.certificates import Pair, context_with

PROTOCOL: Final = b"acme-tls/1"


class AlpnAnswers:
    """Takes those connections that ask to validate a name, while it is being validated.

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
