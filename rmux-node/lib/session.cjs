// Sessions: connecting, running commands, giving them back, and when one keeps the process alive.
'use strict';

const check = require('./arguments.cjs');
const commands = require('./commands.cjs');
const connecting = require('./connecting.cjs');
const { ShellContext } = require('./contexts.cjs');
const { fromFailure, givenBack } = require('./errors.cjs');
const { plain } = require('./stats.cjs');
const { toEvent, tell } = require('./events.cjs');
const { Dropped } = require('./dropped.cjs');
const { Files } = require('./files.cjs');
const { Connection, Forward, RemoteListener, asked, endpoint, figures } = require('./forward.cjs');
const leaving = require('./leaving.cjs');
const { bridge, follow, hold, listeners, nextNumber, release, start } = require('./operations.cjs');
const paths = require('./paths.cjs');
const { stayHere } = require('./threads.cjs');
const { transfer } = require('./transfers.cjs');

const CONNECT = [...connecting.SHARED, 'signal'];

/** Only `connect` and pools make sessions. */
const key = Symbol('session');

/** Connects to a host; see index.d.ts. */
async function connect(host, options) {
  if (typeof host !== 'string') check.refuse('the host must be a string');
  const given = check.options(options, CONNECT, 'connect');
  const { settings, callbacks, onEvent } = connecting.read(given);
  const signal = check.abortSignal(given.signal);
  leaving.watch();
  const number = nextNumber();
  const life = new Life();
  const questions = new connecting.Questions(callbacks);
  // Nothing here may hold the Session: that it is let go of closes the connection.
  listeners.set(number, {
    event(facts) {
      const event = toEvent(facts);
      if (event.type === 'lost' || event.type === 'closed') {
        listeners.delete(number);
        life.end(event);
      }
      if (onEvent !== undefined) tell(onEvent, event);
    },
    async question(question) {
      bridge.answer(question.number, await questions.answer(question));
    },
  });
  try {
    const native = await start((operation) => bridge.connect(operation, host, settings), {
      number,
      signal,
      discard: closeQuietly,
      cause: (failure) => questions.cause(failure),
    });
    return new Session(key, native, life);
  } catch (error) {
    listeners.delete(number);
    questions.end(error);
    throw error;
  }
}

function closeQuietly(native) {
  start((operation) => native.close(operation)).catch(() => {});
}

/** What outlasts a Session object: its end, and whether it keeps the process alive. */
class Life {
  #resolve;
  #keeps;

  closed = new Promise((resolve) => {
    this.#resolve = resolve;
  });
  ended = false;

  /** With an event, or null for the end of a handle that was given back. */
  end(event) {
    this.ended = true;
    this.unref();
    if (event === null) this.#resolve({ reason: 'released' });
    else if (event.type === 'lost') this.#resolve({ reason: 'lost', error: event.reason });
    else this.#resolve({ reason: 'closed' });
  }

  /** Sees to it that its end is heard of. */
  follow() {}

  ref(session) {
    if (this.#keeps !== undefined || this.ended) return;
    this.#keeps = session;
    hold();
  }

  unref() {
    if (this.#keeps === undefined) return;
    this.#keeps = undefined;
    release();
  }
}

/** The life of a handle from a pool, whose end is asked for when somebody wants to know it. */
class PooledLife extends Life {
  #native;

  constructor(native) {
    super();
    this.#native = native;
  }

  follow() {
    if (this.#native === undefined) return;
    const ended = endOf(this.#native);
    // From here on it must not hold the handle: that it is let go of ends it.
    this.#native = undefined;
    ended.then((event) => this.end(event && toEvent(event)));
  }
}

/** In a scope of its own, which alone has the handle. */
function endOf(native) {
  return follow((operation) => native.ended(operation));
}

/** One host, connected to once, for any number of commands; see index.d.ts. */
class Session {
  #native;
  #life;
  /** What its pool has to live on for as long as it does: the callbacks. */
  #pool;
  #files;

  /** A handle that a pool gives out. Not part of the public interface. */
  static adopt(native, pool) {
    return new Session(key, native, new PooledLife(native), pool);
  }

  /** The native half of one. Not part of the public interface. */
  static native(session) {
    if (!(session instanceof Session)) check.refuse('session must be a Session');
    return session.#native;
  }

  /** Ends one at the end of its block. Not part of the public interface. */
  static async dispose(session) {
    if (session.#pool === undefined) await session.close();
    else session.release();
  }

  constructor(secret, native, life, pool) {
    if (secret !== key) throw new TypeError('a Session comes from connect() or from a pool');
    this.#native = native;
    this.#life = life;
    this.#pool = pool;
    stayHere(this);
  }

  get host() {
    return this.#native.host;
  }

  get isClosed() {
    return this.#life.ended || this.#native.isClosed;
  }

  get closed() {
    this.#life.follow();
    return this.#life.closed;
  }

  get files() {
    this.#files ??= Files.adopt(this.#native);
    return this.#files;
  }

  run(command, options) {
    return commands.run(command, options, commands.RUN, (...given) => this.#native.run(...given));
  }

  spawn(command, options) {
    return commands.spawn(command, options, commands.SPAWN, (...given) => this.#native.spawn(...given));
  }

  context(options) {
    const native = this.#native.context();
    if (native === null) throw fromFailure(givenBack(this.#native, 'make a context'));
    return ShellContext.adopt(native, this, Session.native, options);
  }

  put(local, remote, options) {
    return transfer('put', local, remote, options, (...given) => this.#native.put(...given));
  }

  get(remote, local, options) {
    return transfer('get', remote, local, options, (...given) => this.#native.get(...given));
  }

  send(remote, to, target, options) {
    if (!(to instanceof Session)) return refused('to must be a Session');
    return transfer('send', remote, target, options, (source, ...rest) =>
      this.#native.send(source, to.#native, ...rest),
    );
  }

  connectTcp(host, port, options) {
    return this.connect({ host, port }, options);
  }

  connectUnix(path, options) {
    return this.connect({ path }, options);
  }

  async connect(to, options) {
    const given = check.options(options, ['signal'], 'connect');
    const at = endpoint(to, 'the endpoint');
    const native = await start((operation) => this.#native.reach(operation, at), {
      signal: check.abortSignal(given.signal),
    });
    return Connection.adopt(native);
  }

  async listen(at = 0, options) {
    const given = check.options(options, ['signal'], 'listen');
    const where = endpoint(at, 'the endpoint');
    const native = await start((operation) => this.#native.listen(operation, where), {
      signal: check.abortSignal(given.signal),
    });
    return RemoteListener.adopt(native);
  }

  async #forward(remote, options, operation) {
    const { signal, spec } = asked(remote, options, operation);
    const native = await start((number) => this.#native.forward(number, spec), { signal });
    return Forward.adopt(native);
  }

  async forwardLocal(options) {
    if (options?.target === undefined) check.refuse('forwardLocal needs a target');
    return this.#forward(false, options, 'forwardLocal');
  }

  async forwardRemote(options) {
    return this.#forward(true, options, 'forwardRemote');
  }

  async forwardDynamic(options) {
    if (options?.target !== undefined) check.refuse('forwardDynamic takes no target');
    return this.#forward(false, options, 'forwardDynamic');
  }

  forwards() {
    const forwards = this.#native.forwards();
    if (forwards === null) throw fromFailure(givenBack(this.#native, 'forwards'));
    return forwards.map(figures);
  }

  async drop(files, options) {
    const given = check.options(options, ['encoding', 'signal'], 'drop');
    const encoding = check.encoding(given.encoding, 'utf8');
    const signal = check.abortSignal(given.signal);
    if (!Array.isArray(files)) check.refuse('what is dropped must be an array of paths');
    const encoded = files.map((file) => paths.encoded(file));
    const native = await start((operation) => this.#native.dropFiles(operation, encoded), {
      signal,
      discard: (late) => late.abandon(),
    });
    return Dropped.adopt(native, encoding);
  }

  release() {
    this.#native.release();
  }

  async close() {
    await start((operation) => this.#native.close(operation));
  }

  async shutdown(timeout) {
    const limit = check.limit(timeout, 'timeout');
    return start((operation) => this.#native.shutdown(operation, limit));
  }

  async capabilities() {
    const able = await start((operation) => this.#native.capabilities(operation));
    return { ...able, filesWhy: able.filesWhy ?? null, channels: able.channels ?? null };
  }

  stats() {
    const stats = this.#native.stats();
    if (stats === null) throw fromFailure(givenBack(this.#native, 'stats'));
    return plain(stats);
  }

  ref() {
    this.#life.follow();
    this.#life.ref(this);
    return this;
  }

  unref() {
    this.#life.unref();
    return this;
  }
}

// Node 18 may not know the symbol.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(Session.prototype, Symbol.asyncDispose, {
    value() {
      return Session.dispose(this);
    },
    configurable: true,
    writable: true,
  });
}

/** A wrong argument, as a method that promises tells it. */
async function refused(message) {
  check.refuse(message);
}



module.exports = { Session, connect };
