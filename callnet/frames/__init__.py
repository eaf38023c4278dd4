"""The frames of callnet's WebSockets, and their decoding."""
