// Limits of a pool, closing in order, figures, and the end of the process with commands running.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';

import { Pool, connect } from '../index.mjs';
import { hostBlocks, startServer, until } from './testd.mjs';

let server;
before(async () => {
  server = await startServer();
});
after(() => server?.stop());

const status = async () => (await server.tell('status')).connections;

/** A pool of names for the one server, whose sessions are not shared. */
function poolOf(name, names, options) {
  const settings = names.map((one) => `Host ${one}\n SetEnv NAME=${one}\n`).join('');
  const blocks = hostBlocks(names.map((one) => [one, server]));
  return new Pool({ configFile: server.file(name, settings + blocks), ...options });
}

test('who asks past the limit waits, and a wait may have a limit', async () => {
  const pool = poolOf('limited', ['a', 'b'], { maxConnections: 1, acquireTimeout: 30_000 });
  const first = await pool.session('a');
  const second = pool.session('b');
  await until('it waits', () => pool.stats().waitingForRoom === 1);
  const controller = new AbortController();
  const third = pool.session('b', { signal: controller.signal });
  await until('both wait', () => pool.stats().waitingForRoom === 2);
  controller.abort();
  await assert.rejects(third, { name: 'AbortError' });
  await until('one waits', () => pool.stats().waitingForRoom === 1);
  first.release();
  assert.equal((await (await second).run('echo in')).stdout, 'in\n');
  await pool.close();

  const hasty = poolOf('hasty', ['a', 'b'], { maxConnectionsPerHost: 1, acquireTimeout: 50 });
  const held = await hasty.session('a');
  await assert.rejects(hasty.session('b'), { code: 'TIMED_OUT', host: 'b' });
  held.release();
  await hasty.close();
  for (const wrong of [{ maxConnections: 0 }, { maxConnectionsPerHost: 1.5 }, { acquireTimeout: -1 }]) {
    assert.throws(() => new Pool(wrong), { code: 'ERR_OUT_OF_RANGE' });
  }
});

test('figures of a session and of its pool', async () => {
  const pool = new Pool(server.options);
  const session = await pool.session('127.0.0.1');
  const { stdout } = await session.run(['cat'], { input: 'x'.repeat(123_456) });
  assert.equal(stdout.length, 123_456);
  await until('nothing runs', () => session.stats().channelsReady === 1 && session.stats().channels === 1);
  const { roundTrip, connectedFor, idleFor, ...rest } = session.stats();
  assert.deepEqual(rest, {
    host: '127.0.0.1',
    links: 1,
    channels: 1,
    channelsReady: 1,
    waiting: 0,
    commandsStarted: 1,
    bytesReceived: 123_456,
    bytesSent: 123_456,
  });
  assert.ok(roundTrip > 0 && roundTrip < 10_000 && connectedFor > 0 && idleFor >= 0);
  const { sessions, ...sums } = pool.stats();
  assert.equal(sessions[0].bytesSent, 123_456);
  assert.deepEqual(sums, {
    connecting: 0,
    waitingForRoom: 0,
    links: 1,
    channels: 1,
    channelsReady: 1,
    waiting: 0,
    commandsStarted: 1,
    bytesReceived: 123_456,
    bytesSent: 123_456,
  });
  const child = await session.spawn('cat');
  assert.equal(session.stats().idleFor, null);
  await child.wait();
  await session.close();
  assert.equal(session.stats().links, 0);
  session.release();
  assert.throws(() => session.stats(), { name: 'RmuxError', code: 'CLOSED' });
  assert.deepEqual([pool.stats().sessions, pool.stats().commandsStarted], [[], 2]);
});

test('a shutdown lets work finish, and tells what it cut off', async () => {
  const pool = new Pool(server.options);
  const session = await pool.session('127.0.0.1');
  const working = await session.spawn('read line; echo "$line"');
  const closing = pool.shutdown(30_000);
  await assert.rejects(pool.session('127.0.0.1'), { code: 'CLOSED' });
  await assert.rejects(session.run('true'), { code: 'CLOSED' });
  working.stdin.end('to the end\n');
  const lines = [];
  for await (const line of working) lines.push(line);
  assert.deepEqual([lines, await closing], [['to the end'], []]);

  const other = await connect('127.0.0.1', server.options);
  const lasting = await other.spawn('sleep 60');
  lasting.exited.catch(() => {});
  assert.deepEqual(await other.shutdown(100), [{ host: '127.0.0.1', channels: 1 }]);
  assert.ok(other.isClosed);
  await assert.rejects(other.shutdown(), { code: 'ERR_INVALID_ARG_TYPE' });
  await until('all is closed', async () => (await status()) === 0);
});

let marks = 0;

/** Whether the command of a program runs here, where the server does too. */
const runs = (seconds) =>
  new Promise((resolve) => execFile('pgrep', ['-f', `^sleep ${seconds}$`], (error) => resolve(error === null)));

async function leave(way, signal) {
  const seconds = `${700 + marks++}.${process.pid}`;
  const file = fileURLToPath(new URL('programs/signals.mjs', import.meta.url));
  const child = spawn(process.execPath, [file, way, seconds], {
    env: { ...process.env, RMUX_TEST_OPTIONS: JSON.stringify(server.options) },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
  let stdout = '';
  child.stderr.resume();
  child.stdout.on('data', (data) => (stdout += data));
  const ended = new Promise((resolve) => child.once('close', (...how) => resolve(how)));
  if (signal !== undefined) {
    await until('it is ready', () => stdout.includes('ready'), 30_000);
    await until('the command runs', () => runs(seconds));
    child.kill(signal);
  }
  const how = await ended;
  clearTimeout(timer);
  await until('the command is gone', async () => !(await runs(seconds)));
  await until('the connection is gone', async () => (await status()) === 0);
  return [how, stdout];
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  test(`${signal} ends a process as ever, and its commands`, async () => {
    assert.deepEqual((await leave('signal', signal))[0], [null, signal]);
  });
}

test('a signal ends the commands of a pool', async () => {
  assert.deepEqual((await leave('pooled', 'SIGTERM'))[0], [null, 'SIGTERM']);
});

test('a program that listens to a signal decides what becomes of it', async () => {
  assert.deepEqual(await leave('listening', 'SIGTERM'), [[3, null], 'ready\nstill here\n']);
});

for (const [way, code] of [
  ['exit', 4],
  ['exception', 1],
  ['end', 0],
]) {
  test(`no command outlives the process: ${way}`, async () => {
    assert.deepEqual((await leave(way))[0], [code, null]);
  });
}
