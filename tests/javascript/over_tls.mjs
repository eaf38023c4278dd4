/**
 * Two devices at a site over TLS, by Node.js: they call, meet in the room, and one hangs up there.
 * `node over_tls.mjs PACKAGE SITE [WS]` prints what happened. PACKAGE is the client; WS the package `ws`, if it is to be used.
 */

const [name, site, ws] = process.argv.slice(2);
const { Account, Device, Room } = await import(name);
const Given = ws === undefined ? undefined : (await import(ws)).default;

/** A WebSocket that says the site's own Origin, which the server of a room wants to hear. */
const FromSite =
  Given === undefined
    ? class extends WebSocket {
        constructor(url, protocols) {
          super(url, { protocols, headers: { Origin: site } });
        }
      }
    : class extends Given {
        constructor(url, protocols) {
          super(url, protocols, { origin: site });
        }
      };

async function connected(phone, deviceId) {
  const device = new Device(new Account({ site, phone, deviceId }), { WebSocket: Given });
  device.connect();
  if ((await device.until("online")) !== "online") throw new Error(`${deviceId} is ${device.state}`);
  return device;
}

function room({ roomId }) {
  const seat = new Room({ site, roomId, WebSocket: FromSite });
  seat.join();
  return seat;
}

function heard(target, type, wanted) {
  return new Promise((resolve) => {
    target.addEventListener(type, ({ detail }) => {
      if (wanted(detail)) resolve(detail);
    });
  });
}

const television = await connected("13800000001", "tv");
const telephone = await connected("13800000002", "phone");
const ringing = heard(television, "call", ({ state }) => state === "ringing");
const outgoing = telephone.place("13800000001");
const incoming = await ringing;
incoming.accept();
console.log("answered", (await outgoing.until("active")) === "active" && outgoing.roomId === incoming.roomId);

const seats = [room(outgoing), room(incoming)];
const views = await Promise.all(seats.map((seat) => heard(seat, "room", ({ state }) => state === "meeting")));
console.log("met", views[0].peer.session === seats[1].session && views[1].peer.session === seats[0].session);

const relayed = heard(seats[1], "relay", () => true);
seats[0].relay(seats[1].session, { kind: "negotiate" });
console.log("relayed", JSON.stringify(await relayed) === JSON.stringify({ from: seats[0].session, data: { kind: "negotiate" } }));

seats[1].hangUp();
await Promise.all([outgoing.until("over"), incoming.until("over")]);
console.log("over", outgoing.reason, incoming.reason);

seats[0].close();
television.close();
telephone.close();
