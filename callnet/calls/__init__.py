"""The heart of callnet: what a call is and what may happen to it. No sockets, no storage."""
