/**
 * What the client in JavaScript makes of steps: a JSON list a line in, first whether a second call may ring, then the
 * steps; what it said and told a line out (tests/integration/test_clients_alike.py). Time passes only where a step says so.
 */

import readline from "node:readline";
import { mock } from "node:test";

import { Calls } from "../../clients/javascript/calls.js";

function play([canWait, ...steps]) {
  const said = [];
  const told = [];
  const made = [];
  const note = (call) => {
    if (!made.includes(call)) made.push(call);
    told.push(seen(call, made.indexOf(call)));
  };
  const calls = new Calls((frame) => said.push(frame) > 0, note, (work) => work(), canWait);
  for (const [step, ...given] of steps) {
    const call = made[made.length - 1];
    if (step === "wait") mock.timers.tick(given[0]);
    else if (step === "accept") call?.accept({ byItself: given[0], hold: given[1] });
    else if (["refuse", "hangUp", "signal"].includes(step)) call?.[step](...given);
    else if (step === "hangUpFirst") calls.present?.hangUp();
    else if (step === "noteEnd") call && calls.noteEnd(call);
    else if (step === "welcomed") calls.welcomed(given[0] ?? undefined, given[1] ?? undefined);
    else calls[step](...given);
  }
  calls.left();
  return { said, told };
}

function seen(call, number) {
  const { direction, state, peer, asked, roomId, page, name, autoAnswer, otherSide, reason, isOwnEnd, isForgotten } = call;
  const who = [peer.phone, peer.deviceId, asked];
  const about = [roomId, page, name, autoAnswer, call.isGuest, call.linkName, otherSide];
  return [number, direction, state, ...who, ...about, call.canHold, call.isOnHold, reason, isOwnEnd, isForgotten];
}

for await (const line of readline.createInterface({ input: process.stdin })) {
  mock.timers.enable({ apis: ["setTimeout"] });
  console.log(JSON.stringify(play(JSON.parse(line))));
  mock.timers.reset();
}
