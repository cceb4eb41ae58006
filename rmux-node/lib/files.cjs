// The files of a session's host, in the shape of fs/promises.
'use strict';

const check = require('./arguments.cjs');
const { Dir } = require('./directory.cjs');
const { FileHandle } = require('./file-handle.cjs');
const { ReadStream, WriteStream } = require('./file-streams.cjs');
const { start } = require('./operations.cjs');
const paths = require('./paths.cjs');
const { Dirent, Stats } = require('./file-stats.cjs');
const { stayHere } = require('./threads.cjs');

/** Only a session has files. */
const key = Symbol('files');

const WRITE = ['encoding', 'mode', 'flag', 'flush', 'inPlace', 'ifUnchanged', 'ifSha256', 'signal'];
const READ_STREAM = ['start', 'end', 'encoding', 'highWaterMark', 'signal', 'onProgress'];
const WRITE_STREAM = ['flags', 'mode', 'inPlace', 'start', 'encoding', 'highWaterMark', 'signal', 'onProgress'];

/** How a file is opened, by the words of fs. */
const FLAGS = {
  r: { read: true },
  'r+': { read: true, write: true },
  w: { write: true, create: true, truncate: true },
  wx: { write: true, createNew: true },
  'w+': { read: true, write: true, create: true, truncate: true },
  'wx+': { read: true, write: true, createNew: true },
  a: { append: true, create: true },
  ax: { append: true, createNew: true },
  'a+': { read: true, append: true, create: true },
  'ax+': { read: true, append: true, createNew: true },
};

/** The files of a host; see index.d.ts. */
class Files {
  #native;

  /** Not part of the public interface. */
  static adopt(native) {
    return new Files(key, native);
  }

  constructor(secret, native) {
    if (secret !== key) throw new TypeError('Files come from a session');
    this.#native = native;
    stayHere(this);
  }

  /** Does something with a path: calls `begin` with the addon's object, the operation and the bytes. */
  async #at(path, begin, { signal, discard } = {}) {
    const bytes = paths.encoded(path);
    return paths.about(path, undefined, () =>
      start((operation) => begin(this.#native, operation, bytes), { signal: check.abortSignal(signal), discard }),
    );
  }

  /** Does something with two paths. */
  async #between(from, to, begin, { signal }) {
    const [one, other] = [paths.encoded(from), paths.encoded(to)];
    await paths.about(from, to, () =>
      start((operation) => begin(this.#native, operation, one, other), { signal: check.abortSignal(signal) }),
    );
  }

  async readFile(path, options) {
    const given = encodingOr(options, ['encoding', 'start', 'end', 'signal'], 'readFile');
    const encoding = check.encoding(given.encoding, 'buffer');
    const { from, end } = range(given);
    const contents = await this.#at(
      path,
      (native, operation, bytes) => native.readFile(operation, bytes, from, end),
      given,
    );
    return encoding === 'buffer' ? contents : contents.toString(encoding);
  }

  async writeFile(path, data, options) {
    const given = encodingOr(options, WRITE, 'writeFile');
    const flag = check.choice(given.flag, 'flag', ['w', 'wx', 'a']);
    const contents = check.contents(data, check.encoding(given.encoding, 'utf8'));
    const spec = {
      mode: check.mode(given.mode),
      createNew: flag === 'wx',
      inPlace: check.flag(given.inPlace, 'inPlace') ?? false,
      sync: check.flag(given.flush, 'flush') ?? true,
      unchanged: seen(given.ifUnchanged),
      sha256: sum(given.ifSha256),
    };
    if (flag === 'a') {
      for (const name of ['mode', 'flush', 'inPlace', 'ifUnchanged', 'ifSha256']) {
        if (given[name] !== undefined) check.refuse(`${name} is not for appending`, 'ERR_INVALID_ARG_VALUE');
      }
      await this.#at(path, (native, operation, bytes) => native.appendFile(operation, bytes, contents), given);
      return;
    }
    await this.#at(path, (native, operation, bytes) => native.writeFile(operation, bytes, contents, spec), given);
  }

  async appendFile(path, data, options) {
    const given = encodingOr(options, ['encoding', 'signal'], 'appendFile');
    const contents = check.contents(data, check.encoding(given.encoding, 'utf8'));
    await this.#at(path, (native, operation, bytes) => native.appendFile(operation, bytes, contents), given);
  }

  async replaceText(path, before, after, options) {
    const given = check.options(options, ['signal'], 'replaceText');
    const [old, replacement] = [check.contents(before), check.contents(after)];
    await this.#at(path, (native, operation, bytes) => native.replaceText(operation, bytes, old, replacement), given);
  }

  async stat(path, options) {
    const given = check.options(options, ['signal'], 'stat');
    return Stats.of(await this.#at(path, (native, operation, bytes) => native.stat(operation, bytes, true), given));
  }

  async lstat(path, options) {
    const given = check.options(options, ['signal'], 'lstat');
    return Stats.of(await this.#at(path, (native, operation, bytes) => native.stat(operation, bytes, false), given));
  }

  async access(path, options) {
    await this.stat(path, options);
  }

  async exists(path, options) {
    try {
      await this.stat(path, options);
      return true;
    } catch (error) {
      if (error.code === 'NOT_FOUND') return false;
      throw error;
    }
  }

  async readdir(path, options) {
    const given = encodingOr(options, ['encoding', 'withFileTypes', 'signal'], 'readdir');
    const encoding = check.encoding(given.encoding, 'utf8');
    const withTypes = check.flag(given.withFileTypes, 'withFileTypes') ?? false;
    const native = await this.#listing(path, given);
    const entries = [];
    await paths.about(path, undefined, async () => {
      const next = (operation) => native.next(operation);
      for (let more = await start(next, given); more !== null; more = await start(next, given)) {
        for (const { name, facts } of more) {
          const decoded = paths.decoded(name, encoding);
          entries.push(withTypes ? Dirent.of(decoded, path, facts) : decoded);
        }
      }
    });
    return entries;
  }

  async opendir(path, options) {
    const given = check.options(options, ['encoding', 'signal'], 'opendir');
    const encoding = check.encoding(given.encoding, 'utf8');
    return Dir.adopt(await this.#listing(path, given), path, { encoding, signal: given.signal });
  }

  glob(directory, pattern, options) {
    const given = encodingOr(options, ['encoding', 'signal'], 'glob');
    const encoding = check.encoding(given.encoding, 'utf8');
    const wanted = check.contents(pattern);
    paths.encoded(directory, 'directory');
    return this.#found(directory, wanted, encoding, { signal: check.abortSignal(given.signal) });
  }

  async *#found(directory, pattern, encoding, given) {
    const native = await this.#at(directory, (it, operation, bytes) => it.search(operation, bytes, pattern), {
      ...given,
      discard: (late) => late.close(),
    });
    const next = () => paths.about(directory, undefined, () => start((operation) => native.next(operation), given));
    try {
      for (let more = await next(); more !== null; more = await next()) {
        for (const { path } of more) yield paths.decoded(path, encoding);
      }
    } finally {
      native.close();
    }
  }

  #listing(path, given) {
    return this.#at(path, (native, operation, bytes) => native.openDirectory(operation, bytes), {
      ...given,
      discard: (late) => late.close(),
    });
  }

  async mkdir(path, options) {
    const given = check.options(options, ['recursive', 'signal'], 'mkdir');
    const all = check.flag(given.recursive, 'recursive') ?? false;
    await this.#at(path, (native, operation, bytes) => native.makeDirectory(operation, bytes, all), given);
  }

  async mkdtemp(prefix, options) {
    return this.#path(prefix, options, 'mkdtemp', (native, operation, bytes) => native.tempDirectory(operation, bytes));
  }

  async readlink(path, options) {
    return this.#path(path, options, 'readlink', (native, operation, bytes) => native.readlink(operation, bytes));
  }

  async realpath(path, options) {
    return this.#path(path, options, 'realpath', (native, operation, bytes) => native.realpath(operation, bytes));
  }

  /** What gives a path. */
  async #path(path, options, of, begin) {
    const given = encodingOr(options, ['encoding', 'signal'], of);
    const encoding = check.encoding(given.encoding, 'utf8');
    return paths.decoded(await this.#at(path, begin, given), encoding);
  }

  async rmdir(path, options) {
    const given = check.options(options, ['signal'], 'rmdir');
    await this.#at(path, (native, operation, bytes) => native.removeDirectory(operation, bytes), given);
  }

  async unlink(path, options) {
    const given = check.options(options, ['signal'], 'unlink');
    await this.#at(path, (native, operation, bytes) => native.remove(operation, bytes, false, false), given);
  }

  async rm(path, options) {
    const given = check.options(options, ['recursive', 'force', 'signal'], 'rm');
    const all = check.flag(given.recursive, 'recursive') ?? false;
    const force = check.flag(given.force, 'force') ?? false;
    await this.#at(path, (native, operation, bytes) => native.remove(operation, bytes, all, force), given);
  }

  async rename(from, to, options) {
    const given = check.options(options, ['signal'], 'rename');
    await this.#between(from, to, (native, ...rest) => native.rename(...rest), given);
  }

  async copyFile(from, to, options) {
    const given = check.options(options, ['signal'], 'copyFile');
    await this.#between(from, to, (native, ...rest) => native.copyFile(...rest), given);
  }

  async link(file, path, options) {
    const given = check.options(options, ['signal'], 'link');
    await this.#between(file, path, (native, ...rest) => native.link(...rest), given);
  }

  async symlink(target, path, options) {
    const given = check.options(options, ['signal'], 'symlink');
    await this.#between(target, path, (native, ...rest) => native.symlink(...rest), given);
  }

  async chmod(path, mode, options) {
    const given = check.options(options, ['signal'], 'chmod');
    const bits = needed(check.mode(mode), 'mode');
    await this.#at(path, (native, operation, bytes) => native.chmod(operation, bytes, bits), given);
  }

  async chown(path, uid, gid, options) {
    await this.#own('chown', path, uid, gid, options, true);
  }

  async lchown(path, uid, gid, options) {
    await this.#own('lchown', path, uid, gid, options, false);
  }

  async #own(of, path, uid, gid, options, follow) {
    const given = check.options(options, ['signal'], of);
    const [user, group] = [needed(check.count(uid, 'uid'), 'uid'), needed(check.count(gid, 'gid'), 'gid')];
    await this.#at(path, (native, operation, bytes) => native.chown(operation, bytes, user, group, follow), given);
  }

  async utimes(path, atime, mtime, options) {
    const given = check.options(options, ['signal'], 'utimes');
    const [accessed, modified] = [check.moment(atime, 'atime'), check.moment(mtime, 'mtime')];
    await this.#at(path, (native, operation, bytes) => native.utimes(operation, bytes, accessed, modified), given);
  }

  async statfs(path, options) {
    const given = check.options(options, ['signal'], 'statfs');
    const room = await this.#at(path, (native, operation, bytes) => native.statfs(operation, bytes), given);
    return {
      bsize: 1,
      blocks: room.total,
      bfree: room.free,
      bavail: room.available,
      files: room.files,
      ffree: room.filesAvailable,
      longestName: room.longestName,
      readOnly: room.readOnly,
    };
  }

  async open(path, flags, mode, options) {
    const given = check.options(options, ['signal'], 'open');
    const spec = opening(flags ?? 'r', 'flags', mode);
    const native = await this.#at(path, (it, operation, bytes) => it.openFile(operation, bytes, spec), {
      ...given,
      discard: abandon,
    });
    return FileHandle.adopt(native, path);
  }

  async tempFile(directory, options) {
    const given = encodingOr(options, ['encoding', 'signal'], 'tempFile');
    const encoding = check.encoding(given.encoding, 'utf8');
    const native = await this.#at(directory, (it, operation, bytes) => it.tempFile(operation, bytes), {
      ...given,
      discard: abandon,
    });
    return FileHandle.adopt(native, paths.decoded(native.path, encoding));
  }

  createReadStream(path, options) {
    const given = encodingOr(options, READ_STREAM, 'createReadStream');
    const { from, end } = range(given);
    return new ReadStream(path, this.#opener(path, opening('r')), { ...streaming(given, 'buffer'), start: from, end });
  }

  createWriteStream(path, options) {
    const given = encodingOr(options, WRITE_STREAM, 'createWriteStream');
    const spec = opening(given.flags ?? 'w', 'flags', given.mode);
    const inPlace = check.flag(given.inPlace, 'inPlace') ?? given.start !== undefined;
    if (spec.write !== true && spec.append !== true) check.refuse('flags must be for writing', 'ERR_INVALID_ARG_VALUE');
    const from = check.position(given.start, 'start');
    const whole = (given.flags ?? 'w') === 'w' && !inPlace;
    const opener = whole ? this.#maker(path, spec.mode) : this.#opener(path, spec);
    return new WriteStream(path, opener, { ...streaming(given, 'utf8'), start: from });
  }

  /** Begins a file that has its name when it is closed. */
  #maker(path, mode) {
    const bytes = paths.encoded(path);
    return (operation) => this.#native.createFile(operation, bytes, mode);
  }

  #opener(path, spec) {
    const bytes = paths.encoded(path);
    return (operation) => this.#native.openFile(operation, bytes, spec);
  }
}

/** Closes a file that came too late. It may have been made, and is left. */
function abandon(native) {
  native.abandon();
}

/** Options, or the encoding alone, as in fs. */
function encodingOr(options, known, of) {
  return check.options(typeof options === 'string' ? { encoding: options } : options, known, of);
}

/** From where to where, as the addon takes it: `end` names the last byte, as in fs. */
function range({ start: from, end }) {
  const last = end === Infinity ? undefined : check.position(end, 'end');
  return { from: check.position(from, 'start'), end: last === undefined ? undefined : last + 1 };
}

function opening(flags, name, mode) {
  check.choice(flags, name, Object.keys(FLAGS));
  const none = { read: false, write: false, append: false, create: false, createNew: false, truncate: false };
  return { ...none, ...FLAGS[flags], mode: check.mode(mode) };
}

function streaming({ encoding, highWaterMark, signal, onProgress }, otherwise) {
  return {
    encoding: check.encoding(encoding, otherwise),
    highWaterMark: check.position(highWaterMark, 'highWaterMark'),
    signal: check.abortSignal(signal),
    onProgress: check.callback(onProgress, 'onProgress'),
  };
}

/** What is compared of a file that was seen before. */
function seen(value) {
  if (value === undefined || value === null) return undefined;
  if (!check.isObject(value)) check.refuse('ifUnchanged must be Stats, or have their size and mtimeMs');
  return {
    size: needed(check.position(value.size, 'ifUnchanged.size'), 'ifUnchanged.size'),
    modified: needed(check.time(value.mtimeMs, 'ifUnchanged.mtimeMs'), 'ifUnchanged.mtimeMs'),
  };
}

function sum(value) {
  if (value === undefined || value === null) return undefined;
  const bytes = typeof value === 'string' && /^[0-9a-f]*$/i.test(value) ? Buffer.from(value, 'hex') : value;
  if (!(bytes instanceof Uint8Array) || bytes.length !== 32) {
    check.refuse('ifSha256 must be a SHA-256: 64 hexadecimal digits, or 32 bytes', 'ERR_INVALID_ARG_VALUE');
  }
  return bytes;
}

function needed(value, name) {
  if (value === undefined) check.refuse(`${name} must be given`);
  return value;
}

module.exports = { Files };
