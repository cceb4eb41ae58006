// An open file, in the shape of FileHandle of fs/promises.
'use strict';

const check = require('./arguments.cjs');
const { start } = require('./operations.cjs');
const paths = require('./paths.cjs');
const { Stats } = require('./file-stats.cjs');
const { stayHere } = require('./threads.cjs');

/** Only `open` and `tempFile` make them. */
const key = Symbol('file');
const READ = ['buffer', 'offset', 'length', 'position'];
const WRITE = ['offset', 'length', 'position'];
const BUFFER = 16 * 1024;
/** How much `readFile` reads at a time. */
const PIECE = 1024 * 1024;

/** An open file; see index.d.ts. */
class FileHandle {
  #native;
  #position = 0;
  /** One operation after the other. */
  #before = Promise.resolve();
  #closing;

  /** Not part of the public interface. */
  static adopt(native, path) {
    return new FileHandle(key, native, path);
  }

  constructor(secret, native, path) {
    if (secret !== key) throw new TypeError('a FileHandle comes from files.open()');
    this.#native = native;
    this.path = path;
    stayHere(this);
  }

  /** Does something when all that was begun before is done. */
  #then(work) {
    const done = this.#before.then(() => paths.about(this.path, undefined, work));
    this.#before = done.catch(() => {});
    return done;
  }

  read(buffer, offset, length, position) {
    const given = readArguments(buffer, offset, length, position);
    return this.#then(async () => {
      const data = await this.#readAt(given.position ?? this.#position, given.length);
      if (given.position === undefined) this.#position += data.length;
      new Uint8Array(given.buffer.buffer, given.buffer.byteOffset, given.buffer.byteLength).set(data, given.offset);
      return { bytesRead: data.length, buffer: given.buffer };
    });
  }

  #readAt(position, length) {
    if (length === 0) return Buffer.alloc(0);
    return start((operation) => this.#native.read(operation, position, length, true));
  }

  readFile(options) {
    const given = check.options(typeof options === 'string' ? { encoding: options } : options, ['encoding'], 'readFile');
    const encoding = check.encoding(given.encoding, 'buffer');
    return this.#then(async () => {
      const pieces = [];
      for (;;) {
        const piece = await this.#readAt(this.#position, PIECE);
        if (piece.length === 0) break;
        this.#position += piece.length;
        pieces.push(piece);
      }
      const contents = Buffer.concat(pieces);
      return encoding === 'buffer' ? contents : contents.toString(encoding);
    });
  }

  write(data, ...rest) {
    const { bytes, position } = typeof data === 'string' ? textArguments(data, ...rest) : writeArguments(data, ...rest);
    return this.#then(async () => {
      await start((operation) => this.#native.write(operation, position ?? this.#position, bytes, false));
      if (position === undefined) this.#position += bytes.length;
      return { bytesWritten: bytes.length, buffer: data };
    });
  }

  async writeFile(data, options) {
    const given = check.options(typeof options === 'string' ? { encoding: options } : options, ['encoding'], 'writeFile');
    const encoding = check.encoding(given.encoding, 'utf8');
    await this.write(check.contents(data, encoding));
  }

  truncate(length = 0) {
    const wanted = check.position(length, 'length');
    return this.#then(() => start((operation) => this.#native.truncate(operation, wanted)));
  }

  sync() {
    return this.#then(() => start((operation) => this.#native.sync(operation)));
  }

  datasync() {
    return this.sync();
  }

  stat() {
    return this.#then(async () => Stats.of(await start((operation) => this.#native.stat(operation))));
  }

  close() {
    this.#closing ??= this.#then(() => start((operation) => this.#native.close(operation)));
    return this.#closing;
  }
}

function readArguments(buffer, offset, length, position) {
  let given = { buffer, offset, length, position };
  if (buffer === undefined || (check.isObject(buffer) && !ArrayBuffer.isView(buffer))) {
    given = check.options(buffer, READ, 'read');
  } else if (check.isObject(offset)) {
    given = { buffer, ...check.options(offset, WRITE, 'read') };
  }
  const into = given.buffer ?? Buffer.alloc(BUFFER);
  if (!ArrayBuffer.isView(into)) check.refuse('buffer must be a Buffer, a TypedArray or a DataView');
  return { buffer: into, ...within(into, given) };
}

function writeArguments(data, offset, length, position) {
  if (!ArrayBuffer.isView(data)) check.refuse('what is written must be a string, a Buffer, a TypedArray or a DataView');
  const given = check.isObject(offset) ? check.options(offset, WRITE, 'write') : { offset, length, position };
  const part = within(data, given);
  // A copy: the program may change its own before the turn of this comes.
  const view = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { bytes: view.slice(part.offset, part.offset + part.length), position: part.position };
}

function textArguments(text, position, encoding) {
  return {
    bytes: Buffer.from(text, check.encoding(encoding, 'utf8')),
    position: at(position),
  };
}

/** The part of a view that is meant. */
function within(view, { offset, length, position }) {
  const from = check.position(offset, 'offset') ?? 0;
  if (from > view.byteLength) check.refuse('offset is behind the end of the buffer', 'ERR_OUT_OF_RANGE');
  const size = check.position(length, 'length') ?? view.byteLength - from;
  if (size > view.byteLength - from) check.refuse('length reaches behind the end of the buffer', 'ERR_OUT_OF_RANGE');
  return { offset: from, length: size, position: at(position) };
}

/** Where in the file; undefined is where the last operation has ended, as null and -1 are in Node. */
function at(position) {
  if (position === -1 || position === -1n) return undefined;
  return check.position(typeof position === 'bigint' ? Number(position) : position, 'position');
}

// Node 18 may not know the symbol.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(FileHandle.prototype, Symbol.asyncDispose, {
    value: FileHandle.prototype.close,
    configurable: true,
    writable: true,
  });
}

module.exports = { FileHandle };
