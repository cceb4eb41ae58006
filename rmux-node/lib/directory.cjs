// A directory that is being listed, in the shape of fs.Dir.
'use strict';

const { start } = require('./operations.cjs');
const paths = require('./paths.cjs');
const { Dirent } = require('./file-stats.cjs');

/** Only `opendir` makes them. */
const key = Symbol('dir');

/** A directory that is being listed; see index.d.ts. */
class Dir {
  #native;
  #encoding;
  #signal;
  #entries = [];
  /** What is to be done before the next read begins. */
  #before = Promise.resolve();

  /** Not part of the public interface. */
  static adopt(native, path, { encoding, signal }) {
    return new Dir(key, native, path, encoding, signal);
  }

  constructor(secret, native, path, encoding, signal) {
    if (secret !== key) throw new TypeError('a Dir comes from files.opendir()');
    this.#native = native;
    this.#encoding = encoding;
    this.#signal = signal;
    this.path = path;
  }

  read() {
    const reading = this.#before.then(() => this.#next());
    this.#before = reading.catch(() => {});
    return reading;
  }

  async #next() {
    if (this.#entries.length === 0) {
      const signal = this.#signal;
      const more = await paths.about(this.path, undefined, () =>
        start((operation) => this.#native.next(operation), { signal }),
      );
      if (more === null) return null;
      this.#entries = more.reverse();
    }
    const { name, facts } = this.#entries.pop();
    return Dirent.of(paths.decoded(name, this.#encoding), this.path, facts);
  }

  async close() {
    this.#entries = [];
    this.#native.close();
  }

  async *[Symbol.asyncIterator]() {
    try {
      for (let entry = await this.read(); entry !== null; entry = await this.read()) yield entry;
    } finally {
      await this.close();
    }
  }
}

// Node 18 may not know the symbol.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(Dir.prototype, Symbol.asyncDispose, {
    value: Dir.prototype.close,
    configurable: true,
    writable: true,
  });
}

module.exports = { Dir };
