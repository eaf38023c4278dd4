"""Takes callnet's events of calls (docs/webhooks.md), and keeps a list of missed ones.

Whatever comes must be signed by callnet, and of these minutes; what comes twice counts once. Its settings come by the
environment:

    WEBHOOK_SECRET_FILE   the file with the secret, which callnet's settings have as webhooks.secret
    WEBHOOK_DATABASE      the file for missed calls, in SQLite; it is made if it is missing
    WEBHOOK_PORT          where it listens on this machine (8090); before it, for callnet elsewhere, a server with TLS
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import sqlite3
import sys
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

LARGEST = 65536
"""Bytes of a request."""
OLDEST = 300
"""Seconds for which a signature is good: both machines' clocks should be set by NTP."""
REMEMBERED = 3 * 86400
"""Seconds for which events are known again: callnet sends one for a day, or when it is told to send it once more."""

TABLES = """
CREATE TABLE IF NOT EXISTS seen (id TEXT PRIMARY KEY, at REAL NOT NULL);
CREATE TABLE IF NOT EXISTS missed (at TEXT NOT NULL, phone TEXT NOT NULL, caller TEXT NOT NULL, rang INTEGER NOT NULL);
"""


def is_from_callnet(secret: bytes, signature: str, body: bytes) -> bool:
    """Tell whether callnet has signed this, within the last minutes."""
    sent_at, _, signed = signature.partition(",v1=")
    sent_at = sent_at.removeprefix("t=")
    expected = hmac.new(secret, f"{sent_at}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(signed.encode(), expected.encode()) and abs(time.time() - int(sent_at)) < OLDEST


class Calls:
    """The missed calls, and the events that were taken."""

    def __init__(self, path: str) -> None:
        self._path = path
        with closing(self._open()) as database:
            database.executescript(TABLES)

    def take(self, event: dict[str, Any]) -> None:
        """Take an event, unless it was taken before. Its effects are recorded in the same step.

        :raises sqlite3.Error: it was not taken.
        """
        with closing(self._open()) as database, database:
            database.execute("DELETE FROM seen WHERE at < ?", (time.time() - REMEMBERED,))
            new = database.execute("INSERT OR IGNORE INTO seen VALUES (?, ?)", (event["id"], time.time()))
            is_news = new.rowcount and event["event"] == "call_missed"
            if is_news:
                at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event["started_at"]))
                row = (at, event["called"]["phone"], event["caller"]["phone"], event["rang"])
                database.execute("INSERT INTO missed VALUES (?, ?, ?, ?)", row)
        if is_news:
            print(f"missed: {row[1][:3]}****{row[1][-4:]} by {row[2][:3]}****{row[2][-4:]}", flush=True)

    def _open(self) -> sqlite3.Connection:
        return sqlite3.connect(self._path, timeout=5)  # callnet waits for ten seconds


class Server(ThreadingHTTPServer):
    """Listens for callnet."""

    def __init__(self, port: int, secret: bytes, calls: Calls) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.secret = secret
        self.calls = calls


class Handler(BaseHTTPRequestHandler):
    """One connection of callnet's."""

    server: Server
    timeout = 10  # seconds of silence

    def do_POST(self) -> None:
        """Take an event. 503 has callnet send it again, other errors have it give up."""
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > LARGEST:
            return self._answer(413)
        body = self.rfile.read(int(length))
        if not self._is_good(body):
            return self._answer(401)
        try:
            self.server.calls.take(json.loads(body))
        except sqlite3.Error as error:
            print(f"an event was not taken: {error}", file=sys.stderr, flush=True)
            return self._answer(503)
        return self._answer(204)

    def _is_good(self, body: bytes) -> bool:
        try:
            return is_from_callnet(self.server.secret, self.headers.get("Callnet-Signature", ""), body)
        except ValueError:  # it is no signature at all
            return False

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:  # noqa: ARG002
        """Log refusals, without the URL: that may hold a secret."""
        if str(code) != "204":
            print(f"answered {int(code)} to {self.client_address[0]}", file=sys.stderr, flush=True)


def main() -> None:
    """Run until it is stopped."""
    os.umask(0o077)
    try:
        secret = Path(os.environ["WEBHOOK_SECRET_FILE"]).read_bytes().strip()
        server = Server(int(os.environ.get("WEBHOOK_PORT", "8090")), secret, Calls(os.environ["WEBHOOK_DATABASE"]))
    except (KeyError, OSError, ValueError, sqlite3.Error) as error:
        sys.exit(f"cannot start: {type(error).__name__}: {error}")
    if len(secret) < 32:
        sys.exit("cannot start: the secret has less than 32 characters")
    print(f"ready for http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
