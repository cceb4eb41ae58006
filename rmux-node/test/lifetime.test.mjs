// How sessions and the process end: event loop, garbage collection, worker threads, logging.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';

import { Pool, connect } from '../index.mjs';
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

  for (const way of ['exit in a callback', 'exit at a question', 'exit at an event']) {
    test(`ends amid what the addon called: ${way}`, async () => {
      const { code, signal, stdout, stderr, time } = await leave(way);
      assert.deepEqual([code, signal, stdout, stderr], [7, null, 'leaving with 7\n', '']);
      assert.ok(time < 15_000, `it took ${time} ms`);
    });
  }

  test('is ended by a signal with output flowing', async () => {
    const { code, signal, stderr, time } = await leave('terminated');
    assert.deepEqual([code, signal, stderr], [null, 'SIGTERM', '']);
    assert.ok(time < 15_000, `it took ${time} ms`);
  });

  test('ends in order where it handles the signal', async () => {
    const { code, signal, stdout, stderr } = await leave('terminated in order');
    assert.deepEqual([code, signal, stdout, stderr], [0, null, 'closed\nleaving with 0\n', '']);
  });

  test('ends by a rejection that nobody handles, session or not', async () => {
    const { code, signal, stderr } = await leave('rejection');
    assert.deepEqual([code, signal], [1, null]);
    assert.match(stderr, /NON_ZERO_EXIT/);
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
  assert.equal(stdout, 'in any order\nwhole\nclosed\nno growth\n');
});

test('worker threads', async () => {
  const { code, signal, stdout, stderr } = await runProgram('workers.mjs', server, { limit: 60_000 });
  assert.deepEqual([code, signal], [0, null], stderr);
  assert.equal(stdout, 'fine\n');
  await until('the workers\' connections are gone', async () => (await server.tell('status')).connections === 0);
});

test('worker threads that are terminated at every moment leave nothing behind', async () => {
  const { code, signal, stdout, stderr } = await runProgram('terminated.mjs', server, {
    env: { RMUX_TEST_FOLDER: server.folder },
    limit: 120_000,
  });
  assert.deepEqual([code, signal], [0, null], stdout + stderr);
  assert.equal(stdout, 'asks\nstreams\ncalls back\nlets go\nlives\nhears nothing\nleaves unheard\n');
});

test('what belongs to a thread cannot be sent to another', async () => {
  const session = await connect('127.0.0.1', server.options);
  const child = await session.spawn('true');
  const pool = new Pool(server.options);
  const { port1 } = new MessageChannel();
  for (const handle of [session, child, pool, child.stdout]) {
    assert.throws(() => structuredClone(handle), { name: 'DataCloneError' });
    assert.throws(() => port1.postMessage({ handle }), { name: 'DataCloneError' });
  }
  port1.close();
  await child.wait();
  await session.close();
});

test('a lost connection ends no process that listens for no error', async () => {
  const { code, signal, stdout, stderr } = await runProgram('deaf.mjs', server);
  assert.deepEqual([code, signal, stderr], [0, null, ''], stdout);
  assert.equal(stdout, 'lost\nclosed\naborted\n');
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
