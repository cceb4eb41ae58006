// The CommonJS entry of rmux; index.mjs is the ES module's. Both give the same classes.
'use strict';

const { Child } = require('./lib/child.cjs');
const { AbortError, RmuxError } = require('./lib/errors.cjs');
const { resolve } = require('./lib/resolving.cjs');
const { Pool } = require('./lib/pool.cjs');
const { connect, Session } = require('./lib/session.cjs');

module.exports = { AbortError, Child, Pool, RmuxError, Session, connect, resolve };
