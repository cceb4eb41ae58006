// Sessions of several connections: when there are more than one. Counted by the sshd.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { Pool, connect } from '../index.mjs';
import { startServer } from './testd.mjs';

let server;
let earlier = 0;
before(async () => {
  // It grants two commands at a time on a connection.
  server = await startServer(['--option', 'MaxSessions 2']);
});
after(() => server?.stop());

/** How many connections there were since it was asked last. */
async function connects() {
  const { accepted } = await server.tell('status');
  const count = accepted - earlier;
  earlier = accepted;
  return count;
}

/** More commands at once than one connection takes. */
async function crowd(session) {
  const all = await Promise.all(Array.from({ length: 8 }, () => session.run('sleep 1')));
  assert.ok(all.every(({ exitCode }) => exitCode === 0));
}

test('a session spreads where no login asks', async () => {
  const session = await connect(server.host, server.options);
  await crowd(session);
  await session.close();
  const count = await connects();
  assert.ok(count >= 2 && count <= 4, `${count} connections`);
});

for (const setting of [{ maxLinks: 1 }, { furtherLogins: 'never' }]) {
  test(`it stays at one connection with ${JSON.stringify(setting)}`, async () => {
    const pool = new Pool({ ...server.options, ...setting });
    const session = await pool.session(server.host);
    await crowd(session);
    assert.equal((await session.run('true', { lane: 'bulk' })).exitCode, 0);
    await pool.close();
    assert.equal(await connects(), 1);
  });
}

test('bulk has a connection of its own', async () => {
  const session = await connect(server.host, server.options);
  const child = await session.spawn(['cat'], { lane: 'bulk' });
  assert.equal((await session.run('echo in', { lane: 'interactive' })).stdout, 'in\n');
  assert.equal(await connects(), 2);
  child.stdin.end();
  child.stdout.resume();
  child.stderr.resume();
  await child.exited;
  assert.equal((await session.run('true', { lane: 'bulk', expectedSize: 1 })).exitCode, 0);
  await session.close();
  assert.equal(await connects(), 0);
});

test('settings and lanes that mean nothing are refused', async () => {
  for (const wrong of [{ maxLinks: 0 }, { maxLinks: 1.5 }, { maxLinks: '2' }, { furtherLogins: 'yes' }]) {
    await assert.rejects(connect(server.host, { ...server.options, ...wrong }), TypeError);
  }
  const session = await connect(server.host, server.options);
  for (const wrong of [{ lane: 'fast' }, { expectedSize: 1 }, { lane: 'bulk', expectedSize: -1 }]) {
    await assert.rejects(session.run('true', wrong), TypeError);
    await assert.rejects(session.spawn('true', wrong), TypeError);
  }
  await session.close();
});
