// The name that the phone proposes for a device (callnet/static/phone/device_name.js).

import assert from "node:assert/strict";
import { test } from "node:test";

import { nameFrom } from "../../callnet/static/phone/device_name.js";

const GECKO = "(KHTML, like Gecko)";
const AGENTS = {
  "Windows, Chrome": `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 ${GECKO} Chrome/140.0.0.0 Safari/537.36`,
  "Windows, Edge": `Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 ${GECKO} Chrome/140.0.0.0 Safari/537.36 Edg/140.0.0.0`,
  "Linux, Firefox": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
  "Mac, Safari": `Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 ${GECKO} Version/18.0 Safari/605.1.15`,
  "iPhone, Safari": `Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 ${GECKO} Version/18.0 Mobile/15E148 Safari/604.1`,
  "iPhone, Chrome": `Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 ${GECKO} CriOS/140.0 Mobile/15E148 Safari/604.1`,
  "Android phone, Samsung Internet": `Mozilla/5.0 (Linux; Android 15; SM-S921B) AppleWebKit/537.36 ${GECKO} SamsungBrowser/28.0 Chrome/130.0.0.0 Mobile Safari/537.36`,
  "Android tablet, Chrome": `Mozilla/5.0 (Linux; Android 15; Tab) AppleWebKit/537.36 ${GECKO} Chrome/140.0.0.0 Safari/537.36`,
  "Television, Chrome": `Mozilla/5.0 (Web0S; Linux/SmartTV) AppleWebKit/537.36 ${GECKO} Chrome/94.0.4606.128 Safari/537.36 WebAppManager`,
  Browser: "something else",
};

test("the name has the kind of device and the browser", () => {
  for (const [name, agent] of Object.entries(AGENTS)) assert.equal(nameFrom(agent), name);
});
