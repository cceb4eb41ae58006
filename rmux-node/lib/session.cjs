// Sessions: connecting, running commands, and when a session keeps the process alive.
'use strict';

const check = require('./arguments.cjs');
const { Child } = require('./child.cjs');
const connecting = require('./connecting.cjs');
const { fromFailure } = require('./errors.cjs');
const { bridge, hold, listeners, nextNumber, release, start } = require('./operations.cjs');

const RUN = ['env', 'cwd', 'input', 'timeout', 'signal', 'encoding', 'check'];
const SPAWN = ['env', 'cwd', 'pty', 'stdin', 'stdout', 'stderr', 'killOnDrop', 'signal'];
const STDIO = ['pipe', 'ignore', 'inherit'];

/** Only `connect` makes sessions. */
const key = Symbol('session');

/** Connects to a host; see index.d.ts. */
async function connect(host, options) {
  if (typeof host !== 'string') check.refuse('the host must be a string');
  const { settings, callbacks, onEvent, signal } = connecting.read(options);
  const number = nextNumber();
  const life = new Life();
  let thrown;
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
      let answer = { failed: true };
      try {
        answer = await connecting.answer(callbacks, question);
      } catch (error) {
        thrown = error;
      }
      bridge.answer(question.number, answer);
    },
  });
  try {
    const native = await start((operation) => bridge.connect(operation, host, settings), {
      number,
      signal,
      discard: closeQuietly,
      cause: () => thrown,
    });
    return new Session(key, native, life);
  } catch (error) {
    listeners.delete(number);
    throw error;
  }
}

function closeQuietly(native) {
  start((operation) => native.close(operation)).catch(() => {});
}

/** Calls an observer; what it throws is the program's to see, as with any event. */
function tell(observer, event) {
  try {
    observer(event);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
}

function toEvent({ type, host, address, text, user, method, reason }) {
  switch (type) {
    case 'connecting':
      return { type, host };
    case 'connected':
      return { type, address };
    case 'banner':
      return { type, text };
    case 'authenticated':
      return { type, user, method };
    case 'lost':
      return { type, reason: fromFailure(reason) };
    default:
      return { type };
  }
}

/** What outlasts a Session object: its end, and whether it keeps the process alive. */
class Life {
  #resolve;
  #keeps;

  closed = new Promise((resolve) => {
    this.#resolve = resolve;
  });
  ended = false;

  end(event) {
    this.ended = true;
    this.unref();
    this.#resolve(event.type === 'lost' ? { reason: 'lost', error: event.reason } : { reason: 'closed' });
  }

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

/** One host, connected to once, for any number of commands; see index.d.ts. */
class Session {
  #native;
  #life;

  constructor(secret, native, life) {
    if (secret !== key) throw new TypeError('a Session comes from connect()');
    this.#native = native;
    this.#life = life;
  }

  get host() {
    return this.#native.host;
  }

  get isClosed() {
    return this.#life.ended || this.#native.isClosed;
  }

  get closed() {
    return this.#life.closed;
  }

  async run(command, options) {
    const given = check.options(options, RUN, 'run');
    const encoding = readEncoding(given.encoding);
    const signal = check.abortSignal(given.signal);
    const spec = {
      ...check.command(command),
      env: check.environment(given.env),
      cwd: check.text(given.cwd, 'cwd'),
      input: check.bytes(given.input, 'input'),
      // As in Node, 0 is no limit.
      timeout: check.time(given.timeout, 'timeout') || undefined,
      check: check.flag(given.check, 'check'),
      killOnDrop: signal !== undefined,
    };
    const { exit, stdout, stderr, failure } = await start(
      (operation) => this.#native.run(operation, spec),
      { signal },
    );
    const result = {
      stdout: encoding === 'buffer' ? stdout : stdout.toString(encoding),
      stderr: encoding === 'buffer' ? stderr : stderr.toString(encoding),
      exitCode: exit.exitCode ?? null,
      signal: exit.signal ?? null,
    };
    if (failure) throw Object.assign(fromFailure(failure), result);
    return result;
  }

  async spawn(command, options) {
    const given = check.options(options, SPAWN, 'spawn');
    const signal = check.abortSignal(given.signal);
    const spec = {
      ...check.command(command),
      env: check.environment(given.env),
      cwd: check.text(given.cwd, 'cwd'),
      pty: check.pty(given.pty),
      stdin: check.choice(given.stdin, 'stdin', STDIO),
      stdout: check.choice(given.stdout, 'stdout', STDIO),
      stderr: check.choice(given.stderr, 'stderr', STDIO),
      killOnDrop: signal !== undefined || (check.flag(given.killOnDrop, 'killOnDrop') ?? true),
    };
    const native = await start((operation) => this.#native.spawn(operation, spec), {
      signal,
      discard: Child.discard,
    });
    return Child.adopt(native, signal);
  }

  async close() {
    await start((operation) => this.#native.close(operation));
  }

  ref() {
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
    value: Session.prototype.close,
    configurable: true,
    writable: true,
  });
}

function readEncoding(value) {
  const encoding = check.text(value, 'encoding') ?? 'utf8';
  if (encoding !== 'buffer' && !Buffer.isEncoding(encoding)) {
    check.refuse(`encoding must be "buffer" or one that Buffer knows, not ${JSON.stringify(encoding)}`, 'ERR_INVALID_ARG_VALUE');
  }
  return encoding;
}

module.exports = { Session, connect };
