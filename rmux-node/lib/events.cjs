// The steps in a session's life, as programs hear of them, and what they throw on hearing.
'use strict';

const { fromFailure } = require('./errors.cjs');

/** Calls an observer. */
function tell(observer, event) {
  try {
    observer(event);
  } catch (error) {
    throwToProgram(error);
  }
}

/** Throws where no call is there to fail: it is the program's to see, as what any listener throws. */
function throwToProgram(error) {
  process.nextTick(() => {
    throw error;
  });
}

function toEvent({ type, host, address, text, user, method, reason }) {
  switch (type) {
    case 'connecting':
      return { type, host };
    case 'connected':
      return { type, address };
    case 'banner':
      return { type, text };
    case 'authenticated':
      return { type, user, method };
    case 'lost':
      return { type, reason: fromFailure(reason) };
    default:
      return { type };
  }
}

module.exports = { tell, throwToProgram, toEvent };
