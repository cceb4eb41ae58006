// The streams of a command as Node streams: nothing is read before somebody wants it, and writing
// goes on when the remote has taken what came before. Both together are a duplex.
'use strict';

const { Duplex, Readable, Writable } = require('node:stream');
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
    mayFail(this);
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
    mayFail(this);
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

/**
 * Both in one. As with a socket, the end of one direction ends the other. Not `Duplex.from`: that
 * takes it for a failure that the input is closed when the command has ended, and then what the
 * command wrote last is lost.
 */
class Through extends Duplex {
  #output;
  #input;

  constructor(output, input) {
    super({ highWaterMark: AHEAD, allowHalfOpen: false });
    mayFail(this);
    this.#output = output;
    this.#input = input;
    output.on('data', (chunk) => {
      if (!this.push(chunk)) output.pause();
    });
    output.pause();
    output.once('end', () => this.push(null));
    output.once('close', () => {
      if (!output.readableEnded) this.destroy(output.errored ?? undefined);
    });
  }

  _read() {
    this.#output.resume();
  }

  _write(chunk, _encoding, done) {
    this.#input.write(chunk, done);
  }

  _final(done) {
    // A command that takes no more has ended its input itself.
    if (this.#input.destroyed || this.#input.writableEnded) done();
    else this.#input.end(() => done());
  }

  _destroy(error, done) {
    this.#output.destroy();
    this.#input.destroy();
    done(error);
  }
}

/**
 * That it failed is told to whoever asks, as it is by `exited`: a connection that is lost or closed
 * must not end a process that listens for no error on every stream.
 */
function mayFail(stream) {
  stream.on('error', () => {});
}

function destroyed() {
  const error = new Error('the command takes no more input: the stream was destroyed');
  error.code = 'ERR_STREAM_DESTROYED';
  return error;
}

module.exports = { Input, Output, Through };
