"""The WebSocket edge: devices' sockets, translated to and from sessions."""
