// The lines of a stream of UTF-8 text.
'use strict';

const { StringDecoder } = require('node:string_decoder');

/** Each line without its end (`\n` or `\r\n`); the last one also where it has none. */
async function* lines(stream) {
  const decoder = new StringDecoder('utf8');
  let rest = '';
  for await (const chunk of stream) {
    // A stream that was given an encoding yields text.
    const parts = (typeof chunk === 'string' ? chunk : decoder.write(chunk)).split('\n');
    parts[0] = rest + parts[0];
    rest = parts.pop();
    for (const line of parts) yield line.endsWith('\r') ? line.slice(0, -1) : line;
  }
  rest += decoder.end();
  if (rest !== '') yield rest;
}

module.exports = { lines };
