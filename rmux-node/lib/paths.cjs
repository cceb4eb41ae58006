// Paths of the remote, which are bytes, as programs give and get them; and errors about them.
'use strict';

const check = require('./arguments.cjs');
const { RmuxError } = require('./errors.cjs');

/** A string, or the bytes of a name that need not be text, as the addon takes it. */
function encoded(path, name = 'path') {
  if (typeof path !== 'string' && !(path instanceof Uint8Array)) {
    check.refuse(`${name} must be a string or a Buffer`);
  }
  return check.bytes(path, name);
}

/** A name or a path as the program wants it: bytes that are not text become U+FFFD unless it wants bytes. */
function decoded(bytes, encoding) {
  if (encoding === 'buffer') return Buffer.from(bytes);
  if (typeof bytes === 'string' && encoding === 'utf8') return bytes;
  return Buffer.from(bytes).toString(encoding);
}

/** Does something about a path, or two; an error of that says which. */
async function about(path, dest, work) {
  try {
    return await work();
  } catch (error) {
    if (error instanceof RmuxError) {
      error.path = path;
      if (dest !== undefined) error.dest = dest;
    }
    throw error;
  }
}

module.exports = { about, decoded, encoded };
