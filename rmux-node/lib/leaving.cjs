// The end of the process: sessions are closed, so that commands which must not outlive it are ended.
//
// Node's own end of a signal stays as it is where the program listens to none.
'use strict';

const { isMainThread } = require('node:worker_threads');
const { bridge } = require('./operations.cjs');

/** How long the end of the process waits for sessions to close, in milliseconds. */
const EXIT_WAIT = 3000;
const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'];

let watching = false;

/** Sees to the end of the process, from the first session on. */
function watch() {
  // What a worker leaves is let go of with its environment, while the process goes on.
  if (watching || !isMainThread) return;
  watching = true;
  process.on('exit', () => bridge.closeAll(EXIT_WAIT));
  // They keep the process alive no more than anything else here does. In front of the program's own,
  // since one that listens once is gone when it has heard.
  for (const signal of SIGNALS) process.prependListener(signal, leave);
}

function leave(signal) {
  // A program that listens decides what becomes of the process; if it ends, "exit" is heard.
  if (process.listenerCount(signal) > 1) return;
  bridge.closeAll(EXIT_WAIT);
  process.removeListener(signal, leave);
  process.kill(process.pid, signal);
}

module.exports = { watch };
