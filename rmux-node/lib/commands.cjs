// How a command is described to the addon and what came of it to the caller, whoever runs it: a session,
// or a context of one.
'use strict';

const check = require('./arguments.cjs');
const { Child } = require('./child.cjs');
const { ends, toResult } = require('./completed.cjs');
const { fromFailure, fromSignal } = require('./errors.cjs');
const { start } = require('./operations.cjs');

const RUN = [
  'env',
  'cwd',
  'input',
  'timeout',
  'killGrace',
  'maxOutput',
  'onExcess',
  'signal',
  'encoding',
  'check',
  'verbatim',
  'lane',
  'expectedSize',
];
const SPAWN = [
  'env',
  'cwd',
  'pty',
  'stdin',
  'stdout',
  'stderr',
  'killOnDrop',
  'killGrace',
  'signal',
  'verbatim',
  'lane',
  'expectedSize',
];
const STDIO = ['pipe', 'ignore', 'inherit'];

/** Runs a command to its end by `begin`, with such of the options as are known there. */
async function run(command, options, known, begin) {
  const given = check.options(options, known, 'run');
  const encoding = check.encoding(given.encoding, 'utf8');
  const signal = check.abortSignal(given.signal);
  const spec = {
    ...check.command(command),
    env: check.environment(given.env),
    cwd: check.text(given.cwd, 'cwd'),
    input: check.bytes(given.input, 'input'),
    // As in Node, 0 is no limit.
    timeout: check.time(given.timeout, 'timeout') || undefined,
    ...ends(given),
    check: check.flag(given.check, 'check'),
    ...check.lane(given.lane, given.expectedSize),
    killOnDrop: signal !== undefined,
    verbatim: check.flag(given.verbatim, 'verbatim'),
  };
  const completed = await ended((operation) => begin(operation, spec), signal);
  const result = toResult(completed, encoding);
  const { failure } = completed;
  if (failure) throw Object.assign(toError(failure, signal), result);
  return result;
}

/** Starts a command by `begin`, likewise. */
async function spawn(command, options, known, begin) {
  const given = check.options(options, known, 'spawn');
  const signal = check.abortSignal(given.signal);
  const spec = {
    ...check.command(command),
    env: check.environment(given.env),
    cwd: check.text(given.cwd, 'cwd'),
    pty: check.pty(given.pty),
    ...check.lane(given.lane, given.expectedSize),
    stdin: check.choice(given.stdin, 'stdin', STDIO),
    stdout: check.choice(given.stdout, 'stdout', STDIO),
    stderr: check.choice(given.stderr, 'stderr', STDIO),
    killOnDrop: signal !== undefined || (check.flag(given.killOnDrop, 'killOnDrop') ?? true),
    killGrace: check.time(given.killGrace, 'killGrace'),
    verbatim: check.flag(given.verbatim, 'verbatim'),
  };
  const native = await start((operation) => begin(operation, spec), {
    signal,
    discard: Child.discard,
  });
  return Child.adopt(native, signal, spec.killGrace);
}

/** Runs a command; aborted, it ends in order, and what came of that is in the error. */
async function ended(begin, signal) {
  try {
    return await start(begin, { signal, orderly: true });
  } catch (error) {
    if (error.code !== 'CANCELLED') throw error;
    throw Object.assign(fromSignal(signal), { confirmed: error.confirmed });
  }
}

function toError(failure, signal) {
  if (failure.code !== 'CANCELLED') return fromFailure(failure);
  return Object.assign(fromSignal(signal), { confirmed: failure.confirmed });
}

module.exports = { RUN, SPAWN, run, spawn };
