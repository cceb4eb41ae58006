// What a destination resolves to: the options that decide it, and `resolve` itself.
'use strict';

const check = require('./arguments.cjs');
const { bridge, start } = require('./operations.cjs');

/** The options that `connect` has too. */
const SHARED = ['user', 'port', 'identityFiles', 'configFile', 'options', 'matchExec'];
const OPTIONS = [...SHARED, 'signal'];
const MATCH_EXEC = ['own-files', 'always', 'never'];

/** The shared options as the addon takes them. */
function read(options) {
  return {
    user: check.text(options.user, 'user'),
    port: check.count(options.port, 'port'),
    identityFiles: check.texts(options.identityFiles, 'identityFiles'),
    configFile: options.configFile === false ? undefined : check.text(options.configFile, 'configFile'),
    noConfigFile: options.configFile === false,
    options: check.settings(options.options),
    matchExec: check.choice(options.matchExec, 'matchExec', MATCH_EXEC),
  };
}

/** All settings that hold for a host; see index.d.ts. */
async function resolve(host, options) {
  if (typeof host !== 'string') check.refuse('the host must be a string');
  const given = check.options(options, OPTIONS, 'resolve');
  const settings = read(given);
  const signal = check.abortSignal(given.signal);
  const resolved = await start((operation) => bridge.resolve(operation, host, settings), { signal });
  return Object.fromEntries(
    resolved.map(({ key, values, repeats }) => [key, repeats ? values : values[0]]),
  );
}

module.exports = { SHARED, read, resolve };
