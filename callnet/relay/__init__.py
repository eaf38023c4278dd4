"""The TURN server that callnet runs itself: coturn as a child process."""
