"""What all WebSockets of callnet have in common, those of devices and those of pages."""

from callnet.websocket.factory import ServerSocketFactory
from callnet.websocket.handshake import Opening
from callnet.websocket.socket import Refused, ServerSocket

__all__ = ["Opening", "Refused", "ServerSocket", "ServerSocketFactory"]
