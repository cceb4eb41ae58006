// Connections through the host, forwards, and what listens on the host.
'use strict';

const { Duplex } = require('node:stream');
const check = require('./arguments.cjs');
const { fromFailure } = require('./errors.cjs');
const { forget, nextNumber, start } = require('./operations.cjs');
const { plain } = require('./stats.cjs');
const { stayHere } = require('./threads.cjs');

/** How much is held here besides what the core holds. */
const AHEAD = 64 * 1024;

/** Only a session makes these. */
const key = Symbol('forward');

const FORWARD = ['listen', 'target', 'gatewayPorts', 'unlink', 'maxConnections', 'signal'];

/** A connection as a stream: each direction has its own end; see index.d.ts. */
class Connection extends Duplex {
  #native;
  #reading;
  #writing;

  /** Not part of the public interface. */
  static adopt(native) {
    return new Connection(key, native);
  }

  constructor(secret, native) {
    if (secret !== key) throw new TypeError('a Connection comes from a session');
    super({ highWaterMark: AHEAD, allowHalfOpen: true });
    this.#native = native;
    stayHere(this);
  }

  get remoteAddress() {
    return this.#native.from ?? undefined;
  }

  _read() {
    const number = nextNumber();
    this.#reading = number;
    start((operation) => this.#native.read(operation), { number }).then(
      (chunk) => {
        this.#reading = undefined;
        this.push(chunk);
      },
      (error) => {
        this.#reading = undefined;
        this.destroy(error);
      },
    );
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
    if (this.#reading !== undefined) forget(this.#reading);
    const writing = this.#writing;
    if (writing !== undefined && forget(writing.number)) {
      writing.finish(error ?? destroyed());
    }
    this.#native.endInput();
    this.#native.dropOutput();
    done(error);
  }

  // What http.Agent asks of a socket, and a channel needs not.
  setKeepAlive() {
    return this;
  }

  setNoDelay() {
    return this;
  }

  setTimeout() {
    return this;
  }

  ref() {
    return this;
  }

  unref() {
    return this;
  }
}

function destroyed() {
  const error = new Error('the stream was destroyed');
  error.code = 'ERR_STREAM_DESTROYED';
  return error;
}

/** A listener whose connections come out on the other side; see index.d.ts. */
class Forward {
  #native;

  /** Not part of the public interface. */
  static adopt(native) {
    return new Forward(key, native);
  }

  constructor(secret, native) {
    if (secret !== key) throw new TypeError('a Forward comes from a session');
    this.#native = native;
    stayHere(this);
  }

  get listen() {
    return this.#native.listen;
  }

  get port() {
    return this.#native.port ?? null;
  }

  stats() {
    return figures(this.#native.stats());
  }

  async close() {
    await start((operation) => this.#native.close(operation, false));
  }

  async cut() {
    await start((operation) => this.#native.close(operation, true));
  }
}

/** What listens on the host; see index.d.ts. */
class RemoteListener {
  #native;
  #accepting;
  #closed = false;

  /** Not part of the public interface. */
  static adopt(native) {
    return new RemoteListener(key, native);
  }

  constructor(secret, native) {
    if (secret !== key) throw new TypeError('a RemoteListener comes from session.listen()');
    this.#native = native;
    stayHere(this);
  }

  get listen() {
    return this.#native.listen;
  }

  get port() {
    return this.#native.port ?? null;
  }

  /** The next connection; null once it is closed. One at a time. */
  async accept() {
    if (this.#closed) return null;
    if (this.#accepting !== undefined) check.refuse('a connection is waited for already');
    const number = nextNumber();
    let end;
    const ended = new Promise((resolve) => {
      end = resolve;
    });
    this.#accepting = { number, end };
    try {
      const native = await Promise.race([
        start((operation) => this.#native.accept(operation), { number }),
        ended,
      ]);
      return native === null ? null : Connection.adopt(native);
    } finally {
      this.#accepting = undefined;
    }
  }

  async close() {
    this.#closed = true;
    const accepting = this.#accepting;
    // Who waits is let go, and with that the addon's listener, which tells the host.
    if (accepting !== undefined && forget(accepting.number)) accepting.end(null);
    await start((operation) => this.#native.close(operation));
  }

  async *[Symbol.asyncIterator]() {
    for (;;) {
      const connection = await this.accept();
      if (connection === null) return;
      yield connection;
    }
  }
}

for (const type of [Forward, RemoteListener]) {
  // Node 18 may not know the symbol.
  if (typeof Symbol.asyncDispose === 'symbol') {
    Object.defineProperty(type.prototype, Symbol.asyncDispose, {
      value() {
        return this.close();
      },
      configurable: true,
      writable: true,
    });
  }
}

/** Figures of the addon as plain objects. */
function figures(native) {
  const { lastError, connections, ...rest } = plain(native);
  return {
    ...rest,
    target: rest.target ?? null,
    lastError: lastError == null ? null : fromFailure(lastError),
    connections: connections.map((open) => ({ ...plain(open), from: open.from ?? null })),
  };
}

/** An endpoint as the addon takes it: a port, `host:port`, or the path of a unix socket. */
function endpoint(given, name) {
  if (typeof given === 'number') {
    if (!Number.isInteger(given) || given < 0 || given > 65535) {
      check.refuse(`${name} is no port`, 'ERR_INVALID_ARG_VALUE');
    }
    return String(given);
  }
  if (typeof given === 'string') return given;
  if (given !== null && typeof given === 'object') {
    if (typeof given.path === 'string') {
      return given.path.includes('/') ? given.path : `./${given.path}`;
    }
    const { host = 'localhost', port } = given;
    if (typeof host === 'string' && typeof port === 'number') {
      return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`;
    }
  }
  return check.refuse(`${name} must be a port, "host:port", { host, port } or { path }`);
}

/** What of the options is for the addon. */
function asked(remote, options, operation) {
  const given = check.options(options, FORWARD, operation);
  const most = given.maxConnections;
  if (most !== undefined && (!Number.isInteger(most) || most < 1 || most > 65536)) {
    check.refuse('maxConnections must be a whole number from 1 on', 'ERR_INVALID_ARG_VALUE');
  }
  return {
    signal: check.abortSignal(given.signal),
    spec: {
      remote,
      listen: endpoint(given.listen ?? 0, 'listen'),
      target: given.target === undefined ? undefined : endpoint(given.target, 'target'),
      gatewayPorts: check.flag(given.gatewayPorts, 'gatewayPorts'),
      unlink: check.flag(given.unlink, 'unlink'),
      maxConnections: most,
    },
  };
}

module.exports = { Connection, Forward, RemoteListener, asked, endpoint, figures };
