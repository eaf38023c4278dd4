"""The client's side of RFC 6455, as little as a load generator needs: whole text frames, close, ping."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Final

from callnet.model import DeviceAddress

TEXT: Final = 1
CLOSE: Final = 8
PING: Final = 9
PONG: Final = 10

_MASK: Final = b"\x5a\x17\xc3\x9e"
_LONG_MASK: Final = _MASK * 256


class WireError(Exception):
    """The server sent what a server may not send, or this generator cannot read."""


def client_frame(payload: bytes, opcode: int = TEXT) -> bytes:
    """A whole masked frame. The mask is always the same one: nobody is in between here.

    :param payload: up to 1024 bytes.
    """
    length = len(payload)
    header = (
        bytes((0x80 | opcode, 0x80 | length)) if length < 126 else bytes((0x80 | opcode, 0xFE, *divmod(length, 256)))
    )
    masked = int.from_bytes(payload, "big") ^ int.from_bytes(_LONG_MASK[:length], "big")
    return header + _MASK + masked.to_bytes(length, "big")


class FrameReader:
    """Cuts what comes from a server into frames."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[tuple[int, bytes]]:
        """Yield opcode and payload of every frame that is now whole.

        :raises WireError: a frame is masked or fragmented.
        """
        data = self._rest + data if self._rest else data
        start, size = 0, len(data)
        while size - start >= 2:
            length, body = data[start + 1], start + 2
            if length > 127 or not data[start] & 0x80:
                raise WireError("a masked or fragmented frame")
            if length > 125:
                body += 2 if length == 126 else 8
                length = int.from_bytes(data[start + 2 : body], "big")
            if size < body + length:
                break
            yield data[start] & 0x0F, data[body : body + length]
            start = body + length
        self._rest = data[start:]


def upgrade_request(target: str, port: int, origin: bool = False, protocol: str = "") -> bytes:
    """The handshake of a device; with ``origin`` that of a page that this server has served.

    :param protocol: the subprotocol that it offers, if any.
    """
    host = f"127.0.0.1:{port}"
    more = f"Origin: http://{host}\r\n" if origin else ""
    more += f"Sec-WebSocket-Protocol: {protocol}\r\n" if protocol else ""
    return (
        f"GET {target} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n{more}"
        "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    ).encode("ascii")


def sign_token(address: DeviceAddress, key: bytes, expires: int) -> str:
    """A token as the login service would issue it (HS256), so that no login is needed."""
    claims: dict[str, object] = {"phone": address.phone, "deviceid": address.device_id, "exp": expires}
    signed = f"{_base64({'alg': 'HS256', 'typ': 'JWT'})}.{_base64(claims)}"
    signature = hmac.digest(key, signed.encode("ascii"), hashlib.sha256)
    return f"{signed}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode('ascii')}"


def _base64(value: dict[str, object]) -> str:
    text = json.dumps(value, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode("ascii")
