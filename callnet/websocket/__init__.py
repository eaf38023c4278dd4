"""The base of all WebSockets of callnet, of devices and of pages."""

from callnet.websocket.factory import ServerSocketFactory
from callnet.websocket.handshake import Opening
from callnet.websocket.refusals import Refused
from callnet.websocket.socket import ServerSocket

__all__ = ["Opening", "Refused", "ServerSocket", "ServerSocketFactory"]
