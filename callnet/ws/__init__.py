"""The WebSockets of devices and pages: limits, keep-alive, closing, and their sessions."""
