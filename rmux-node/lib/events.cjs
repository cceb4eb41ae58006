// The steps in a session's life, as programs hear of them.
'use strict';

const { fromFailure } = require('./errors.cjs');

/** Calls an observer; what it throws is the program's to see, as with any event. */
function tell(observer, event) {
  try {
    observer(event);
  } catch (error) {
    process.nextTick(() => {
      throw error;
    });
  }
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

module.exports = { tell, toEvent };
