// Files of this machine in a private folder of a host, for as long as they are wanted there.
'use strict';

const { start } = require('./operations.cjs');
const paths = require('./paths.cjs');
const { stayHere } = require('./threads.cjs');

/** Only a session drops files. */
const key = Symbol('dropped');

/** Files that `session.drop` has put on the host; see index.d.ts. */
class Dropped {
  #native;

  /** Not part of the public interface. */
  static adopt(native, encoding) {
    return new Dropped(key, native, encoding);
  }

  constructor(secret, native, encoding) {
    if (secret !== key) throw new TypeError('a Dropped comes from session.drop()');
    this.#native = native;
    this.folder = paths.decoded(native.folder, encoding);
    this.paths = native.paths.map((path) => paths.decoded(path, encoding));
    this.quoted = paths.decoded(native.quoted, encoding);
    stayHere(this);
  }

  async remove() {
    await start((operation) => this.#native.remove(operation));
  }
}

// Node 18 may not know the symbol.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(Dropped.prototype, Symbol.asyncDispose, {
    value: Dropped.prototype.remove,
    configurable: true,
    writable: true,
  });
}

module.exports = { Dropped };
