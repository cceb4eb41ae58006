// The CommonJS entry of rmux; index.mjs is the ES module's. Both give the same classes.
'use strict';

const { Child } = require('./lib/child.cjs');
const { AbortError, RmuxError } = require('./lib/errors.cjs');
const { connect, Session } = require('./lib/session.cjs');

module.exports = { AbortError, Child, RmuxError, Session, connect };
