"""The WebSockets of devices and pages: limits, keep-alive, closing, and their sessions."""

from callnet.ws.factory import ServerSocketFactory
from callnet.ws.fast_paths import Opening
from callnet.ws.protocol import ServerSocket
from callnet.ws.refusals import Refused

__all__ = ["Opening", "Refused", "ServerSocket", "ServerSocketFactory"]
