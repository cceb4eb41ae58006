// The results of one command on many hosts, one after the other.
'use strict';

const check = require('./arguments.cjs');
const { ends, toResult } = require('./completed.cjs');
const { fromFailure, fromSignal } = require('./errors.cjs');
const { NativeHostOutputs } = require('./native.cjs');
const { start } = require('./operations.cjs');
const { stayHere } = require('./threads.cjs');

const RUN_MANY = [
  'env',
  'cwd',
  'input',
  'encoding',
  'killGrace',
  'maxOutput',
  'onExcess',
  'verbatim',
  'limit',
  'ordered',
  'failFast',
  'timeout',
  'deadline',
  'signal',
];

/** Runs a command on many hosts of a pool; see index.d.ts. */
function runMany(native, hosts, command, options, held) {
  if (check.texts(hosts, 'hosts') === undefined) check.refuse('hosts must be an array of strings');
  const given = check.options(options, RUN_MANY, 'runMany');
  const encoding = check.encoding(given.encoding, 'utf8');
  const signal = check.abortSignal(given.signal);
  const many = {
    hosts,
    limit: check.count(given.limit, 'limit'),
    ordered: check.flag(given.ordered, 'ordered'),
    failFast: check.flag(given.failFast, 'failFast'),
    // As in Node, 0 is no limit.
    timeout: check.time(given.timeout, 'timeout') || undefined,
    deadline: check.time(given.deadline, 'deadline') || undefined,
  };
  const spec = {
    ...check.command(command),
    env: check.environment(given.env),
    cwd: check.text(given.cwd, 'cwd'),
    input: check.bytes(given.input, 'input'),
    ...ends(given),
    killOnDrop: true,
    verbatim: check.flag(given.verbatim, 'verbatim'),
  };
  const outputs = native.runMany(many, spec);
  if (!(outputs instanceof NativeHostOutputs)) throw fromFailure(outputs);
  return new HostResults(outputs, encoding, signal, held);
}

/** An async iterator of what came of each host; see index.d.ts. */
class HostResults {
  #native;
  #encoding;
  #signal;
  /** The callbacks of the pool, which are needed as long as there are results. */
  #held;
  #over = false;

  constructor(native, encoding, signal, held) {
    this.#native = native;
    this.#encoding = encoding;
    this.#signal = signal;
    this.#held = held;
    stayHere(this);
  }

  async next() {
    if (this.#over) return { done: true, value: undefined };
    let outcome;
    try {
      outcome = await start((operation) => this.#native.next(operation), {
        signal: this.#signal,
        cause: (failure) => this.#held.questions.cause(failure),
      });
    } catch (error) {
      await this.return();
      throw this.#signal?.aborted ? fromSignal(this.#signal) : error;
    }
    if (outcome === null) {
      this.#over = true;
      return { done: true, value: undefined };
    }
    return { done: false, value: this.#result(outcome) };
  }

  /** Ends all, and waits for it. What `for await` calls when it is left. */
  async return(value) {
    this.#over = true;
    await start((operation) => this.#native.close(operation));
    return { done: true, value };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #result({ index, host, completed, failure }) {
    const result = completed && toResult(completed, this.#encoding);
    const failed = failure ?? completed.failure;
    if (!failed) return { index, host, result };
    const error = fromFailure(failed, this.#held.questions.cause(failed));
    return { index, host, error: Object.assign(error, result) };
  }
}

// Node 18 may not know the symbol.
if (typeof Symbol.asyncDispose === 'symbol') {
  Object.defineProperty(HostResults.prototype, Symbol.asyncDispose, {
    async value() {
      await this.return();
    },
    configurable: true,
    writable: true,
  });
}

module.exports = { runMany };
