// A running command, with Node's streams and events.
'use strict';

const { EventEmitter } = require('node:events');
const check = require('./arguments.cjs');
const { RmuxError } = require('./errors.cjs');
const { lines } = require('./lines.cjs');
const { start } = require('./operations.cjs');
const { Input, Output, Through } = require('./streams.cjs');
const { stayHere } = require('./threads.cjs');

/** Milliseconds from SIGTERM to SIGKILL, unless a command is told otherwise. */
const KILL_GRACE = 2000;

/** Only a session makes children. */
const key = Symbol('child');

/** A running remote command; see index.d.ts. */
class Child extends EventEmitter {
  #native;
  #killGrace;
  #running = true;

  /** A child for what the addon started. Not part of the public interface. */
  static adopt(native, signal, killGrace = KILL_GRACE) {
    return new Child(key, native, signal, killGrace);
  }

  /** Ends what was started when nobody wanted it any more. Not part of the public interface. */
  static discard(native) {
    native.kill();
    start((operation) => native.wait(operation)).catch(() => {});
  }

  constructor(secret, native, signal, killGrace) {
    if (secret !== key) throw new TypeError('a Child comes from session.spawn()');
    super();
    this.#native = native;
    this.#killGrace = killGrace;
    const [stdin, stdout, stderr] = native.piped;
    this.stdin = stdin ? new Input(native) : null;
    this.stdout = stdout
      ? new Output((operation) => native.readStdout(operation), () => native.dropStdout())
      : null;
    this.stderr = stderr
      ? new Output((operation) => native.readStderr(operation), () => native.dropStderr())
      : null;
    this.hasPty = native.hasPty;
    this.exitCode = null;
    this.signalCode = null;
    stayHere(this);
    this.exited = this.#watch(signal);
    // That it failed is told to whoever asks; it must not end the process by itself.
    this.exited.catch(() => {});
  }

  async #watch(signal) {
    const outputs = [this.stdout, this.stderr].filter((stream) => stream !== null);
    const closes = new Map(
      outputs.map((stream) => [stream, new Promise((done) => stream.once('close', done))]),
    );
    try {
      const { exitCode = null, signal: signalCode = null } = await start(
        (operation) => this.#native.wait(operation),
        // Giving the operation up kills the command.
        { signal },
      );
      this.exitCode = exitCode;
      this.signalCode = signalCode;
      return { exitCode, signal: signalCode };
    } finally {
      this.#running = false;
      this.stdin?.destroy();
      process.nextTick(() => {
        const end = [this.exitCode, this.signalCode];
        // What nobody reads stays unread, and is not waited for.
        const waitedFor = outputs.filter(isUsed).map((stream) => closes.get(stream));
        Promise.all(waitedFor).then(() => process.nextTick(() => this.emit('close', ...end)));
        if (end.some((how) => how !== null)) this.emit('exit', ...end);
      });
    }
  }

  wait() {
    this.stdin?.end();
    return this.exited;
  }

  kill(signal = 'SIGTERM') {
    if (typeof signal !== 'string' || !/^(SIG)?[A-Z0-9]{1,16}$/.test(signal)) {
      const error = new TypeError(`${String(signal)} is no signal name`);
      error.code = 'ERR_UNKNOWN_SIGNAL';
      throw error;
    }
    if (!this.#running) return false;
    if (signal === 'SIGKILL' || signal === 'KILL') this.#native.kill();
    else this.#native.signal(signal);
    return true;
  }

  async stop(options) {
    const { grace } = check.options(options, ['grace'], 'stop');
    const time = check.time(grace, 'grace') ?? this.#killGrace;
    const stopped = await start((operation) => this.#native.stop(operation, time));
    const end = await this.exited;
    // Null: nobody can ask for its group any more.
    return { ...end, confirmed: stopped?.confirmed ?? false };
  }

  resize(columns, rows) {
    for (const size of [columns, rows]) {
      if (!Number.isInteger(size) || size < 0 || size >= 2 ** 32) {
        throw new RangeError('columns and rows must be whole numbers');
      }
    }
    if (this.#running) this.#native.resize(columns, rows);
  }

  duplex() {
    return new Through(piped(this.stdout, 'output'), piped(this.stdin, 'input'));
  }

  [Symbol.asyncIterator]() {
    return lines(piped(this.stdout, 'output'));
  }
}

/** The stream, or an error where there is none. */
function piped(stream, which) {
  if (stream !== null) return stream;
  throw new RmuxError(`the command's standard ${which} is not piped`, {
    code: 'INVALID_INPUT',
    operation: which === 'input' ? 'write' : 'read',
  });
}

/** Whether somebody has begun to read a stream. */
function isUsed(stream) {
  return (
    stream.readableDidRead || stream.readableFlowing !== null || stream.listenerCount('readable') > 0
  );
}

// Node 18 may not know the symbol.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(Child.prototype, Symbol.asyncDispose, {
    async value() {
      this.kill('SIGKILL');
      this.stdin?.destroy();
      this.stdout?.destroy();
      this.stderr?.destroy();
      await this.exited.catch(() => {});
    },
    configurable: true,
    writable: true,
  });
}

module.exports = { Child };
