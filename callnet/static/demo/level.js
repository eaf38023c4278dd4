/**
 * How loud a microphone is, drawn while somebody looks at it.
 */

/** What is as loud as the bar is long: speech near a microphone. */
const FULL = 0.25;
const SAY_EVERY = 500;
/** Twenty times a second look as smooth as sixty, and take a third of the work. */
const DRAW_EVERY = 50;

export class Level {
  #meter;
  #bar;
  #context = null;
  #source = null;
  #track = null;
  #analyser = null;
  #samples = null;
  #saidAt = 0;

  /**
   * @param {HTMLElement} meter what says it; hidden while nothing can be measured
   * @param {HTMLElement} bar what is drawn, as wide as it is loud
   */
  constructor(meter, bar) {
    this.#meter = meter;
    this.#bar = bar;
    // Browsers measure nothing before the person has done something on the page. A context that is closed meanwhile
    // does not resume any more.
    const resume = () => this.#context?.resume().catch(() => {});
    for (const kind of ["pointerup", "keydown"]) document.addEventListener(kind, resume);
  }

  /** Measure a track of a microphone from now on; null: nothing. */
  follow(track) {
    if (track === this.#track) return;
    this.#track = track;
    this.#source?.disconnect();
    this.#source = null;
    this.#meter.hidden = true;
    if (track === null) {
      this.#context?.close();
      this.#context = null;
      return;
    }
    if (this.#context === null) this._prepare();
    this.#source = this.#context.createMediaStreamSource(new MediaStream([track]));
    this.#source.connect(this.#analyser);
    this._draw(track);
  }

  _prepare() {
    this.#context = new AudioContext();
    this.#analyser = this.#context.createAnalyser();
    this.#analyser.fftSize = 1024;
    this.#samples = new Float32Array(this.#analyser.fftSize);
  }

  _draw(track) {
    if (track !== this.#track) return;
    this.#meter.hidden = this.#context.state !== "running";
    this.#analyser.getFloatTimeDomainData(this.#samples);
    const power = this.#samples.reduce((sum, sample) => sum + sample * sample, 0) / this.#samples.length;
    const level = Math.min(1, Math.sqrt(power) / FULL);
    this.#bar.style.transform = `scaleX(${level.toFixed(3)})`;
    this._say(level);
    // A page that nobody sees has no next picture.
    setTimeout(() => requestAnimationFrame(() => this._draw(track)), DRAW_EVERY);
  }

  // Who reads with their ears asks for it now and then.
  _say(level) {
    const now = performance.now();
    if (now - this.#saidAt < SAY_EVERY) return;
    this.#saidAt = now;
    this.#meter.setAttribute("aria-valuenow", String(Math.round(level * 100)));
  }
}
