// What a command is: its output is its own, and it runs on its host or nowhere.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { Pool, connect } from '../index.mjs';
import { startServer } from './testd.mjs';

let server;
let folder;
before(async () => {
  server = await startServer();
  folder = server.folder;
});
after(async () => {
  await server?.stop();
});

test('verbatim is all that comes', async () => {
  const noisy = await startServer([
    '--option',
    'ForceCommand echo noise; exec sh -c "$SSH_ORIGINAL_COMMAND"',
  ]);
  const session = await connect(noisy.host, noisy.options);
  assert.equal((await session.run('echo out')).stdout, 'out\n');
  assert.equal((await session.run('echo out', { verbatim: true })).stdout, 'noise\nout\n');
  for (const [verbatim, expected] of [[false, 'out\n'], [true, 'noise\nout\n']]) {
    const child = await session.spawn(['echo', 'out'], { verbatim });
    const pieces = await child.stdout.toArray();
    assert.equal(Buffer.concat(pieces).toString(), expected);
    await child.exited;
  }
  await assert.rejects(session.run('true', { verbatim: 'yes' }), TypeError);
  await session.close();
  await noisy.stop();
});

test('variables of a session are those of each command', async () => {
  const env = { RMUX_MARK: 'a b', RMUX_OTHER: 'x', RMUX_NONE: undefined };
  const session = await connect(server.host, { ...server.options, env });
  assert.equal((await session.run(['printenv', 'RMUX_MARK'])).stdout, 'a b\n');
  const own = await session.run('echo $RMUX_MARK $RMUX_OTHER', { env: { RMUX_OTHER: 'y' } });
  assert.equal(own.stdout, 'a b y\n');
  await session.close();
  const pool = new Pool({ ...server.options, env });
  const pooled = await pool.session(server.host);
  assert.equal((await pooled.run(['printenv', 'RMUX_MARK'])).stdout, 'a b\n');
  await pool.close();
});

test('nothing is run here where there is no session', async () => {
  const mark = path.join(folder, 'mark');
  const attempts = [
    ['no-such-host.invalid', {}, 'CONNECT_FAILED'],
    [server.host, { port: 1 }, 'CONNECT_FAILED'],
    [server.host, { identityFiles: [server.stranger_key] }, 'AUTH_FAILED'],
  ];
  for (const [host, changes, code] of attempts) {
    const attempt = async () => {
      const session = await connect(host, { ...server.options, ...changes });
      await session.run(['touch', mark]);
    };
    await assert.rejects(attempt, { code });
  }
  assert.ok(!existsSync(mark));
});

test('nothing is run here where the session is gone', async () => {
  const mark = path.join(folder, 'mark');
  const ends = [
    ['CLOSED', (session) => session.close()],
    ['DISCONNECTED', () => server.tell('kill-connections')],
  ];
  for (const [code, end] of ends) {
    const session = await connect(server.host, server.options);
    await end(session);
    await session.closed;
    for (const command of [['touch', mark], `touch ${mark}`]) {
      await assert.rejects(session.run(command), { code });
      await assert.rejects(session.spawn(command), { code });
    }
  }
  assert.ok(!existsSync(mark));
  // The command is one that would have left it.
  const session = await connect(server.host, server.options);
  await session.run(['touch', mark], { check: true });
  await session.close();
  assert.ok(existsSync(mark));
});
