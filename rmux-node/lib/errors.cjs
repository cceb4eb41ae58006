// The errors that rmux rejects with.
'use strict';

/** What failed, with a stable `code`; see index.d.ts. */
class RmuxError extends Error {
  constructor(message, { code, operation, host, cause, confirmed } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.operation = operation;
    this.host = host;
    if (confirmed !== undefined) this.confirmed = confirmed;
  }
}
// On the prototype, so that it is no property of each error.
Object.defineProperty(RmuxError.prototype, 'name', {
  value: 'RmuxError',
  configurable: true,
  writable: true,
});

/** The caller's AbortSignal ended the operation. Shaped as Node's own AbortError. */
class AbortError extends Error {
  constructor(message = 'The operation was aborted', options = undefined) {
    super(message, options);
    this.code = 'ABORT_ERR';
  }
}
Object.defineProperty(AbortError.prototype, 'name', {
  value: 'AbortError',
  configurable: true,
  writable: true,
});

/** The error for what the addon reports. */
function fromFailure(failure, cause) {
  const below = cause ?? (failure.source === undefined ? undefined : new Error(failure.source));
  return new RmuxError(failure.message, {
    code: failure.code,
    operation: failure.operation,
    host: failure.host,
    cause: below,
    confirmed: failure.confirmed,
  });
}

/** The error for an aborted signal. */
function fromSignal(signal) {
  return new AbortError(undefined, { cause: signal.reason });
}

/** The failure of a native session that was given back. */
function givenBack(native, operation) {
  const host = native.host.name;
  const message = `${operation}: ${host}: this handle of the session was given back`;
  return { code: 'CLOSED', operation, host, message };
}

module.exports = { AbortError, RmuxError, fromFailure, fromSignal, givenBack };
