// Files as Node streams: read ahead and written behind, in bounds.
'use strict';

const { Readable, Writable } = require('node:stream');
const { fromSignal } = require('./errors.cjs');
const { forget, nextNumber, start } = require('./operations.cjs');
const paths = require('./paths.cjs');

/** How much a stream holds here besides what the core does. */
const AHEAD = 256 * 1024;

/** The contents of a file, or a part of them. */
class ReadStream extends Readable {
  #open;
  #native;
  #signal;
  #position;
  #end;
  #onProgress;
  #operation;

  /**
   * @param open begins to open the file, by the operation's number
   * @param options.end the position behind the last byte
   */
  constructor(path, open, { start: from = 0, end = Infinity, highWaterMark = AHEAD, encoding, signal, onProgress }) {
    super({ highWaterMark, ...(encoding === 'buffer' ? {} : { encoding }) });
    this.path = path;
    this.bytesRead = 0;
    this.#open = open;
    this.#position = from;
    this.#end = end;
    this.#signal = signal;
    this.#onProgress = onProgress;
    obey(this, signal);
  }

  _construct(done) {
    opened(this.path, this.#open, this.#signal).then((native) => {
      this.#native = native;
      done();
      if (!this.destroyed) this.emit('ready');
    }, (error) => {
      // Of a stream that was destroyed meanwhile, nobody wants to know.
      done(this.destroyed ? undefined : error);
    });
  }

  _read(size) {
    const length = Math.min(Math.max(size, this.readableHighWaterMark), this.#end - this.#position, 2 ** 30);
    if (length <= 0) {
      this.push(null);
      return;
    }
    const number = nextNumber();
    this.#operation = number;
    const read = (operation) => this.#native.read(operation, this.#position, length, false);
    paths.about(this.path, undefined, () => start(read, { number })).then(
      (data) => {
        this.#operation = undefined;
        this.#position += data.length;
        this.bytesRead += data.length;
        if (data.length > 0 && !told(this, this.#onProgress, this.bytesRead)) return;
        this.push(data.length === 0 ? null : data);
      },
      (error) => {
        this.#operation = undefined;
        this.destroy(error);
      },
    );
  }

  _destroy(error, done) {
    if (this.#operation !== undefined) forget(this.#operation);
    this.#native?.abandon();
    done(error);
  }
}

/** A file that is written from here on. */
class WriteStream extends Writable {
  #open;
  #native;
  #signal;
  #position;
  #onProgress;
  /** The operation under way: its number, and who is to be told of its end. */
  #doing;

  constructor(path, open, { start: from = 0, highWaterMark = AHEAD, encoding, signal, onProgress }) {
    super({ highWaterMark, defaultEncoding: encoding });
    this.path = path;
    this.bytesWritten = 0;
    this.#open = open;
    this.#position = from;
    this.#signal = signal;
    this.#onProgress = onProgress;
    obey(this, signal);
  }

  _construct(done) {
    opened(this.path, this.#open, this.#signal).then((native) => {
      this.#native = native;
      done();
      if (!this.destroyed) this.emit('ready');
    }, (error) => {
      // Of a stream that was destroyed meanwhile, nobody wants to know.
      done(this.destroyed ? undefined : error);
    });
  }

  #do(begin, then) {
    const number = nextNumber();
    const finish = (error) => {
      this.#doing = undefined;
      then(error);
    };
    this.#doing = { number, finish };
    paths.about(this.path, undefined, () => start(begin, { number })).then(() => finish(), finish);
  }

  #send(data, done) {
    const at = this.#position;
    this.#position += data.length;
    this.#do(
      (operation) => this.#native.write(operation, at, data, true),
      (error) => {
        if (!error) {
          this.bytesWritten += data.length;
          told(this, this.#onProgress, this.bytesWritten);
        }
        done(error);
      },
    );
  }

  _write(chunk, _encoding, done) {
    this.#send(chunk, done);
  }

  _writev(chunks, done) {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  _final(done) {
    this.#do((operation) => this.#native.close(operation), done);
  }

  _destroy(error, done) {
    const doing = this.#doing;
    if (doing !== undefined && forget(doing.number)) {
      // Node tells the writes behind it only after this one has ended.
      doing.finish(error ?? destroyed());
    }
    this.#native?.abandon();
    done(error);
  }
}

/** Tells how far a stream is; false where who is told throws, which ends the stream. */
function told(stream, onProgress, bytes) {
  try {
    onProgress?.(bytes);
    return true;
  } catch (error) {
    stream.destroy(error);
    return false;
  }
}

function opened(path, open, signal) {
  return paths.about(path, undefined, () => start(open, { signal, discard: (late) => late.abandon() }));
}

/** Destroys a stream when the signal is aborted; before that, opening fails. */
function obey(stream, signal) {
  if (signal === undefined || signal.aborted) return;
  const abort = () => stream.destroy(fromSignal(signal));
  signal.addEventListener('abort', abort, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', abort));
}

function destroyed() {
  const error = new Error('the file takes no more: the stream was destroyed');
  error.code = 'ERR_STREAM_DESTROYED';
  return error;
}

module.exports = { ReadStream, WriteStream };
