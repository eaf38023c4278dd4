/**
 * Fake wires for the client: sockets that a test opens, speaks on and loses itself, and a clock that it moves.
 */

import { mock } from "node:test";

/** Sockets as the client makes them, the newest last. A test begins with none. */
export class FakeSocket {
  static all = [];
  readyState = 0;
  protocol = "";
  sent = [];
  isClosed = false;
  closeCode = undefined;

  static get last() {
    return FakeSocket.all[FakeSocket.all.length - 1];
  }

  constructor(url, protocols) {
    Object.assign(this, { url: new URL(url), protocols });
    FakeSocket.all.push(this);
  }

  send(text) {
    this.sent.push(JSON.parse(text));
  }

  close(code) {
    this.isClosed = true;
    this.closeCode = code;
    this.readyState = 2;
  }

  open(protocol = "") {
    this.readyState = 1;
    this.protocol = protocol;
    this.onopen({});
  }

  hear(frame) {
    this.onmessage({ data: JSON.stringify(frame) });
  }

  lose(code) {
    this.readyState = 3;
    this.onclose({ code });
  }

  /** Fail as a browser does. */
  fail() {
    this.onerror({});
    this.lose(1006);
  }

  /** What was sent, without the questions whether the server lives. */
  get said() {
    return this.sent.filter(({ type }) => type !== "ping");
  }
}

/** Begin a test, or a part of one, with no sockets, and a clock that only `pass` moves. Random delays are as is meant. */
export function begin(test) {
  const end = () => {
    mock.timers.reset();
    mock.restoreAll();
  };
  end();
  test.after(end);
  FakeSocket.all = [];
  let now = 1_000_000;
  mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  mock.method(performance, "now", () => now);
  mock.method(Date, "now", () => now);
  mock.method(Math, "random", () => 0.5);
  return {
    /** Let milliseconds pass, in steps in which a socket may be answered: `each` is called after every one. */
    pass(milliseconds, each = () => {}) {
      for (let left = milliseconds; left > 0; left -= 100) {
        now += Math.min(100, left);
        mock.timers.tick(Math.min(100, left));
        each();
      }
    },
  };
}

/** Let promises do what they can do by now. */
export async function settled() {
  for (let turn = 0; turn < 50; turn += 1) await null;
}
