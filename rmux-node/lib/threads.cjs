// What belongs to the thread that made it, and cannot be sent to another.
'use strict';

const { markAsUncloneable } = require('node:worker_threads');

/**
 * Has `postMessage` and `structuredClone` refuse an object. Without it they would make an empty object
 * of it, and whoever gets that would learn much later.
 */
function stayHere(object) {
  if (markAsUncloneable !== undefined) {
    markAsUncloneable(object);
    return;
  }
  // A Node that has no way to say so refuses what has a function. Its error shows the function.
  Object.defineProperty(object, '_belongsToItsThread', {
    value: _belongsToItsThread,
    enumerable: true,
  });
}

function _belongsToItsThread() {}

module.exports = { stayHere };
