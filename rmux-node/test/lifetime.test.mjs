// How sessions and the process end: event loop, garbage collection, worker threads, logging.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { runProgram, startServer, until } from './testd.mjs';

let server;
before(async () => {
  server = await startServer();
});
after(() => server?.stop());

async function leave(way) {
  return runProgram('leaving.mjs', server, { args: [way] });
}

describe('a process', () => {
  for (const way of ['idle', 'waiting', 'closed']) {
    test(`ends by itself: ${way}`, async () => {
      const { code, signal, stdout, stderr, time } = await leave(way);
      assert.deepEqual([code, signal, stderr], [0, null, '']);
      assert.match(stdout, /leaving with 0\n/);
      assert.ok(time < 5000, `it took ${time} ms`);
    });
  }

  test('exits with a session open and commands running', async () => {
    const { code, signal, stdout, time } = await leave('exit');
    assert.deepEqual([code, signal, stdout], [7, null, 'leaving with 7\n']);
    assert.ok(time < 5000, `it took ${time} ms`);
  });

  test('ends by an exception with a command running', async () => {
    const { code, signal, stderr, time } = await leave('exception');
    assert.deepEqual([code, signal], [1, null]);
    assert.match(stderr, /on purpose/);
    assert.ok(time < 5000, `it took ${time} ms`);
  });

  test('waits for an operation', async () => {
    const { code, stdout } = await leave('pending');
    assert.deepEqual([code, stdout], [0, 'done\nleaving with 0\n']);
  });

  test('waits for a connection that is being made', async () => {
    const { code, stdout } = await leave('connecting');
    assert.deepEqual([code, stdout], [0, 'connected\nleaving with 0\n']);
  });

  test('waits for a child', async () => {
    const { code, stdout } = await leave('child');
    assert.deepEqual([code, stdout], [0, 'exit 0\nleaving with 0\n']);
  });

  test('stays for a session with ref, until unref', async () => {
    const { code, stdout } = await leave('ref');
    assert.deepEqual([code, stdout], [0, 'still here\nleaving with 0\n']);
  });
});

test('the server has no connection left of all these', async () => {
  await until('the connections are gone', async () => (await server.tell('status')).connections === 0);
});

test('garbage is collected in any order', async () => {
  const { code, signal, stdout, stderr } = await runProgram('garbage.mjs', server, {
    flags: ['--expose-gc'],
    limit: 60_000,
  });
  assert.deepEqual([code, signal], [0, null], stderr);
  assert.equal(stdout, 'whole\nclosed\nno growth\n');
});

test('worker threads', async () => {
  const { code, signal, stdout, stderr } = await runProgram('workers.mjs', server, { limit: 60_000 });
  assert.deepEqual([code, signal], [0, null], stderr);
  assert.equal(stdout, 'fine\n');
  await until('the workers\' connections are gone', async () => (await server.tell('status')).connections === 0);
});

test('nothing is logged unless asked for, and no secret then', async () => {
  const quiet = await runProgram('logging.mjs', server);
  assert.deepEqual([quiet.code, quiet.stdout, quiet.stderr], [0, '', '']);
  const loud = await runProgram('logging.mjs', server, { env: { RMUX_LOG: 'trace' } });
  assert.equal(loud.code, 0);
  assert.match(loud.stderr, /rmux_core/);
  assert.equal(loud.stderr.includes('never to be seen'), false);
  assert.equal(loud.stdout, '');
});
