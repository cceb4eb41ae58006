// `session.spawn`: Node streams, back-pressure, terminals, signals and events.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { Duplex, Readable, Transform, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { connect } from '../index.mjs';
import { startServer } from './testd.mjs';

const MIB = 1024 * 1024;

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

test('the three streams and the end', async () => {
  const child = await session.spawn('tr a-z A-Z; echo done >&2; exit 7');
  child.stdin.end('hello');
  const [stdout, stderr, exit] = await Promise.all([
    child.stdout.toArray(),
    child.stderr.toArray(),
    child.exited,
  ]);
  assert.equal(Buffer.concat(stdout).toString(), 'HELLO');
  assert.equal(Buffer.concat(stderr).toString(), 'done\n');
  assert.deepEqual(exit, { exitCode: 7, signal: null });
  assert.equal(child.exitCode, 7);
});

test('a slow reader gets all of 64 MiB and reads no further ahead than it must', async () => {
  const child = await session.spawn('head -c 67108864 /dev/zero | tr "\\0" x');
  let length = 0;
  let most = 0;
  const hash = createHash('sha256');
  for await (const chunk of child.stdout) {
    length += chunk.length;
    hash.update(chunk);
    most = Math.max(most, child.stdout.readableLength + chunk.length);
    if (length < 8 * MIB) await sleep(1);
  }
  assert.equal(length, 64 * MIB);
  const expected = createHash('sha256').update(Buffer.alloc(64 * MIB, 'x')).digest('hex');
  assert.equal(hash.digest('hex'), expected);
  assert.ok(most <= 2 * MIB, `${most} bytes were held in Node at once`);
  assert.equal((await child.exited).exitCode, 0);
});

test('what is not read holds up neither the command nor the session', async () => {
  const child = await session.spawn('head -c 33554432 /dev/zero; echo end >&2');
  assert.deepEqual(await child.exited, { exitCode: 0, signal: null });
  assert.equal((await session.run('echo fine')).stdout, 'fine\n');
  let length = 0;
  for await (const chunk of child.stdout) length += chunk.length;
  assert.equal(length, 32 * MIB);
});

test('a writer waits while the command does not read', async () => {
  const child = await session.spawn('sleep 1; wc -c');
  const chunk = Buffer.alloc(MIB);
  let accepted = 0;
  const source = Readable.from(
    (function* () {
      for (let index = 0; index < 64; index += 1) {
        accepted += 1;
        yield chunk;
      }
    })(),
    { objectMode: false, highWaterMark: MIB },
  );
  const written = pipeline(source, child.stdin);
  await sleep(500);
  assert.ok(accepted < 32, `${accepted} MiB were accepted before anything was read`);
  await written;
  const [line] = await child.stdout.toArray();
  assert.equal(Number(line), 64 * MIB);
});

test('a stream through a command and back is whole', async () => {
  const child = await session.spawn(['cat']);
  const pieces = Array.from({ length: 300 }, (_, index) => Buffer.alloc(index * 97, index % 251));
  const sent = createHash('sha256');
  const received = createHash('sha256');
  const counted = new Transform({
    transform(piece, _encoding, done) {
      sent.update(piece);
      done(null, piece);
    },
  });
  await Promise.all([
    pipeline(Readable.from(pieces.filter(({ length }) => length > 0)), counted, child.stdin),
    pipeline(child.stdout, received),
  ]);
  assert.equal(received.digest('hex'), sent.digest('hex'));
});

test('a child is iterated by lines', async () => {
  const child = await session.spawn("printf 'one\\ntwo\\r\\n\\nmö'; sleep 0.1; printf 're\\nlast'");
  const lines = [];
  for await (const line of child) lines.push(line);
  assert.deepEqual(lines, ['one', 'two', '', 'möre', 'last']);
});

test('a duplex is a connection to the command', async () => {
  const child = await session.spawn('read name; echo "hello $name"; wc -c; echo last');
  const duplex = child.duplex();
  assert.ok(duplex instanceof Duplex);
  duplex.write('you\n');
  const [first] = await once(duplex, 'data');
  assert.equal(`${first}`, 'hello you\n');
  const received = duplex.toArray();
  await pipeline(Readable.from([Buffer.alloc(3 * MIB), Buffer.alloc(MIB)], { objectMode: false }), duplex, { end: true });
  assert.equal(`${Buffer.concat(await received)}`.replace(/\s+/g, ' '), `${4 * MIB} last `);
  assert.equal((await child.exited).exitCode, 0);
  assert.equal(duplex.destroyed, true);
});

test('a duplex gives all of what a command wrote that has ended', async () => {
  const child = await session.spawn('head -c 1000000 /dev/zero');
  const duplex = child.duplex();
  await child.exited;
  await sleep(50);
  let length = 0;
  for await (const chunk of duplex) length += chunk.length;
  assert.equal(length, 1_000_000);
});

test('destroying a duplex destroys both', async () => {
  const child = await session.spawn('yes');
  const duplex = child.duplex();
  await once(duplex, 'data');
  duplex.destroy();
  await once(duplex, 'close');
  assert.deepEqual([child.stdin.destroyed, child.stdout.destroyed], [true, true]);
  child.kill('SIGKILL');
  await child.exited;
  const ignored = await session.spawn('cat', { stdin: 'ignore' });
  assert.throws(() => ignored.duplex(), { code: 'INVALID_INPUT', operation: 'write' });
  await ignored.exited;
});

test('web streams: a command in the middle, and cancelling', async () => {
  const child = await session.spawn('tr a-z A-Z');
  const input = Writable.toWeb(child.stdin).getWriter();
  const output = Readable.toWeb(child.stdout);
  const text = new Response(output).text();
  await input.write(Buffer.from('through '));
  await input.write(Buffer.from('the web'));
  await input.close();
  assert.equal(await text, 'THROUGH THE WEB');

  const endless = await session.spawn('yes');
  const reader = Readable.toWeb(endless.stdout).getReader();
  assert.equal((await reader.read()).done, false);
  await reader.cancel();
  assert.equal(endless.stdout.destroyed, true);
  endless.kill();
  assert.equal((await endless.exited).signal, 'SIGTERM');
});

test('a pipeline that fails lets go of its streams, and of nothing else', async () => {
  const child = await session.spawn('yes');
  const broken = new Transform({
    transform: (_piece, _encoding, done) => done(new Error('broken on purpose')),
  });
  await assert.rejects(pipeline(child.stdout, broken), /broken on purpose/);
  assert.equal(child.stdout.destroyed, true);
  child.kill();
  await child.exited;

  const reading = await session.spawn('cat');
  const controller = new AbortController();
  const piping = pipeline(reading.stdout, new Transform({ transform: (_1, _2, done) => done() }), {
    signal: controller.signal,
  });
  controller.abort();
  await assert.rejects(piping, { name: 'AbortError' });
  assert.equal((await reading.wait()).exitCode, 0);
  assert.equal((await session.run('echo fine')).stdout, 'fine\n');
});

test('streams destroyed at any moment lose nobody else anything', async () => {
  for (let turns = 0; turns < 12; turns += 1) {
    const child = await session.spawn('head -c 500000 /dev/zero; exec cat');
    child.stdin.write(Buffer.alloc(MIB));
    child.stdout.resume();
    for (let turn = 0; turn < turns; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    child.stdout.destroy();
    child.stdin.destroy();
    child.stderr.destroy();
    await child.exited;
  }
  assert.equal((await session.run('echo fine')).stdout, 'fine\n');
});

test('leaving the iteration lets go of the output', async () => {
  const child = await session.spawn('yes');
  for await (const line of child) {
    assert.equal(line, 'y');
    break;
  }
  assert.equal(child.stdout.destroyed, true);
  child.kill();
  assert.equal((await child.exited).signal, 'SIGTERM');
});

test('exit and close are told, in this order', async () => {
  const child = await session.spawn('echo text; exit 2');
  const told = [];
  child.on('exit', (...how) => told.push(['exit', ...how]));
  child.on('close', (...how) => told.push(['close', ...how]));
  child.stdout.on('data', (data) => told.push(['data', `${data}`]));
  await once(child, 'close');
  assert.deepEqual(told.filter(([what]) => what !== 'data'), [
    ['exit', 2, null],
    ['close', 2, null],
  ]);
  assert.ok(told.findIndex(([what]) => what === 'data') < told.length - 1);
});

test('close comes also where nobody reads', async () => {
  const child = await session.spawn('echo text');
  assert.deepEqual(await once(child, 'close'), [0, null]);
  assert.equal(`${await child.stdout.toArray()}`, 'text\n');
});

test('wait ends the input', async () => {
  const child = await session.spawn('cat >/dev/null; exit 5');
  assert.equal((await child.wait()).exitCode, 5);
});

test('writing to a command that has ended is an error, and no exception', async () => {
  const child = await session.spawn('head -c 1');
  const writes = [];
  for (let index = 0; index < 64; index += 1) {
    writes.push(new Promise((done) => child.stdin.write(Buffer.alloc(MIB), done)));
  }
  child.stdin.on('error', () => {});
  assert.equal((await child.exited).exitCode, 0);
  // Every one is told, and none of the later ones that it was written.
  for (const error of (await Promise.all(writes)).slice(16)) {
    assert.ok(['EPIPE', 'ERR_STREAM_DESTROYED'].includes(error?.code), `${error}`);
  }
  const late = await new Promise((done) => child.stdin.write('x', done));
  assert.equal(late.code, 'ERR_STREAM_DESTROYED');
});

test('signals by name reach the command', async () => {
  const child = await session.spawn("trap 'exit 9' USR1; echo ready; while :; do sleep 0.05; done");
  await once(child.stdout, 'data');
  assert.equal(child.kill('SIGUSR1'), true);
  assert.equal((await child.exited).exitCode, 9);
  assert.equal(child.kill('SIGTERM'), false);
});

test('what is no signal is refused', async () => {
  const child = await session.spawn('cat');
  for (const name of ['term', 'SIG TERM', '', 15, 'A'.repeat(40)]) {
    assert.throws(() => child.kill(name), { code: 'ERR_UNKNOWN_SIGNAL' });
  }
  await child.wait();
});

test('a terminal, its size and its resizing', async () => {
  const child = await session.spawn('stty size; read x; stty size; test -t 0 && test -t 1 && echo "$TERM"', {
    pty: { term: 'vt100', columns: 91, rows: 17, modes: { 53: 0 } },
  });
  const lines = child[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, '17 91');
  child.resize(120, 40);
  child.stdin.write('\n');
  const rest = [];
  for await (const line of lines) rest.push(line);
  assert.deepEqual(rest, ['40 120', 'vt100']);
  assert.throws(() => child.resize(-1, 2), RangeError);
});

test('a new size of the terminal is there before what is written after it', async () => {
  const line = 'stty -echo; echo ready; while read -r _; do stty size; done';
  const child = await session.spawn(line, { pty: true });
  const lines = child[Symbol.asyncIterator]();
  assert.equal((await lines.next()).value, 'ready');
  for (let round = 1; round <= 100; round += 1) {
    child.resize(100 + round, 10 + round);
    child.stdin.write('\n');
    assert.equal((await lines.next()).value, `${10 + round} ${100 + round}`);
  }
  child.stdin.write('\u0004');
  assert.equal((await child.exited).exitCode, 0);
});

test('streams that are not piped are not there', async () => {
  const child = await session.spawn('cat; echo x', { stdin: 'ignore', stdout: 'ignore', stderr: 'ignore' });
  assert.deepEqual([child.stdin, child.stdout, child.stderr], [null, null, null]);
  assert.throws(() => child[Symbol.asyncIterator](), { code: 'INVALID_INPUT' });
  assert.equal((await child.wait()).exitCode, 0);
});

test('options of spawn that do not exist are refused', async () => {
  await assert.rejects(session.spawn('true', { stdin: 'pip' }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(session.spawn('true', { input: 'x' }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(session.spawn('true', { pty: { rows: -1 } }), { code: 'ERR_OUT_OF_RANGE' });
  await assert.rejects(session.spawn('true', { pty: { modes: { 300: 1 } } }), { code: 'INVALID_INPUT' });
});
