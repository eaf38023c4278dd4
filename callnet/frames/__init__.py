"""The frames of callnet's WebSockets, and how they are read."""
