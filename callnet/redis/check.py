"""A blocking check of Redis at startup, before the reactor runs."""

from __future__ import annotations

import socket
import ssl
import time
from contextlib import closing
from typing import Any, Final

import hiredis

from callnet.errors import CallnetError
from callnet.redis.reconnecting import pack
from callnet.redis.url import Address, Login, RedisTarget

CHECK_TIME: Final = 2.0
"""Seconds for the whole check; the resolution of a name may take longer."""

_MEANING: Final = {
    "WRONGPASS": "wrong user or password",
    "NOAUTH": "a password is required",
    "NOPERM": "this user may not run the required commands",
    "LOADING": "still loading its data",
}


class _Unusable(CallnetError):
    """The server is not Redis, or lacks a feature."""


_ERRORS: Final = (OSError, hiredis.ReplyError, _Unusable)


def reachable(target: RedisTarget) -> str | None:
    """Connect, log in, and check that the server is a master.

    :returns: one line with the reason why not, with the address and without a secret; ``None``: it is usable.
    """
    until = time.monotonic() + CHECK_TIME
    place = str(target)
    try:
        address = target.address
        if target.sentinels:
            address = _master(target, until)
            place = f"{address}, the master of {target.service}"
        with closing(_Conversation(target, address, until)) as redis:
            redis.log_in(target.login)
            if target.database:
                redis.ask("SELECT", str(target.database))
            if b"role:master" not in redis.ask("INFO", "replication"):
                return f"{place}: this is a replica; name the master"
    except _ERRORS as error:
        return f"{place}: {_cause(error)}"
    return None


def _master(target: RedisTarget, until: float) -> Address:
    """The address that the first Sentinel names that can be asked."""
    failure: Exception = _Unusable("no Sentinel given")
    share = (until - time.monotonic()) / 2 / len(target.sentinels)
    for sentinel in target.sentinels:
        try:
            with closing(_Conversation(target, sentinel, time.monotonic() + share)) as conversation:
                conversation.log_in(target.sentinel_login)
                found = conversation.ask("SENTINEL", "GET-MASTER-ADDR-BY-NAME", target.service)
        except _ERRORS as error:
            failure = error
        else:
            if found is not None:
                return Address(found[0].decode(), int(found[1]))
            failure = _Unusable("this Sentinel does not know the service")
    raise failure


class _Conversation:
    """A connection for one command at a time."""

    def __init__(self, target: RedisTarget, address: Address | None, until: float) -> None:
        self._until = until
        self._replies = hiredis.Reader()
        self._socket = self._connected(target, address)

    def close(self) -> None:
        """Close the connection."""
        self._socket.close()

    def log_in(self, login: Login) -> None:
        """Log in, if credentials are set."""
        if login.command:
            try:
                self.ask(*login.command)
            except hiredis.ReplyError as error:  # the rest of it may repeat the password
                raise hiredis.ReplyError(f"{_code(error)} at login") from None

    def ask(self, *words: str | bytes) -> Any:
        """Send a command and return the reply.

        :raises OSError: the connection failed, or there is no answer in time.
        :raises hiredis.ReplyError: the answer is an error.
        :raises _Unusable: the server is not Redis.
        """
        self._socket.settimeout(self._left())
        self._socket.sendall(pack(words))
        try:
            while (reply := self._replies.gets()) is False:
                self._socket.settimeout(self._left())
                self._replies.feed(self._socket.recv(65536) or _closed())
        except hiredis.ProtocolError:
            raise _Unusable("not a Redis server") from None
        if isinstance(reply, hiredis.ReplyError):
            raise reply
        return reply

    def _connected(self, target: RedisTarget, address: Address | None) -> socket.socket:
        if address is None:
            return _by_path(target.path, self._left())
        plain = socket.create_connection((address.host, address.port), self._left())
        if not target.tls:
            return plain
        context = ssl.create_default_context(cadata=target.authorities.decode("ascii") or None)
        return context.wrap_socket(plain, server_hostname=address.host)

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


def _by_path(path: str, limit: float) -> socket.socket:
    plain = socket.socket(socket.AF_UNIX)
    try:
        plain.settimeout(limit)
        plain.connect(path)
    except OSError:
        plain.close()
        raise
    return plain


def _closed() -> bytes:
    raise _Unusable("connection closed by the server")


def _code(error: hiredis.ReplyError) -> str:
    return str(error).partition(" ")[0]


def _cause(error: Exception) -> str:
    if isinstance(error, hiredis.ReplyError):
        return _MEANING.get(_code(error), f"error reply: {error}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"untrusted certificate: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS failed: {error.reason or 'connection lost'}"
    if isinstance(error, TimeoutError):
        return f"no answer in {CHECK_TIME:g} s"
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error)
