// How far a transfer is, and how fast: words for a person who waits.

const MEGABYTE = 2 ** 20;
/** A rate over less than this says more about the buffers than about the network. */
const LEAST_MS = 400;

/** The progress of one body of `bytes`; times are milliseconds of any one clock. */
export class Transfer {
  #bytes;
  #share = 0;
  /** @type {{ share: number, now: number } | null} */
  #since = null;
  /** Bytes a second. @type {number | null} */
  #rate = null;

  /** @param {number} bytes */
  constructor(bytes) {
    this.#bytes = bytes;
  }

  /** Whether all of it has left. */
  get isSent() {
    return this.#share >= 1;
  }

  /** A share in [0, 1] has left by a time. @param {number} share @param {number} now */
  reach(share, now) {
    this.#since ??= { share: this.#share, now };
    this.#share = Math.max(this.#share, share);
    const waited = now - this.#since.now;
    if (waited >= LEAST_MS) this.#rate = ((this.#share - this.#since.share) * this.#bytes * 1000) / waited;
  }

  /** `12.4 of 88.0 MB, 5.2 MB/s`, or what happens once all has left. */
  words() {
    if (this.isSent) return `Reading ${(this.#bytes / MEGABYTE).toFixed(1)} MB`;
    const part = `${((this.#share * this.#bytes) / MEGABYTE).toFixed(1)} of ${(this.#bytes / MEGABYTE).toFixed(1)} MB`;
    return this.#rate === null ? part : `${part}, ${(this.#rate / MEGABYTE).toFixed(1)} MB/s`;
  }
}
