// Pools: who shares what, and what becomes of it when one of them leaves. Counted by the sshd.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Pool, RmuxError, Session } from '../index.mjs';
import { runProgram, startServer, until } from './testd.mjs';

let server;
let earlier;
before(async () => {
  server = await startServer(['--passphrase', 'key words']);
});
after(() => server?.stop());
afterEach(() => nobody('no connection is left'));

const status = () => server.tell('status');
/** How many connections there were since it was asked last. */
async function connects() {
  const { accepted } = await status();
  const count = accepted - (earlier ?? 0);
  earlier = accepted;
  return count;
}
const nobody = (what) => until(what, async () => (await status()).connections === 0);
const works = async (session) => assert.equal((await session.run('echo in')).stdout, 'in\n');
/** Options that ask for a passphrase. */
const asking = (passphrase) => ({
  ...server.options,
  identityFiles: [server.client_key_encrypted],
  passphrase,
});

/** A callback that answers when it is told to. */
function dialog() {
  const made = { count: 0, signal: undefined };
  made.answered = new Promise((resolve) => (made.answer = () => resolve('key words')));
  made.callback = (prompt, { signal }) => {
    made.count += 1;
    made.signal = signal;
    return made.answered;
  };
  return made;
}

describe('who asks at once', () => {
  test('shares one connect and one question', async () => {
    await connects();
    let asked = 0;
    const pool = new Pool(
      asking(async () => {
        asked += 1;
        await sleep(200);
        return 'key words';
      }),
    );
    const sessions = await Promise.all(Array.from({ length: 20 }, () => pool.session(server.host)));
    await Promise.all(sessions.map(works));
    assert.equal(new Set(sessions).size, 20);
    assert.equal(pool.sessions().length, 1);
    assert.deepEqual([asked, await connects()], [1, 1]);
    await pool.close();
    assert.ok(sessions.every((session) => session.isClosed));
  });

  test('leaves the others theirs when it is aborted', async () => {
    await connects();
    const open = dialog();
    const pool = new Pool(asking(open.callback));
    const controller = new AbortController();
    const { signal } = controller;
    // The one that connects, and one that waits for that.
    const first = pool.session(server.host, { signal });
    const second = pool.session(server.host);
    const third = pool.session(server.host, { signal });
    await until('it is asked', () => open.count === 1);
    controller.abort();
    await assert.rejects(first, { name: 'AbortError' });
    await assert.rejects(third, { name: 'AbortError' });
    await sleep(200);
    assert.equal(open.signal.aborted, false);
    open.answer();
    await works(await second);
    assert.deepEqual([open.count, await connects()], [1, 1]);
    await pool.close();
  });

  test('takes the question back when all are aborted', async () => {
    const open = dialog();
    const pool = new Pool(asking(open.callback));
    const controller = new AbortController();
    const waiting = [1, 2, 3].map(() => pool.session(server.host, { signal: controller.signal }));
    await until('it is asked', () => open.count === 1);
    controller.abort();
    for (const one of waiting) await assert.rejects(one, { name: 'AbortError' });
    await until('the question is taken back', () => open.signal.aborted);
    await nobody('the connection is given up');
    open.answer();
    await works(await pool.session(server.host));
    assert.equal(open.count, 2);
    await pool.close();
  });

  test('hears of one failure', async () => {
    await connects();
    const thrown = new Error('the dialog was closed');
    const pool = new Pool(
      asking(async () => {
        await sleep(100);
        throw thrown;
      }),
    );
    const waiting = await Promise.allSettled([1, 2, 3].map(() => pool.session(server.host)));
    for (const { reason } of waiting) {
      assert.deepEqual([reason.name, reason.code, reason.host], ['RmuxError', 'CANCELLED', server.host]);
      assert.equal(reason.cause, thrown);
    }
    assert.equal(await connects(), 1);
    assert.deepEqual(pool.sessions(), []);
  });
});

describe('a session of a pool', () => {
  test('is given back by one and goes on for others', async () => {
    await connects();
    const pool = new Pool(server.options);
    const other = await pool.session(server.host);
    const one = await pool.session(server.host);
    assert.ok(one !== other && one instanceof Session);
    await works(one);
    const { closed } = one;
    assert.equal(one.release(), undefined);
    assert.deepEqual([await closed, one.isClosed, other.isClosed], [{ reason: 'released' }, true, false]);
    for (const use of [() => one.run('true'), () => one.spawn('true')]) {
      await assert.rejects(use(), { name: 'RmuxError', code: 'CLOSED', host: server.host });
    }
    // Neither does anything any more.
    one.release();
    await one.close();
    assert.deepEqual(await one.closed, { reason: 'released' });
    await works(other);
    assert.equal(await connects(), 1);
    other.release();
    await nobody('nobody uses it');
  });

  test('is closed for all', async () => {
    const pool = new Pool(server.options);
    const [one, other] = await Promise.all([pool.session(server.host), pool.session(server.host)]);
    const { closed } = other;
    await one.close();
    assert.deepEqual([await closed, other.isClosed], [{ reason: 'closed' }, true]);
    await assert.rejects(other.run('true'), { code: 'CLOSED' });
    const anew = await pool.session(server.host);
    await works(anew);
    anew.release();
  });

  test('is connected anew when it was lost', async () => {
    const pool = new Pool(server.options);
    const one = await pool.session(server.host);
    await server.tell('kill-connections');
    const { reason, error } = await one.closed;
    assert.equal(reason, 'lost');
    assert.ok(error instanceof RmuxError && error.code === 'DISCONNECTED');
    const anew = await pool.session(server.host);
    await works(anew);
    anew.release();
  });

  test('stays for a command that runs', async () => {
    const pool = new Pool(server.options);
    const session = await pool.session(server.host);
    const child = await session.spawn('cat');
    session.release();
    assert.equal((await status()).connections, 1);
    child.stdin.end('still');
    const pieces = await child.stdout.toArray();
    assert.equal(Buffer.concat(pieces).toString(), 'still');
    await child.exited;
  });

  test('knows its way out of a block', { skip: typeof Symbol.asyncDispose !== 'symbol' && 'this Node does not know Symbol.asyncDispose' }, async () => {
    const pool = new Pool({ ...server.options, linger: 60_000 });
    const session = await pool.session(server.host);
    await session[Symbol.asyncDispose]();
    assert.equal(session.isClosed, true);
    assert.equal((await status()).connections, 1);
    await pool[Symbol.asyncDispose]();
    await nobody('the pool has left its block');
  });
});

test('an unused session lingers and is used again', async () => {
  await connects();
  const pool = new Pool({ ...server.options, linger: 300 });
  for (let round = 0; round < 3; round += 1) {
    const session = await pool.session(server.host);
    await works(session);
    session.release();
  }
  assert.deepEqual([(await status()).connections, await connects()], [1, 1]);
  await nobody('its time is over');
  const lasting = new Pool({ ...server.options, linger: Infinity });
  (await lasting.session(server.host)).release();
  await sleep(100);
  assert.equal((await status()).connections, 1);
  await lasting.close();
  // It can be used again.
  (await lasting.session(server.host)).release();
  await lasting.close();
});

test('a pool tells of all its sessions', async () => {
  const events = [];
  const pool = new Pool({ ...server.options, onEvent: ({ type }) => events.push(type) });
  for (let round = 0; round < 2; round += 1) {
    (await pool.session(server.host)).release();
    await nobody('nobody uses it');
  }
  const count = (type) => events.filter((one) => one === type).length;
  await until('both ends are told', () => count('closed') === 2);
  assert.deepEqual([count('connecting'), count('ready')], [2, 2]);
});

test('what a pool refuses', async () => {
  for (const options of [{ port: 0 }, { port: 70_000 }]) {
    assert.throws(() => new Pool(options), { name: 'RmuxError', code: 'CONFIG_INVALID', operation: 'connect' });
  }
  for (const options of [
    'dev',
    { signal: AbortSignal.abort() },
    { linger: -1 },
    { linger: NaN },
    { linger: '1' },
    { passphrase: 'key words' },
    { hostKeyPolicy: 'strict', dangerAcceptAnyHostKey: true },
  ]) {
    assert.throws(() => new Pool(options), TypeError, JSON.stringify(options));
  }
  assert.throws(() => Pool(), TypeError);
  const pool = new Pool(server.options);
  await assert.rejects(pool.session(), TypeError);
  await assert.rejects(pool.session(server.host, { user: 'me' }), TypeError);
  await assert.rejects(pool.session('-x'), { code: 'CONFIG_INVALID' });
  await assert.rejects(pool.session(server.host, { signal: AbortSignal.abort() }), { name: 'AbortError' });
});

test('garbage is collected, and what keeps the process alive', async () => {
  const { code, signal, stdout, stderr } = await runProgram('pools.mjs', server, { flags: ['--expose-gc'] });
  assert.deepEqual([code, signal, stderr], [0, null, '']);
  assert.equal(stdout, 'handles\npool\nsessions outlive it\ncallbacks\nin a worker\n');
});
