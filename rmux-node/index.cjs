// The CommonJS entry of rmux; index.mjs is the ES module's. Both give the same classes.
'use strict';

const { Child } = require('./lib/child.cjs');
const { AbortError, RmuxError } = require('./lib/errors.cjs');
const { Dir } = require('./lib/directory.cjs');
const { Dropped } = require('./lib/dropped.cjs');
const { FileHandle } = require('./lib/file-handle.cjs');
const { Files } = require('./lib/files.cjs');
const { Connection, Forward, RemoteListener } = require('./lib/forward.cjs');
const { resolve } = require('./lib/resolving.cjs');
const { Pool } = require('./lib/pool.cjs');
const { ShellContext } = require('./lib/contexts.cjs');
const { connect, Session } = require('./lib/session.cjs');
const { Dirent, Stats } = require('./lib/file-stats.cjs');

module.exports = {
  AbortError,
  Child,
  Connection,
  Dir,
  Dirent,
  Dropped,
  FileHandle,
  Files,
  Forward,
  Pool,
  RemoteListener,
  RmuxError,
  Session,
  ShellContext,
  Stats,
  connect,
  resolve,
};
