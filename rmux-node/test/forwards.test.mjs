// Connections through the host and forwards: the cases that every language runs, and Node's own.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { Agent, createServer as createWeb, get } from 'node:http';
import { connect as dial, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as pause } from 'node:timers/promises';

import { connect } from '../index.mjs';
import { startServer } from './testd.mjs';

const folder = new URL('../../rmux-testkit/cases/', import.meta.url);
const places = mkdtempSync(join(tmpdir(), 'rmux-forward-'));
const WAYS = ['connect', 'listen', 'local', 'remote', 'dynamic', 'remote-dynamic'];
let server;
let session;
const servers = [];
let port;
let taken;

/** Answers with all that it was sent, in capitals, once that has ended. */
async function echo(at) {
  const answering = createServer({ allowHalfOpen: true }, async (socket) => {
    socket.on('error', () => {});
    const heard = await all(socket).catch(() => '');
    socket.end(heard.toUpperCase());
  });
  await new Promise((done) => answering.listen(at, done));
  servers.push(answering);
  return answering;
}

/** All that comes; the other direction stays as it is, which `for await` would end. */
function all(stream) {
  return new Promise((done, fail) => {
    const pieces = [];
    stream.on('data', (piece) => pieces.push(piece));
    stream.once('end', () => done(Buffer.concat(pieces).toString()));
    stream.once('error', fail);
    stream.once('close', () => done(Buffer.concat(pieces).toString()));
  });
}

before(async () => {
  server = await startServer();
  session = await connect(server.host, server.options);
  port = (await echo({ host: '127.0.0.1', port: 0 })).address().port;
  await echo({ path: join(places, 'echo') });
  taken = (await echo({ host: '127.0.0.1', port: 0 })).address().port;
});
after(async () => {
  await session.close();
  servers.forEach((one) => one.close());
  await server.stop();
  rmSync(places, { recursive: true });
});

const TO = {
  port: () => ({ host: '127.0.0.1', port }),
  socket: () => join(places, 'echo'),
  closed: () => '127.0.0.1:1',
};
const AT = {
  port: () => 0,
  socket: (name) => ({ path: join(places, name) }),
  taken: () => ({ host: '127.0.0.1', port: taken }),
};

let files = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const { kind, cases } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
  if (kind !== 'forward') continue;
  files += 1;
  for (const one of cases) test(one.name, () => check(one));
}

test('there are cases', () => assert.equal(files, 1));

async function check({ name, way, at, to, say = '', expect, ...unknown }) {
  assert.deepEqual(unknown, {});
  assert.ok(WAYS.includes(way));
  const { error, heard = '', failed = 0, ...others } = expect;
  assert.deepEqual(others, {});
  const running = run({ name, way, at, to, say, failed });
  if (error !== undefined) await assert.rejects(running, { code: error });
  else assert.deepEqual(await running, { heard, failed });
}

async function run({ name, way, at, to, say, failed }) {
  const target = to && TO[to]();
  if (way === 'connect') {
    const stream = await session.connect(target);
    stream.end(say);
    return { heard: await all(stream), failed: 0 };
  }
  const listen = AT[at](name);
  if (way === 'listen') {
    const listener = await session.listen(listen);
    const calling = call(listener, say);
    const accepted = await listener.accept();
    accepted.end((await all(accepted)).toUpperCase());
    const heard = await calling;
    await listener.close();
    assert.equal(await listener.accept(), null);
    return { heard, failed: 0 };
  }
  const forward = await {
    local: () => session.forwardLocal({ listen, target }),
    remote: () => session.forwardRemote({ listen, target }),
    dynamic: () => session.forwardDynamic({ listen }),
    'remote-dynamic': () => session.forwardRemote({ listen }),
  }[way]();
  const heard = await call(forward, say, target === undefined ? port : undefined);
  await eventually(() => forward.stats().open === 0 && forward.stats().failed === failed);
  const stats = forward.stats();
  await forward.close();
  assert.equal(forward.stats().listening, false);
  return { heard, failed: stats.failed };
}

/** What comes back from there, with SOCKS for this port of localhost where it is given. */
async function call({ listen, port: on }, say, socks) {
  const socket = dial(on === null ? { path: listen } : { host: '127.0.0.1', port: on, allowHalfOpen: true });
  // A connection that came to nothing may be reset.
  socket.on('error', () => {});
  if (socks !== undefined) {
    socket.write(Buffer.from([4, 1, socks >> 8, socks & 255, 0, 0, 0, 1, 0]));
    socket.write('localhost\0');
  }
  socket.end(say);
  const heard = await all(socket).catch(() => '');
  return heard.slice(socks === undefined ? 0 : 8);
}

async function eventually(holds) {
  for (let tries = 0; !holds(); tries += 1) {
    assert.ok(tries < 3000, 'it never holds');
    await pause(10);
  }
}

test('the list of forwards, their figures, and a cut', async () => {
  const forward = await session.forwardLocal({ target: `127.0.0.1:${port}` });
  const socket = dial({ host: '127.0.0.1', port: forward.port });
  socket.on('error', () => {});
  socket.resume();
  socket.write('hello');
  await eventually(() => forward.stats().bytesSent === 5);
  const [stats] = session.forwards();
  assert.equal(stats.listen, forward.listen);
  assert.equal(stats.kind, 'local');
  assert.equal(stats.connections[0].from, `127.0.0.1:${socket.localPort}`);
  assert.equal(stats.lastError, null);
  const closed = new Promise((done) => socket.once('close', done));
  await forward.cut();
  await closed;
  await eventually(() => session.forwards().length === 0);
});

test('an http.Agent over a connection', async () => {
  const web = createWeb((_request, response) => response.end('hello'));
  await new Promise((done) => web.listen(0, '127.0.0.1', done));
  servers.push(web);
  const stream = await session.connectTcp('127.0.0.1', web.address().port);
  const agent = new Agent({ keepAlive: false });
  agent.createConnection = () => stream;
  const text = await new Promise((done, fail) => {
    get('http://web.internal/', { agent }, (response) => all(response).then(done, fail)).on('error', fail);
  });
  assert.equal(text, 'hello');
});

test('much data both ways, with back-pressure', async () => {
  const stream = await session.connectTcp('127.0.0.1', port);
  const data = 'x'.repeat(1 << 20);
  const heard = all(stream);
  for (let i = 0; i < 4; i += 1) {
    if (!stream.write(data)) await new Promise((done) => stream.once('drain', done));
  }
  stream.end();
  assert.equal((await heard).length, 4 << 20);
});

test('giving up, and what is no endpoint', async () => {
  const signal = AbortSignal.abort(new Error('never mind'));
  await assert.rejects(session.connectTcp('127.0.0.1', port, { signal }), { name: 'AbortError' });
  await assert.rejects(session.forwardLocal({ target: 'nowhere' }), { code: 'INVALID_INPUT' });
  await assert.rejects(session.forwardLocal({}), /target/);
  await assert.rejects(session.forwardDynamic({ target: 1 }), /target/);
  await assert.rejects(session.forwardLocal({ target: 70000 }), /no port/);
  const listener = await session.listen();
  const waiting = listener.accept();
  await listener.close();
  assert.equal(await waiting, null);
});
