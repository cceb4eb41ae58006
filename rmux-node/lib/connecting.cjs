// What a connection needs of the program: its settings for the addon, and the answers to the
// questions of connecting.
'use strict';

const check = require('./arguments.cjs');
const { throwToProgram } = require('./events.cjs');
const { questions } = require('./operations.cjs');
const resolving = require('./resolving.cjs');

/** The options that a pool has too. */
const SHARED = [
  ...resolving.SHARED,
  'password',
  'hostKeyPolicy',
  'dangerAcceptAnyHostKey',
  'passphrase',
  'keyboardInteractive',
  'agentKey',
  'hostKeys',
  'connectTimeout',
  'answerTimeout',
  'keepalive',
  'env',
  'maxLinks',
  'furtherLogins',
  'onEvent',
];
/** How many errors of callbacks are kept for those who are yet to hear of them. */
const KEPT = 32;

/** Splits the options of `connect` or of a pool into settings for the addon and callbacks. */
function read(options) {
  const callbacks = {
    hostKey: typeof options.hostKeyPolicy === 'function' ? options.hostKeyPolicy : undefined,
    password: typeof options.password === 'function' ? options.password : undefined,
    passphrase: check.callback(options.passphrase, 'passphrase'),
    keyboardInteractive: check.callback(options.keyboardInteractive, 'keyboardInteractive'),
    agentKey: check.callback(options.agentKey, 'agentKey'),
    hostKeys: check.callback(options.hostKeys, 'hostKeys'),
  };
  const keepalive = readKeepalive(options.keepalive);
  const settings = {
    host: resolving.read(options),
    password: callbacks.password === undefined ? check.text(options.password, 'password') : undefined,
    hostKeyPolicy: readPolicy(options, callbacks),
    connectTimeout: check.time(options.connectTimeout, 'connectTimeout'),
    answerTimeout: check.time(options.answerTimeout, 'answerTimeout'),
    keepaliveInterval: keepalive.interval,
    keepaliveCount: keepalive.count,
    env: check.environment(options.env),
    maxLinks: readMaxLinks(options.maxLinks),
    furtherLogins: check.choice(options.furtherLogins, 'furtherLogins', ['silent', 'never', 'allowed']),
    asked: readAsked(callbacks),
  };
  return {
    settings,
    callbacks,
    onEvent: check.callback(options.onEvent, 'onEvent'),
  };
}

function readPolicy(options, callbacks) {
  if (check.flag(options.dangerAcceptAnyHostKey, 'dangerAcceptAnyHostKey')) {
    if (options.hostKeyPolicy !== undefined) {
      check.refuse('hostKeyPolicy and dangerAcceptAnyHostKey exclude each other', 'ERR_INVALID_ARG_VALUE');
    }
    return 'danger-accept-any';
  }
  if (callbacks.hostKey !== undefined) return 'ask';
  return check.choice(options.hostKeyPolicy, 'hostKeyPolicy, if not a function,', ['strict', 'accept-new']);
}

function readMaxLinks(given) {
  const links = check.count(given, 'maxLinks');
  if (links === 0) check.refuse('maxLinks must be 1 or more', 'ERR_OUT_OF_RANGE');
  return links;
}

function readKeepalive(given) {
  if (given === false) return { interval: 0 };
  const keepalive = check.options(given, ['interval', 'count'], 'keepalive');
  const interval = check.time(keepalive.interval, 'keepalive.interval');
  const count = check.count(keepalive.count, 'keepalive.count');
  if (given !== undefined && given !== null && interval === undefined) {
    check.refuse('keepalive needs an interval in milliseconds');
  }
  return { interval, count };
}

/** Which questions somebody answers; undefined where nobody answers any. */
function readAsked(callbacks) {
  const asked = {};
  for (const [kind, callback] of Object.entries(callbacks)) {
    asked[kind] = callback !== undefined;
  }
  return Object.values(asked).includes(true) ? asked : undefined;
}

const onTrueOnly = (value) => ({ accepted: value === true });

/** What each callback is told, and how its value becomes an answer. */
const QUESTIONS = {
  hostKey: {
    prompt: ({ host, knownAs, algorithm, fingerprint }) => ({ host, knownAs, algorithm, fingerprint }),
    answer: onTrueOnly,
  },
  passphrase: {
    prompt: ({ host, path, attempt }) => ({ host, path, attempt }),
    answer: (value) => oneSecret(value, 'passphrase'),
  },
  password: {
    prompt: ({ host, user, attempt }) => ({ host, user, attempt }),
    answer: (value) => oneSecret(value, 'password'),
  },
  keyboardInteractive: {
    prompt: ({ host, user, name, instructions, prompts }) => ({ host, user, name, instructions, prompts }),
    answer(value) {
      if (value === undefined || value === null) return {};
      return { secrets: check.texts(value, "keyboardInteractive's answer") };
    },
  },
  agentKey: {
    prompt: ({ host, path, comment, fingerprint }) => ({ host, path, comment, fingerprint }),
    answer: onTrueOnly,
  },
  hostKeys: {
    prompt: ({ host, knownAs, learned, outdated }) => ({ host, knownAs, learned, outdated }),
    answer: onTrueOnly,
    /** Asked while the session goes on: no call fails with what is thrown. */
    later: true,
  },
};

function oneSecret(value, name) {
  const secret = check.text(value, `${name}'s answer`);
  return secret === undefined ? {} : { secrets: [secret] };
}

/** The questions of one connection, or of all of a pool, as they come. */
class Questions {
  #callbacks;
  #open = new Set();
  /** What callbacks threw, by the number of the question. */
  #thrown = new Map();

  constructor(callbacks) {
    this.#callbacks = callbacks;
  }

  /** Asks the program; the answer as the addon takes it. */
  async answer(question) {
    const kind = QUESTIONS[question.kind];
    const asking = new AbortController();
    this.#open.add(asking);
    questions.set(question.number, () => asking.abort());
    try {
      const callback = this.#callbacks[question.kind];
      return kind.answer(await callback(kind.prompt(question), { signal: asking.signal }));
    } catch (error) {
      if (!kind.later) this.#keep(question.number, error);
      else if (!asking.signal.aborted) throwToProgram(error);
      return { failed: true };
    } finally {
      this.#open.delete(asking);
      questions.delete(question.number);
    }
  }

  #keep(number, error) {
    this.#thrown.set(number, error);
    if (this.#thrown.size > KEPT) this.#thrown.delete(this.#thrown.keys().next().value);
  }

  /** What a callback threw that made this failure. */
  cause(failure) {
    return this.#thrown.get(failure.question);
  }

  /** Tells the callbacks that have not answered that nobody waits for them any more. */
  end(reason) {
    for (const asking of this.#open) asking.abort(reason);
  }
}

module.exports = { Questions, SHARED, read };
