// What comes of a command that is run to its end, and how it may be ended before: of one or of many.
'use strict';

const check = require('./arguments.cjs');

const ON_EXCESS = ['error', 'truncate', 'spill'];

/** The options about being ended, and about too much output. */
function ends({ killGrace, maxOutput, onExcess }) {
  if (onExcess !== undefined && maxOutput === undefined) {
    check.refuse('onExcess needs maxOutput', 'ERR_INVALID_ARG_VALUE');
  }
  return {
    killGrace: check.time(killGrace, 'killGrace'),
    maxOutput: check.bytesCount(maxOutput, 'maxOutput'),
    onExcess: check.choice(onExcess, 'onExcess', ON_EXCESS),
  };
}

/** The addon's `Completed` as `RunResult`. */
function toResult({ exit, stdout, stderr, more }, encoding) {
  const result = {
    stdout: encoding === 'buffer' ? stdout : stdout.toString(encoding),
    stderr: encoding === 'buffer' ? stderr : stderr.toString(encoding),
    exitCode: exit.exitCode ?? null,
    signal: exit.signal ?? null,
  };
  if (more.stdoutDropped > 0) result.stdoutDropped = more.stdoutDropped;
  if (more.stderrDropped > 0) result.stderrDropped = more.stderrDropped;
  if (more.stdoutFile !== undefined) result.stdoutFile = more.stdoutFile;
  if (more.stderrFile !== undefined) result.stderrFile = more.stderrFile;
  return result;
}

module.exports = { ends, toResult };
