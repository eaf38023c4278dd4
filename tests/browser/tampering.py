"""A room socket that is not to be trusted: it leads the pages of a call to somebody in between, or changes their words.

The pages and the daemon are as ever. What a page says to the other one comes here first, as it would on a server that
somebody has taken over; such a server has nothing else to begin with.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from playwright.sync_api import Page, WebSocketRoute

from tests.browser.visitor import Visitor

DESCRIBES: Final = {"offer", "answer", "candidate"}

_ATTACK: Final = """async (takesPart) => {
    const { verificationOf } = await import("/static/demo/fingerprints.js");
    // Without a camera the candidates of a page are names that lead nowhere here.
    await navigator.mediaDevices.getUserMedia({ audio: true, video: true });

    // One connection with one of the pages, under the certificate of the attacker.
    class Leg {
        constructor(name, id, offers) {
            Object.assign(this, { name, id, offers, work: Promise.resolve(), waiting: [] });
            this.peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
            this.peer.onicecandidate = ({ candidate }) => {
                if (candidate) deliver(name, { kind: "candidate", connection: id, candidate: candidate.toJSON() });
            };
            this.peer.ontrack = ({ track, transceiver }) => {
                this.other.send(this.peer.getTransceivers().indexOf(transceiver), track);
            };
            this.channel = this.peer.createDataChannel("notes", { negotiated: true, id: 0 });
            this.channel.onopen = () => {
                this.waiting.forEach((text) => this.channel.send(text));
                this.run?.begin();
            };
            this.channel.onmessage = ({ data }) => {
                if (!this.run?.hear(JSON.parse(data))) this.other.pass(data);
            };
            const say = (note) => this.channel.send(JSON.stringify(note));
            const settled = () => this.work;
            this.run = takesPart ? verificationOf(this.peer, { settled, offers, say, changed() {} }) : null;
        }

        // What the other side sends, on the same line.
        send(index, track) {
            this.enqueue(async () => {
                await this.peer.getTransceivers()[index].sender.replaceTrack(track);
            });
        }

        pass(text) {
            if (this.channel.readyState === "open") this.channel.send(text);
            else this.waiting.push(text);
        }

        offer(kinds) {
            this.enqueue(async () => {
                for (const kind of kinds) this.peer.addTransceiver(kind, { direction: "sendrecv" });
                await this.peer.setLocalDescription();
                this.describe("offer", 1);
            });
        }

        hear({ kind, round, sdp, candidate }) {
            this.enqueue(async () => {
                if (kind === "candidate") {
                    await this.peer.addIceCandidate(candidate);
                    return;
                }
                await this.peer.setRemoteDescription({ type: kind, sdp });
                if (kind === "answer") return;
                for (const transceiver of this.peer.getTransceivers()) transceiver.direction = "sendrecv";
                await this.peer.setLocalDescription();
                this.describe("answer", round);
            });
        }

        describe(kind, round) {
            const { sdp } = this.peer.localDescription;
            deliver(this.name, { kind, connection: this.id, round, sdp });
        }

        enqueue(step) {
            this.work = this.work.then(step);
        }
    }

    const legs = {};
    window.hear = (from, to, data) => {
        if (data.kind === "offer" && legs[from]?.id !== data.connection) {
            const [towardsOfferer, towardsAnswerer] = [
                new Leg(from, data.connection, false), new Leg(to, data.connection, true)];
            [towardsOfferer.other, towardsAnswerer.other] = [towardsAnswerer, towardsOfferer];
            Object.assign(legs, { [from]: towardsOfferer, [to]: towardsAnswerer });
            towardsAnswerer.offer(Array.from(data.sdp.matchAll(/^m=(audio|video)/gm), ([, kind]) => kind));
        }
        if (legs[from]?.id === data.connection) legs[from].hear(data); // else it is of an earlier connection
    };
}"""


class Tampering:
    """Stands between the pages of two visitors and the daemon.

    :param change: what becomes of something that one page says to the other; ``None``: it is not passed on.
    """

    def __init__(self, change: Callable[[str, Any], Any]) -> None:
        self._change = change
        self._sockets: Final[dict[str, WebSocketRoute]] = {}
        self.sessions: Final[dict[str, str]] = {}
        """The sessions of the pages: the one with the greater session offers (docs/room.md)."""

    def stand_before(self, name: str, visitor: Visitor) -> None:
        """Take over the room socket of a visitor who is about to come."""
        visitor.page.route_web_socket("**/room", partial(self._opened, name))

    def deliver(self, name: str, data: Any) -> None:
        """Say something to a page, as if the other one had said it."""
        (other,) = (session for one, session in self.sessions.items() if one != name)
        self._sockets[name].send(json.dumps({"type": "relay", "from": other, "data": data}))

    def _opened(self, name: str, socket: WebSocketRoute) -> None:
        self._sockets[name] = socket
        server = socket.connect_to_server()

        def pass_on(text: str | bytes) -> None:
            frame = json.loads(text)
            if frame["type"] == "join":
                self.sessions[name] = frame["session"]
            elif frame["type"] == "relay":
                frame["data"] = self._change(name, frame["data"])
            if frame.get("data", "") is not None:
                server.send(json.dumps(frame))

        socket.on_message(pass_on)


class Attacker:
    """Somebody who is connected to both pages, each of which takes it for the other one.

    :param page: where the attack is played: a page of the site without a room, in a browser that has a camera.
    :param takes_part: whether the attacker compares with both sides, or passes on what they say.
    """

    def __init__(self, page: Page, *, takes_part: bool) -> None:
        self._page = page
        self.tampering: Final = Tampering(self._hear)
        page.expose_function("deliver", self.tampering.deliver)
        page.evaluate(_ATTACK, takes_part)

    def _hear(self, name: str, data: Any) -> Any:
        if data["kind"] not in DESCRIBES:
            return data
        other = "blue" if name == "red" else "red"
        self._page.evaluate("([from, to, data]) => window.hear(from, to, data)", [name, other, data])
        return None
