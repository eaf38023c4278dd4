"""The core of callnet: the states of a call and their transitions. No sockets, no storage."""
