// Pools: sessions that are shared by all who want the same host.
'use strict';

const check = require('./arguments.cjs');
const connecting = require('./connecting.cjs');
const { fromFailure } = require('./errors.cjs');
const { runMany } = require('./hosts.cjs');
const leaving = require('./leaving.cjs');
const { tell, toEvent } = require('./events.cjs');
const { NativePool } = require('./native.cjs');
const { bridge, listeners, nextNumber, start } = require('./operations.cjs');
const { Session } = require('./session.cjs');
const { plain } = require('./stats.cjs');
const { stayHere } = require('./threads.cjs');

const LIMITS = ['linger', 'maxConnections', 'maxConnectionsPerHost', 'acquireTimeout'];
const OPTIONS = [...connecting.SHARED, ...LIMITS];

/** Sessions that are shared by all who want the same host; see index.d.ts. */
class Pool {
  #native;
  #callbacks;

  constructor(options) {
    const given = check.options(options, OPTIONS, 'a Pool');
    const { settings, callbacks, onEvent } = connecting.read(given);
    const limits = {
      linger: check.limit(given.linger ?? 0, 'linger'),
      maxConnections: room(given.maxConnections, 'maxConnections'),
      maxConnectionsPerHost: room(given.maxConnectionsPerHost, 'maxConnectionsPerHost'),
      acquireTimeout: check.limit(given.acquireTimeout ?? Infinity, 'acquireTimeout'),
    };
    leaving.watch();
    const number = nextNumber();
    const native = bridge.pool(number, settings, limits);
    if (!(native instanceof NativePool)) throw fromFailure(native);
    this.#native = native;
    this.#callbacks = { questions: new connecting.Questions(callbacks), onEvent };
    listeners.set(number, listener(new WeakRef(this.#callbacks)));
    stayHere(this);
  }

  async session(host, options) {
    if (typeof host !== 'string') check.refuse('the host must be a string');
    const { signal } = check.options(options, ['signal'], 'session');
    const native = await start((operation) => this.#native.session(operation, host), {
      signal: check.abortSignal(signal),
      discard: (late) => late.release(),
      cause: (failure) => this.#callbacks.questions.cause(failure),
    });
    return Session.adopt(native, this.#callbacks);
  }

  runMany(hosts, command, options) {
    return runMany(this.#native, hosts, command, options, this.#callbacks);
  }

  sessions() {
    return this.#native.sessions().map((native) => Session.adopt(native, this.#callbacks));
  }

  async close() {
    await start((operation) => this.#native.close(operation));
  }

  async shutdown(timeout) {
    const limit = check.limit(timeout, 'timeout');
    return start((operation) => this.#native.shutdown(operation, limit));
  }

  stats() {
    const stats = this.#native.stats();
    return { ...stats, sessions: stats.sessions.map(plain) };
  }
}

/** How many connections there may be; undefined and Infinity are any number. */
function room(value, name) {
  const number = check.count(value === Infinity ? undefined : value, name);
  if (number === 0) check.refuse(`${name} must be 1 or more`, 'ERR_OUT_OF_RANGE');
  return number;
}

/**
 * Passes events and questions on. The pool and its sessions hold the callbacks, and this does not: a
 * callback that knows its pool does not keep it.
 */
function listener(callbacks) {
  return {
    event(facts) {
      const onEvent = callbacks.deref()?.onEvent;
      if (onEvent !== undefined) tell(onEvent, toEvent(facts));
    },
    async question(question) {
      const questions = callbacks.deref()?.questions;
      const answer = questions === undefined ? { failed: true } : await questions.answer(question);
      bridge.answer(question.number, answer);
    },
  };
}

// Node 18 may not know the symbol.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(Pool.prototype, Symbol.asyncDispose, {
    value: Pool.prototype.close,
    configurable: true,
    writable: true,
  });
}

module.exports = { Pool };
