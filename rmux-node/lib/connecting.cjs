// What a connection needs of the program: its settings for the addon, and the answers to the
// questions of connecting.
'use strict';

const check = require('./arguments.cjs');

const OPTIONS = [
  'user',
  'port',
  'identityFiles',
  'configFile',
  'options',
  'password',
  'hostKeyPolicy',
  'dangerAcceptAnyHostKey',
  'passphrase',
  'keyboardInteractive',
  'connectTimeout',
  'keepalive',
  'onEvent',
  'signal',
];

/** Splits what `connect` was given into settings for the addon and callbacks. */
function read(given) {
  const options = check.options(given, OPTIONS, 'connect');
  const callbacks = {
    hostKey: typeof options.hostKeyPolicy === 'function' ? options.hostKeyPolicy : undefined,
    password: typeof options.password === 'function' ? options.password : undefined,
    passphrase: check.callback(options.passphrase, 'passphrase'),
    keyboardInteractive: check.callback(options.keyboardInteractive, 'keyboardInteractive'),
  };
  const keepalive = readKeepalive(options.keepalive);
  const settings = {
    user: check.text(options.user, 'user'),
    port: check.count(options.port, 'port'),
    identityFiles: check.texts(options.identityFiles, 'identityFiles'),
    configFile: options.configFile === false ? undefined : check.text(options.configFile, 'configFile'),
    noConfigFile: options.configFile === false,
    options: check.settings(options.options),
    password: callbacks.password === undefined ? check.text(options.password, 'password') : undefined,
    hostKeyPolicy: readPolicy(options, callbacks),
    connectTimeout: check.time(options.connectTimeout, 'connectTimeout'),
    keepaliveInterval: keepalive.interval,
    keepaliveCount: keepalive.count,
    asked: readAsked(callbacks),
  };
  return {
    settings,
    callbacks,
    onEvent: check.callback(options.onEvent, 'onEvent'),
    signal: check.abortSignal(options.signal),
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

/** What each callback is told, and how its value becomes an answer. */
const QUESTIONS = {
  hostKey: {
    prompt: ({ host, knownAs, algorithm, fingerprint }) => ({ host, knownAs, algorithm, fingerprint }),
    answer: (value) => ({ accepted: value === true }),
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
};

function oneSecret(value, name) {
  const secret = check.text(value, `${name}'s answer`);
  return secret === undefined ? {} : { secrets: [secret] };
}

/** Asks the program; rejects with what its callback threw. */
async function answer(callbacks, question) {
  const kind = QUESTIONS[question.kind];
  return kind.answer(await callbacks[question.kind](kind.prompt(question)));
}

module.exports = { answer, read };
