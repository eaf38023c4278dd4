"""What all WebSockets of callnet have in common, those of devices and those of pages."""

from callnet.websocket.factory import ServerSocketFactory
from callnet.websocket.socket import Refused, ServerSocket, header

__all__ = ["Refused", "ServerSocket", "ServerSocketFactory", "header"]
