// The streams of a command as Node streams: nothing is read before somebody wants it, and writing
// goes on when the remote has taken what came before.
'use strict';

const { Readable, Writable } = require('node:stream');
const { forget, nextNumber, start } = require('./operations.cjs');

/** How much is held here besides what the core holds. */
const AHEAD = 64 * 1024;

/** Standard output or standard error. */
class Output extends Readable {
  #read;
  #drop;
  #operation;

  constructor(read, drop) {
    super({ highWaterMark: AHEAD });
    this.#read = read;
    this.#drop = drop;
  }

  _read() {
    const number = nextNumber();
    this.#operation = number;
    start(this.#read, { number }).then(
      (chunk) => {
        this.#operation = undefined;
        this.push(chunk);
      },
      (error) => {
        this.#operation = undefined;
        this.destroy(error);
      },
    );
  }

  _destroy(error, done) {
    if (this.#operation !== undefined) forget(this.#operation);
    this.#drop();
    done(error);
  }
}

/** Standard input. */
class Input extends Writable {
  #native;
  /** The write under way: its number, and who is to be told of its end. */
  #writing;

  constructor(native) {
    super({ highWaterMark: AHEAD });
    this.#native = native;
  }

  #send(data, done) {
    const number = nextNumber();
    const finish = (error) => {
      this.#writing = undefined;
      done(error);
    };
    this.#writing = { number, finish };
    start((operation) => this.#native.write(operation, data), { number }).then(
      () => finish(),
      (error) => finish(error),
    );
  }

  _write(chunk, _encoding, done) {
    this.#send(chunk, done);
  }

  _writev(chunks, done) {
    this.#send(Buffer.concat(chunks.map(({ chunk }) => chunk)), done);
  }

  _final(done) {
    this.#native.endInput();
    done();
  }

  _destroy(error, done) {
    const writing = this.#writing;
    if (writing !== undefined && forget(writing.number)) {
      // Node tells the writes behind it only after this one has ended.
      writing.finish(error ?? destroyed());
    }
    this.#native.endInput();
    done(error);
  }
}

function destroyed() {
  const error = new Error('the command takes no more input: the stream was destroyed');
  error.code = 'ERR_STREAM_DESTROYED';
  return error;
}

module.exports = { Input, Output };
