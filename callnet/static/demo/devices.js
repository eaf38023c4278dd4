/**
 * The choice of camera, microphone and speaker: in the lobby, and in a drawer beside the call.
 */

import { elements, fill } from "./dom.js";
import { canSuppressNoise, suppressesNoise } from "../shared/media.js";

const KINDS = ["camera", "microphone", "speaker"];

export class Devices {
  #shown = {};
  #speaker;

  /**
   * @param {import("./own.js").Own} own
   * @param {import("./speaker.js").Speaker} speaker
   * @param {function(string, string): void} choose called with a kind and the id of a device
   */
  constructor(own, speaker, choose) {
    this.#speaker = speaker;
    elements["test-speaker"].addEventListener("click", () => speaker.test());
    elements.noise.checked = suppressesNoise();
    elements.noise.addEventListener("change", () => own.suppressNoise(elements.noise.checked));
    elements["noise-choice"].hidden = !canSuppressNoise;
    for (const kind of KINDS) {
      const select = elements[`${kind}-select`];
      select.addEventListener("change", () => choose(kind, select.value));
      // OK opens the choice where only arrows and OK are at hand.
      select.addEventListener("keydown", ({ key }) => {
        if (key === "Enter") select.showPicker?.();
      });
    }
  }

  show({ call, own }, words) {
    const place = elements[call === null ? "lobby-devices" : "drawer-devices"];
    if (elements.devices.parentElement !== place) place.append(elements.devices);
    elements.devices.hidden = own.state !== "open";
    const inUse = { ...own.inUse, speaker: this.#speaker.id || "default" };
    for (const kind of KINDS) this._offer(kind, own.devices[kind], inUse[kind] ?? "", words);
  }

  // An open choice must not be drawn anew under the person's hands.
  _offer(kind, devices, id, words) {
    const select = elements[`${kind}-select`];
    const offered = JSON.stringify([devices, id, words.lang]);
    if (this.#shown[kind] === offered) return;
    this.#shown[kind] = offered;
    const options = devices.map((device, index) => {
      const option = new Option(device.name || words.numbered({ kind: words[kind], number: index + 1 }), device.id);
      option.dir = "auto";
      return option;
    });
    const isKnown = devices.some((device) => device.id === id);
    if (!isKnown) options.unshift(new Option(kind === "speaker" ? words.usual : words.none, ""));
    fill(select, options);
    select.value = isKnown ? id : "";
    select.disabled = devices.length === 0;
    elements[`${kind}-choice`].hidden = kind === "speaker" && devices.length === 0;
  }
}
