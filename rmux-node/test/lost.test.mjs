// What waits for the server: it ends with the link, and with a server that never answers.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { connect } from '../index.mjs';
import { startServer, until } from './testd.mjs';

test('every waiting call ends with the link', async () => {
  const server = await startServer(['--option', 'MaxSessions 6']);
  try {
    const session = await connect('127.0.0.1', server.options);
    const [waited, read, written, failed] = await Promise.all([
      session.spawn('sleep 600'),
      session.spawn('cat'),
      session.spawn('sleep 600'),
      session.spawn('sleep 600'),
    ]);
    const write = async () => {
      for (;;) {
        await new Promise((resolve, reject) => {
          written.stdin.once('error', reject);
          written.stdin.write(Buffer.alloc(1 << 20), (error) => (error ? reject(error) : resolve()));
        });
      }
    };
    const calls = {
      exited: waited.exited,
      read: read.stdout.toArray(),
      write: write(),
      errors: failed.stderr.toArray(),
      run: session.run('sleep 600'),
    };
    for (const number of [1, 2, 3, 4]) calls[`queue ${number}`] = session.run('sleep 600');
    let settled = 0;
    for (const call of Object.values(calls)) call.catch(() => {}).finally(() => settled++);
    // The last channel is kept to end commands with.
    await until('they run', async () => (await server.tell('status')).sessions >= 5);
    assert.equal(settled, 0);
    await server.tell('kill-connections');
    await until('all have settled', () => settled === Object.keys(calls).length);
    for (const [name, call] of Object.entries(calls)) {
      await assert.rejects(call, (error) => {
        // A stream that breaks says so, as one of this machine would.
        const codes = name === 'write' ? ['DISCONNECTED', 'EPIPE'] : ['DISCONNECTED'];
        assert.ok(codes.includes(error.code), `${name}: ${error.code} ${error.message}`);
        return true;
      });
    }
    await assert.rejects(session.run('true'), { code: 'DISCONNECTED' });
    await session.close();
  } finally {
    await server.stop();
  }
});

for (const silence of [['--opens-late', '3600000'], ['--mute']]) {
  test(`a server that never answers: ${silence[0]}`, async () => {
    const server = await startServer(['--embedded', ...silence]);
    try {
      const session = await connect('127.0.0.1', { ...server.options, answerTimeout: 500 });
      const unanswered = { code: 'TIMED_OUT', message: /did not answer/ };
      await assert.rejects(session.run('true'), unanswered);
      await assert.rejects(session.spawn('true'), unanswered);
      await session.close();
    } finally {
      await server.stop();
    }
  });
}
