// The operations under way in the addon, and what keeps the process alive for them.
//
// Each operation has a number; the addon delivers its result with that number, once. An operation
// that is pending keeps the process alive, as Node's own do; the addon itself never does.
'use strict';

const { setInterval } = require('node:timers');
const { fromFailure, fromSignal } = require('./errors.cjs');
const { Bridge } = require('./native.cjs');

const LONGEST_TIMER = 2 ** 31 - 1;
const ABORTED = Symbol('aborted');

let lastNumber = 0;
/** Number → { resolve, reject, holds }. */
const pending = new Map();
/** Number of a connect or a pool → what hears the events and answers the questions of its sessions. */
const listeners = new Map();
/** Number of a question that is open → what to call when nobody waits for its answer any more. */
const questions = new Map();

const anchor = setInterval(() => {}, LONGEST_TIMER);
anchor.unref();
let holds = 0;

/** Keeps the process alive until `release` was called as often. */
function hold() {
  holds += 1;
  if (holds === 1) anchor.ref();
}

function release() {
  holds -= 1;
  if (holds === 0) anchor.unref();
}

const bridge = new Bridge((what, number, failure, value) => {
  if (what === 'settled') settle(number, failure, value);
  else if (what === 'event') listeners.get(number)?.event(value);
  else if (what === 'question') listeners.get(number)?.question(value);
  else if (what === 'withdrawn') questions.get(number)?.();
  else listeners.delete(number);
});

function settle(number, failure, value) {
  const operation = pending.get(number);
  if (operation === undefined) return;
  pending.delete(number);
  if (operation.holds) release();
  if (failure !== null) operation.reject(failure);
  else operation.resolve(value);
}

function nextNumber() {
  do {
    // As wide as the addon's numbers.
    lastNumber = (lastNumber + 1) >>> 0;
  } while (pending.has(lastNumber) || listeners.has(lastNumber));
  return lastNumber;
}

/**
 * Starts an operation: calls `begin` with its number. Resolves with its value.
 *
 * @param begin calls one method of the addon
 * @param options.signal an AbortSignal that stops the operation
 * @param options.orderly whether that lets it end in order: it fails then when it has ended
 * @param options.discard gets rid of a value that came too late
 * @param options.cause tells what made the operation fail with this failure, where that is known here
 */
async function start(begin, { number = nextNumber(), signal, orderly = false, discard, cause } = {}) {
  if (signal?.aborted) throw fromSignal(signal);
  let abort;
  try {
    return await new Promise((resolve, reject) => {
      pending.set(number, { resolve, reject, holds: true });
      hold();
      abort = () => {
        if (orderly && bridge.stop(number)) return;
        if (bridge.cancel(number)) {
          pending.delete(number);
          release();
        } else {
          // Its result is on its way and nobody wants it any more.
          pending.set(number, { resolve: (value) => discard?.(value), reject: () => {}, holds: true });
        }
        reject(ABORTED);
      };
      signal?.addEventListener('abort', abort, { once: true });
      try {
        begin(number);
      } catch (error) {
        // The addon refused the arguments: nothing was started.
        pending.delete(number);
        release();
        throw error;
      }
    });
  } catch (problem) {
    // Errors are made here, where their stack leads to the caller.
    if (problem === ABORTED) throw fromSignal(signal);
    throw problem instanceof Error ? problem : fromFailure(problem, cause?.(problem));
  } finally {
    signal?.removeEventListener('abort', abort);
  }
}

/**
 * Starts an operation that keeps neither the process alive nor `begin` and what that knows; it must
 * not fail.
 */
function follow(begin) {
  const number = nextNumber();
  const followed = new Promise((resolve, reject) => {
    pending.set(number, { resolve, reject, holds: false });
  });
  begin(number);
  return followed;
}

/** Stops an operation without settling it. False: it is being settled already. */
function forget(number) {
  if (!bridge.cancel(number)) return false;
  pending.delete(number);
  release();
  return true;
}

module.exports = { bridge, follow, forget, hold, listeners, nextNumber, questions, release, start };
