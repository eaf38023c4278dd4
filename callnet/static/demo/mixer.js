/**
 * Several sounds in one track.
 */

export class Mixer {
  #context = null;

  /** The track with the sound of all of these; null among them is none. It ends with the next mix. */
  mix(tracks) {
    this.close();
    this.#context = new AudioContext();
    const out = this.#context.createMediaStreamDestination();
    for (const track of tracks.filter((one) => one !== null)) {
      this.#context.createMediaStreamSource(new MediaStream([track])).connect(out);
    }
    return out.stream.getAudioTracks()[0];
  }

  close() {
    this.#context?.close();
    this.#context = null;
  }
}
