// What is known of a file, in the shape of fs.Stats and fs.Dirent.
'use strict';

const TYPE = 0o170000;
const TYPES = {
  isFile: 0o100000,
  isDirectory: 0o040000,
  isSymbolicLink: 0o120000,
  isFIFO: 0o010000,
  isSocket: 0o140000,
  isBlockDevice: 0o060000,
  isCharacterDevice: 0o020000,
};

/** Only the package makes them. */
const key = Symbol('stats');

/** What is known of a file; see index.d.ts. */
class Stats {
  /** Not part of the public interface. */
  static of(facts) {
    return new Stats(key, facts);
  }

  constructor(secret, { mode, size, uid, gid, accessed, modified }) {
    if (secret !== key) throw new TypeError('Stats come from session.files');
    this.mode = mode;
    this.size = size;
    this.uid = uid;
    this.gid = gid;
    this.atimeMs = accessed;
    this.mtimeMs = modified;
  }

  get atime() {
    return date(this.atimeMs);
  }

  get mtime() {
    return date(this.mtimeMs);
  }
}

/** A name in a directory; see index.d.ts. */
class Dirent {
  /** Not part of the public interface. */
  static of(name, parentPath, facts) {
    return new Dirent(key, name, parentPath, facts);
  }

  constructor(secret, name, parentPath, facts) {
    if (secret !== key) throw new TypeError('Dirents come from session.files');
    this.name = name;
    this.parentPath = parentPath;
    this.stats = Stats.of(facts);
  }
}

for (const [name, type] of Object.entries(TYPES)) {
  define(Stats, name, function () {
    return (this.mode & TYPE) === type;
  });
  define(Dirent, name, function () {
    return this.stats[name]();
  });
}

function define(of, name, value) {
  Object.defineProperty(value, 'name', { value: name });
  Object.defineProperty(of.prototype, name, { value, configurable: true, writable: true });
}

function date(time) {
  return time === undefined ? undefined : new Date(time);
}

module.exports = { Dirent, Stats };
