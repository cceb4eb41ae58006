// Timeouts, AbortSignals and the end of a session: every operation settles, and remote commands end.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { AbortError, Pool, connect, resolve } from '../index.mjs';
import { startRelay, startServer, until } from './testd.mjs';

let server;
let session;
before(async () => {
  server = await startServer();
  session = await connect('127.0.0.1', server.options);
});
after(async () => {
  await session?.close();
  await server?.stop();
});

/** A command that only this test runs, with a child of its own, and whether it is running. */
let marks = 0;
function marked() {
  // Odd seconds, so that nothing else on the machine has the same.
  const seconds = `${300 + marks++}.${process.pid}`;
  return {
    line: `sh -c 'sleep ${seconds}; true'; true`,
    async isRunning() {
      // The brackets keep the look-up from finding itself.
      const { exitCode } = await session.run(`pgrep -f '[s]leep ${seconds}' >/dev/null`);
      return exitCode === 0;
    },
  };
}

test('a timeout kills the whole process group', async () => {
  const command = marked();
  const running = session.run(command.line, { timeout: 1000 });
  running.catch(() => {});
  await until('the command runs', command.isRunning);
  await assert.rejects(running, (error) => {
    assert.equal(error.name, 'RmuxError');
    assert.equal(error.code, 'TIMED_OUT');
    assert.match(error.message, /127\.0\.0\.1/);
    return true;
  });
  await until('the command is gone', async () => !(await command.isRunning()));
});

test('a timeout of 0 is none', async () => {
  assert.equal((await session.run('sleep 0.1', { timeout: 0 })).exitCode, 0);
});

test('an AbortSignal rejects when the whole process group is ended', async () => {
  const command = marked();
  const controller = new AbortController();
  const running = session.run(command.line, { signal: controller.signal });
  running.catch(() => {});
  await until('the command runs', command.isRunning);
  const reason = new Error('enough');
  controller.abort(reason);
  await assert.rejects(running, (error) => {
    assert.ok(error instanceof AbortError);
    assert.equal(error.name, 'AbortError');
    assert.equal(error.code, 'ABORT_ERR');
    assert.equal(error.cause, reason);
    return true;
  });
  await until('the command is gone', async () => !(await command.isRunning()));
});

test('an AbortSignal that was aborted before starts nothing', async () => {
  const file = `${server.folder}/started`;
  const signal = AbortSignal.abort();
  await assert.rejects(session.run(['touch', file], { signal }), { name: 'AbortError' });
  await assert.rejects(session.spawn(['touch', file], { signal }), { name: 'AbortError' });
  await assert.rejects(connect('127.0.0.1', { ...server.options, signal }), { name: 'AbortError' });
  assert.equal((await session.run(['test', '-e', file])).exitCode, 1);
});

test('200 aborted commands leave the session as it was', async () => {
  const own = await connect('127.0.0.1', server.options);
  const aborted = Array.from({ length: 200 }, (_, index) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), index % 20);
    return own.run('sleep 30', { signal: controller.signal });
  });
  for (const { reason } of await Promise.allSettled(aborted)) assert.equal(reason?.name, 'AbortError');
  assert.equal((await own.run('echo fine')).stdout, 'fine\n');
  await own.close();
});

/** Turns of the event loop, or milliseconds, after which something is aborted. */
const MOMENTS = [0, 1, 2, 3, 5, 10, 20, 50, 100];

/** Aborts at every moment; each time it rejects with an AbortError, or was faster. */
async function abortAtEveryMoment(begin, late = () => {}) {
  for (const [moment, wait] of MOMENTS.flatMap((moment) => [[moment, setTimeout], [moment, turns]])) {
    const controller = new AbortController();
    const running = begin(controller.signal);
    wait(() => controller.abort(), moment);
    await running.then(late, (error) => assert.equal(error.name, 'AbortError', `${error.stack}`));
  }
}

function turns(then, count) {
  if (count === 0) then();
  else setImmediate(turns, then, count - 1);
}

test('an AbortSignal at any moment of anything leaves nothing behind', async () => {
  const counting = await startServer(['--log-channels']);
  const relay = await startRelay(counting.port);
  try {
    const to = { ...counting.options, port: relay.port, dangerAcceptAnyHostKey: true };
    const own = await connect('127.0.0.1', to);
    await abortAtEveryMoment((signal) => own.run('sleep 30', { signal }));
    await abortAtEveryMoment(
      (signal) => own.spawn('sleep 30', { signal }),
      (child) => child.exited.catch((error) => assert.equal(error.name, 'AbortError')),
    );
    // One is kept ready. Counted before other connections come: the server does not log what becomes
    // of the channel that each of those has ready when it ends.
    await until('the channels are closed', async () => (await counting.tell('status')).open_channels <= 1);
    await abortAtEveryMoment((signal) => resolve('127.0.0.1', { configFile: false, signal }));
    await abortAtEveryMoment((signal) => connect('127.0.0.1', { ...to, signal }), (late) => late.close());
    const { dangerAcceptAnyHostKey: _, ...strict } = to;
    const never = () => new Promise(() => {});
    await abortAtEveryMoment((signal) => connect('127.0.0.1', { ...strict, hostKeyPolicy: never, signal }));
    const pool = new Pool(to);
    await abortAtEveryMoment((signal) => pool.session('127.0.0.1', { signal }), (late) => late.release());

    await until('the other connections are gone', async () => (await counting.tell('status')).connections === 1);
    assert.equal((await own.run('echo fine')).stdout, 'fine\n');
    await own.close();
    await until('the connections are gone', () => relay.connections() === 0);
  } finally {
    relay.stop();
    await counting.stop();
  }
});

test('a signal that outlives its command keeps nothing of it', async () => {
  const controller = new AbortController();
  await session.run('true', { signal: controller.signal });
  controller.abort();
  assert.equal((await session.run('echo fine')).stdout, 'fine\n');
});

test('an AbortSignal for spawn kills the command and rejects exited', async () => {
  const command = marked();
  const controller = new AbortController();
  const child = await session.spawn(command.line, { signal: controller.signal });
  await until('the command runs', command.isRunning);
  controller.abort();
  await assert.rejects(child.exited, { name: 'AbortError' });
  await until('the command is gone', async () => !(await command.isRunning()));
  assert.equal(child.kill(), false);
});

test('a child that is stopped has its grace, and tells what came of it', async () => {
  const polite = "trap 'echo bye; exit 5' TERM; echo ready; sleep 300 & wait";
  const child = await session.spawn(polite);
  const lines = child[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'ready');
  assert.deepEqual(await child.stop({ grace: 30000 }), { exitCode: 5, signal: null, confirmed: true });
  assert.equal((await lines.next()).value, 'bye');
  assert.equal(child.exitCode, 5);
  // Once more, it is only looked at.
  assert.deepEqual(await child.stop(), { exitCode: 5, signal: null, confirmed: true });

  const stubborn = "trap '' TERM; echo ready; while :; do sleep 1; done";
  const other = await session.spawn(stubborn, { killGrace: 100 });
  assert.equal((await other[Symbol.asyncIterator]().next()).value, 'ready');
  assert.deepEqual(await other.stop(), { exitCode: null, signal: 'SIGKILL', confirmed: true });

  // Nobody knows its group.
  const unknown = await session.spawn('cat', { killOnDrop: false });
  unknown.stdin.end();
  assert.equal((await unknown.stop({ grace: 0 })).confirmed, false);
  await assert.rejects(other.stop({ grace: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(other.stop({ grace: 1, signal: 'x' }), TypeError);
});

test('a command that is let go of has its grace', async () => {
  const file = `${server.folder}/let-go`;
  const line = `trap 'echo bye > ${file}; exit' TERM; echo ready; sleep 300 & wait`;
  const controller = new AbortController();
  const child = await session.spawn(line, { signal: controller.signal, killGrace: 30000 });
  assert.equal((await child[Symbol.asyncIterator]().next()).value, 'ready');
  controller.abort();
  await assert.rejects(child.exited, { name: 'AbortError' });
  await until('it has said good-bye', () => existsSync(file));
});

test('a child killed right after its start ends', async () => {
  const command = marked();
  const child = await session.spawn(command.line);
  assert.equal(child.kill('SIGKILL'), true);
  assert.deepEqual(await child.exited, { exitCode: null, signal: 'SIGKILL' });
  await until('the command is gone', async () => !(await command.isRunning()));
});

test('an aborted connect leaves no connection behind', async () => {
  const relay = await startRelay(server.port);
  try {
    for (const delay of [0, 5, 20, 50]) {
      const controller = new AbortController();
      const connecting = connect('127.0.0.1', {
        ...server.options,
        port: relay.port,
        dangerAcceptAnyHostKey: true,
        signal: controller.signal,
      });
      setTimeout(() => controller.abort(), delay);
      await connecting.then(
        (late) => late.close(),
        (error) => assert.equal(error.name, 'AbortError'),
      );
    }
    await until('the connections are gone', () => relay.connections() === 0);
  } finally {
    relay.stop();
  }
});

test('everything that waits is settled when the session is closed', async () => {
  const own = await connect('127.0.0.1', server.options);
  const child = await own.spawn('cat');
  const settled = Promise.allSettled([own.run('sleep 60'), child.stdout.toArray(), child.exited]);
  await own.close();
  const [running, reading, exited] = await settled;
  assert.equal(running.reason?.code, 'CLOSED');
  // A child whose process group is known is killed first: what of its end arrives before the
  // connection is closed is told, and the rest is an error.
  for (const { status, reason } of [reading, exited]) {
    if (status === 'rejected') assert.equal(reason.code, 'CLOSED');
  }
  if (exited.status === 'fulfilled') assert.equal(exited.value.signal, 'SIGKILL');
  assert.deepEqual(await own.closed, { reason: 'closed' });
  assert.equal(own.isClosed, true);
});

test('use after close is refused, closing again is not', async () => {
  const own = await connect('127.0.0.1', server.options);
  await Promise.all([own.close(), own.close()]);
  await own.close();
  for (const late of [() => own.run('true'), () => own.spawn('true')]) {
    await assert.rejects(late(), { name: 'RmuxError', code: 'CLOSED', host: '127.0.0.1' });
  }
  // Nothing keeps the process alive for a session that has ended.
  own.ref();
});

test('everything that waits is settled when the connection is lost, and the events tell it', async () => {
  const relay = await startRelay(server.port);
  const events = [];
  const own = await connect('127.0.0.1', {
    ...server.options,
    port: relay.port,
    dangerAcceptAnyHostKey: true,
    onEvent: (event) => events.push(event),
  });
  try {
    const child = await own.spawn('cat');
    const settled = Promise.allSettled([own.run('sleep 60'), child.stdout.toArray(), child.exited]);
    assert.equal((await own.run('echo ready')).stdout, 'ready\n');
    relay.cut();
    for (const { status, reason } of await settled) {
      assert.equal(status, 'rejected');
      assert.equal(reason.code, 'DISCONNECTED');
      assert.match(reason.message, /127\.0\.0\.1/);
    }
    const end = await own.closed;
    assert.equal(end.reason, 'lost');
    assert.equal(end.error.code, 'DISCONNECTED');
    await assert.rejects(own.run('true'), { code: 'DISCONNECTED' });
    assert.deepEqual(
      events.map(({ type }) => type),
      ['connecting', 'connected', 'authenticated', 'ready', 'lost'],
    );
    assert.deepEqual(events[0], { type: 'connecting', host: own.host });
    assert.deepEqual(events[1], { type: 'connected', address: `127.0.0.1:${relay.port}` });
    assert.deepEqual(events[2], { type: 'authenticated', user: server.user, method: 'publickey' });
    assert.equal(events[4].reason.name, 'RmuxError');
  } finally {
    relay.stop();
  }
});

test('closing is an event, and await using closes', { skip: typeof Symbol.asyncDispose !== 'symbol' && 'this Node has no Symbol.asyncDispose' }, async () => {
  const events = [];
  const own = await connect('127.0.0.1', { ...server.options, onEvent: ({ type }) => events.push(type) });
  const child = await own.spawn('sleep 60');
  await child[Symbol.asyncDispose]();
  assert.equal(child.signalCode, 'SIGKILL');
  await own[Symbol.asyncDispose]();
  assert.equal(events.at(-1), 'closed');
});

test('what a command had written, and what came of it, are in the error', async () => {
  const line = "trap 'echo bye; exit' TERM; echo ready; sleep 300 & wait";
  const late = await session.run(line, { timeout: 3000, killGrace: 30000 }).catch((error) => error);
  assert.equal(late.code, 'TIMED_OUT');
  assert.deepEqual([late.confirmed, late.stdout, late.stderr], [true, 'ready\nbye\n', '']);
  const controller = new AbortController();
  const running = session.run(line, { signal: controller.signal, killGrace: 30000 });
  setTimeout(() => controller.abort(), 3000);
  const aborted = await running.catch((error) => error);
  assert.ok(aborted instanceof AbortError);
  assert.deepEqual([aborted.confirmed, aborted.stdout], [true, 'ready\nbye\n']);
});

test('output that is too much', async () => {
  const failed = await session.run('exec yes', { maxOutput: 5 }).catch((error) => error);
  assert.equal(failed.code, 'LIMIT_EXCEEDED');
  assert.deepEqual([failed.confirmed, failed.stdout], [true, 'y\ny\ny']);
  const cut = await session.run('printf 12345', { maxOutput: 2, onExcess: 'truncate' });
  assert.deepEqual([cut.stdout, cut.stdoutDropped, cut.stderrDropped], ['12', 3, undefined]);
  const spilled = await session.run('printf 12345', { maxOutput: 2, onExcess: 'spill' });
  assert.equal(readFileSync(spilled.stdoutFile, 'utf8'), '12345');
  rmSync(spilled.stdoutFile);
  await assert.rejects(session.run('true', { onExcess: 'spill' }), TypeError);
  await assert.rejects(session.run('true', { maxOutput: -1 }), TypeError);
  await assert.rejects(session.run('true', { maxOutput: 1, onExcess: 'other' }), TypeError);
});

test('nothing is left of commands that are aborted at random points', async () => {
  const command = marked();
  const sleep = command.line.match(/sleep [0-9.]+/)[0];
  const lines = [`exec ${sleep}`, `${sleep} & ${sleep}`, `trap '' TERM; ${sleep} & wait; ${sleep}`];
  const all = Array.from({ length: 120 }, async (_, index) => {
    const controller = new AbortController();
    setTimeout(() => controller.abort(), (index * 37) % 500);
    const options = { signal: controller.signal, killGrace: (index % 4) * 50 };
    const error = await session.run(lines[index % 3], options).catch((failure) => failure);
    assert.equal(error.name, 'AbortError', error.stack);
  });
  await Promise.all(all);
  await until('nothing is left', async () => !(await command.isRunning()));
});
