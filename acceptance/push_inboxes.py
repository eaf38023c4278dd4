"""Push services with the messages of those who have subscribed there: the project's own, and Debian's ntfy."""

from __future__ import annotations

import base64
import json
import os
import secrets
import shutil
import ssl
import subprocess
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from queue import Empty, Queue
from typing import Any, Final, Self
from urllib.request import urlopen

from msgspec import Struct
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from acceptance.tls import Files
from harness import ROOT
from harness.daemon import wait_for
from harness.ports import free_port
from harness.wire import HOST, PATIENCE
from tests.support.push_browser import Browser


class Pushed(Struct, frozen=True):
    """A message that was decrypted."""

    at: float
    """Seconds on the monotonic clock."""
    message: Mapping[str, Any]
    claims: Mapping[str, Any] | None = None
    """Those of the sender (RFC 8292); ``None``: the push service does not pass them on."""


class Inboxes:
    """The messages for each subscription, in order."""

    def __init__(self) -> None:
        self._queues: Final[defaultdict[str, Queue[Pushed]]] = defaultdict(Queue)

    def put(self, place: str, pushed: Pushed) -> None:
        """Add a message."""
        self._queues[place].put(pushed)

    def take(self, place: str) -> Pushed:
        """Wait for the next message.

        :raises TimeoutError: there is none.
        """
        try:
            return self._queues[place].get(timeout=PATIENCE)
        except Empty:
            raise TimeoutError("nothing was pushed") from None

    def rest(self) -> int:
        """The number of messages that nobody has taken."""
        return sum(queue.qsize() for queue in self._queues.values())


class PushService(Inboxes):
    """The project's own, as a process (:mod:`acceptance.push_service`).

    :param files: the certificate for its name.
    """

    def __init__(self, files: Files) -> None:
        super().__init__()
        self._trusted = ssl.create_default_context(cafile=files.authority)
        command = [sys.executable, "-m", "acceptance.push_service", str(files.certificate), str(files.key)]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        lines = iter(self._process.stdout or ())
        ports = json.loads(next(lines))
        self._reader = threading.Thread(target=self._read, args=(lines,), daemon=True)
        self.host: Final = f"localhost:{ports['port']}"
        self.sockets: Final = f"ws://{HOST}:{ports['sockets']}/"
        """Where a Firefox subscribes."""
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._reader.join()

    def _read(self, lines: Iterator[str]) -> None:
        for line in lines:
            said = json.loads(line)
            self.put(said["place"], Pushed(said["at"], said["message"], said["claims"]))

    def subscribe(self) -> tuple[str, dict[str, Any]]:
        """A new subscription: the name of its messages, and the value of ``PushSubscription.toJSON``."""
        with urlopen(f"https://{self.host}/subscribe", context=self._trusted) as answer:
            subscription: dict[str, Any] = json.load(answer)
        return subscription["endpoint"].rpartition("/")[2], subscription


class Ntfy(Inboxes):
    """Debian's ntfy, as a push server of UnifiedPush, and apps that listen to it.

    :param folder: for its settings and its log.
    :param files: the certificate for its name.
    :param apps: how many there are.
    """

    def __init__(self, folder: Path, files: Files, apps: int) -> None:
        super().__init__()
        port = free_port()
        self.host: Final = f"localhost:{port}"
        settings = folder / "ntfy.yml"
        settings.write_text(
            f'base-url: "https://{self.host}"\nlisten-http: "-"\nlisten-https: "{HOST}:{port}"\n'
            f'cert-file: "{files.certificate}"\nkey-file: "{files.key}"\nweb-root: disable\nlog-level: warn\n'
            f'visitor-request-limit-exempt-hosts: "{HOST}"\n'
        )
        program = shutil.which("ntfy") or "/usr/bin/ntfy"
        self._log = folder / "ntfy.log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "serve", "--config", settings], stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        self._apps = {f"up{secrets.token_hex(6)}": Browser() for _ in range(apps)}
        self._trusted = ssl.create_default_context(cafile=files.authority)
        self._listeners: list[ClientConnection] = []
        self._threads: list[threading.Thread] = []

    def __enter__(self) -> Self:
        """Wait until it serves, and listen."""
        try:
            wait_for(self._listens, PATIENCE, "ntfy")
        except TimeoutError as late:
            self.__exit__()
            raise TimeoutError(f"{late}: {self._logged()}") from late
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        for listener in self._listeners:
            listener.close()
        self._process.terminate()
        self._process.wait()
        for thread in self._threads:
            thread.join()

    def _listens(self) -> bool:
        topics = ",".join(self._apps)
        try:
            # The library waits for ever if it gave up a handshake over TLS, so there is none before ntfy serves.
            urlopen(f"https://{self.host}/v1/health", timeout=PATIENCE, context=self._trusted).close()
            listener = connect(f"wss://{self.host}/{topics}/ws", ssl=self._trusted, proxy=None)
        except OSError:
            if self._process.poll() is not None:
                raise ChildProcessError(self._logged()) from None
            return False
        self._listeners.append(listener)
        self._threads.append(threading.Thread(target=self._listen, args=(listener,), daemon=True))
        self._threads[-1].start()
        return True

    def _logged(self) -> str:
        return self._log.read_text(errors="replace")[-1000:]

    def _listen(self, listener: ClientConnection) -> None:
        try:
            for text in listener:
                event = json.loads(text)
                if event["event"] != "message":
                    continue
                body = base64.b64decode(event["message"])
                message = json.loads(self._apps[event["topic"]].read(body))
                self.put(event["topic"], Pushed(time.monotonic(), message))
        except ConnectionClosed:
            pass

    def subscriptions(self) -> Sequence[tuple[str, dict[str, Any]]]:
        """The subscription of each app: the name of its messages, and its endpoint and keys."""
        return [(topic, app.subscription(f"https://{self.host}/{topic}?up=1")) for topic, app in self._apps.items()]


def settings(hosts: Sequence[str]) -> str:
    """The settings of a daemon that sends to push services on this machine, in TOML."""
    return (
        f'push = {{ allowed_hosts = {json.dumps(list(hosts))}, allowed_networks = ["127.0.0.0/8", "::1"], '
        'subject = "mailto:ops@example.org" }\n'
    )


def environment(files: Files) -> Mapping[str, str]:
    """The variables of a daemon that trusts them."""
    return {"SSL_CERT_FILE": os.fspath(files.authority)}
