// Checks what callers pass, and gives it the form the addon takes.
//
// A wrong type or an unknown option is a TypeError, as in Node; a value that no host could use is
// for the core to refuse.
'use strict';

function refuse(message, code = 'ERR_INVALID_ARG_TYPE') {
  const error = new TypeError(message);
  error.code = code;
  throw error;
}

const isObject = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);

/** Refuses anything but a plain set of known options; undefined is none. */
function options(value, known, of) {
  if (value === undefined || value === null) return {};
  if (!isObject(value)) refuse(`the options of ${of} must be an object`);
  for (const name of Object.keys(value)) {
    if (!known.includes(name)) {
      refuse(`${of} has no option ${JSON.stringify(name)}`, 'ERR_INVALID_ARG_VALUE');
    }
  }
  return value;
}

function optional(value, name, type) {
  if (value === undefined || value === null) return undefined;
  if (typeof value !== type) refuse(`${name} must be a ${type}`);
  return value;
}

const text = (value, name) => optional(value, name, 'string');
const flag = (value, name) => optional(value, name, 'boolean');
const callback = (value, name) => optional(value, name, 'function');

/** A whole number that the addon can take. */
function count(value, name) {
  const number = optional(value, name, 'number');
  if (number !== undefined && (!Number.isInteger(number) || number < 0 || number >= 2 ** 32)) {
    refuse(`${name} must be a whole number from 0 to 4294967295`, 'ERR_OUT_OF_RANGE');
  }
  return number;
}

/** A place in a file, or a length of one, in bytes. */
function position(value, name) {
  const number = optional(value, name, 'number');
  if (number !== undefined && !(Number.isSafeInteger(number) && number >= 0)) {
    refuse(`${name} must be a whole number, 0 or more`, 'ERR_OUT_OF_RANGE');
  }
  return number;
}

/** Permission bits: a number, or a string of octal digits. */
function mode(value) {
  if (typeof value === 'string') {
    if (!/^[0-7]{1,7}$/.test(value)) refuse('mode must be a number, or a string of octal digits', 'ERR_INVALID_ARG_VALUE');
    return Number.parseInt(value, 8);
  }
  return count(value, 'mode');
}

/** A point in time in milliseconds since 1970: a Date, or seconds as a number or a string. */
function moment(value, name) {
  const milliseconds = value instanceof Date ? value.getTime() : Number(value) * 1000;
  if (!(value instanceof Date || ['number', 'string'].includes(typeof value)) || !Number.isFinite(milliseconds)) {
    refuse(`${name} must be a Date, or a number of seconds`);
  }
  return milliseconds;
}

/** How bytes become text; `buffer` is not at all. */
function encoding(value, otherwise) {
  const name = text(value, 'encoding') ?? otherwise;
  if (name !== 'buffer' && !Buffer.isEncoding(name)) {
    refuse(`encoding must be "buffer" or one that Buffer knows, not ${JSON.stringify(name)}`, 'ERR_INVALID_ARG_VALUE');
  }
  return name;
}

/** What is to be written. */
function contents(value, encoded) {
  if (typeof value === 'string' && encoded !== 'buffer') return Buffer.from(value, encoded);
  if (value === undefined || value === null) refuse('what is written must be a string or a Uint8Array');
  return bytes(value, 'what is written');
}

/** A length of time in milliseconds. */
function time(value, name) {
  const number = optional(value, name, 'number');
  if (number !== undefined && !(number >= 0 && number <= Number.MAX_SAFE_INTEGER)) {
    refuse(`${name} must be a number of milliseconds, 0 or more`, 'ERR_OUT_OF_RANGE');
  }
  return number;
}

/** A length of time that something may take; Infinity is as long as it can be counted. */
function limit(value, name) {
  if (value === undefined || value === null) refuse(`${name} must be a number of milliseconds`);
  return time(value === Infinity ? Number.MAX_SAFE_INTEGER : value, name);
}

/** A number of bytes. */
function bytesCount(value, name) {
  const number = optional(value, name, 'number');
  if (number !== undefined && !(Number.isSafeInteger(number) && number >= 0)) {
    refuse(`${name} must be a number of bytes, 0 or more`, 'ERR_OUT_OF_RANGE');
  }
  return number;
}

function texts(value, name) {
  if (value === undefined || value === null) return undefined;
  if (!Array.isArray(value) || !value.every((item) => typeof item === 'string')) {
    refuse(`${name} must be an array of strings`);
  }
  return value;
}

function abortSignal(value) {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value) || typeof value.aborted !== 'boolean') {
    refuse('signal must be an AbortSignal');
  }
  return value;
}

/** One of a few words. */
function choice(value, name, words) {
  const word = text(value, name);
  if (word !== undefined && !words.includes(word)) {
    refuse(`${name} must be one of ${words.join(', ')}`, 'ERR_INVALID_ARG_VALUE');
  }
  return word;
}

/** Whether a command moves much data, and how much. */
function lane(value, size) {
  const bulk = choice(value, 'lane', ['interactive', 'bulk']) === 'bulk';
  const expectedSize = optional(size, 'expectedSize', 'number');
  if (expectedSize === undefined) return { bulk };
  if (!Number.isSafeInteger(expectedSize) || expectedSize < 0) {
    refuse('expectedSize must be a whole number of bytes', 'ERR_OUT_OF_RANGE');
  }
  if (!bulk) refuse("expectedSize is for the lane 'bulk'", 'ERR_INVALID_ARG_VALUE');
  return { bulk, expectedSize };
}

/** The bytes of a string or a view; a view's own bytes only. */
function bytes(value, name) {
  if (value === undefined || value === null) return undefined;
  if (typeof value === 'string') return Buffer.from(value);
  if (ArrayBuffer.isView(value)) {
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  }
  return refuse(`${name} must be a string or a Uint8Array`);
}

/**
 * A string is a line for the remote shell, an array is a program and its arguments, an object names a
 * subsystem.
 */
function command(value) {
  if (typeof value === 'string') return { line: value };
  if (Array.isArray(value) && value.every((word) => typeof word === 'string')) {
    return { words: value };
  }
  if (isObject(value) && Object.keys(value).join() === 'subsystem') {
    return { subsystem: text(value.subsystem, 'subsystem') };
  }
  return refuse(
    'a command must be a string (a shell line), an array of strings (a program and its arguments) or { subsystem: name }',
  );
}

function environment(value) {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) refuse('env must be an object');
  const set = {};
  for (const [name, setting] of Object.entries(value)) {
    // As in Node: an undefined variable is not set.
    if (setting === undefined) continue;
    if (typeof setting !== 'string') refuse(`env.${name} must be a string`);
    set[name] = setting;
  }
  return set;
}

/** Variables to set, and with null those to unset. */
function changes(value) {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) refuse('env must be an object');
  const given = Object.entries(value).filter(([, setting]) => setting !== undefined);
  const wrong = given.find(([, setting]) => typeof setting !== 'string' && setting !== null);
  if (wrong !== undefined) refuse(`env.${wrong[0]} must be a string, or null`);
  return Object.fromEntries(given);
}

/** `ssh_config` settings, each keyword with one value or several. */
function settings(value) {
  if (value === undefined || value === null) return undefined;
  if (!isObject(value)) refuse('options.options must be an object');
  return Object.entries(value).flatMap(([keyword, setting]) =>
    [setting].flat().map((one) => {
      if (typeof one !== 'string') {
        refuse(`the ssh option ${keyword} must be a string or an array of strings`);
      }
      return { keyword, value: one };
    }),
  );
}

function pty(value) {
  if (value === undefined || value === null || value === false) return undefined;
  if (value === true) return {};
  const given = options(value, ['term', 'columns', 'rows', 'modes', 'optional'], 'pty');
  const modes = given.modes === undefined ? undefined : Object.entries(options(given.modes, Object.keys(given.modes), 'pty.modes'));
  return {
    term: text(given.term, 'pty.term'),
    columns: count(given.columns, 'pty.columns'),
    rows: count(given.rows, 'pty.rows'),
    optional: flag(given.optional, 'pty.optional'),
    modes: modes?.map(([opcode, setting]) => ({
      opcode: count(Number(opcode), 'a key of pty.modes'),
      value: count(setting, `pty.modes[${opcode}]`),
    })),
  };
}

module.exports = {
  abortSignal,
  bytes,
  bytesCount,
  callback,
  changes,
  choice,
  command,
  contents,
  count,
  encoding,
  environment,
  flag,
  isObject,
  lane,
  limit,
  mode,
  moment,
  options,
  position,
  pty,
  refuse,
  settings,
  text,
  texts,
  time,
};
