// `session.run`: what commands get, what they give, and what is refused.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { RmuxError, connect } from '../index.mjs';
import { startServer } from './testd.mjs';

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

test('output, error output and exit code', async () => {
  assert.deepEqual(await session.run('echo out; echo err >&2; exit 3'), {
    stdout: 'out\n',
    stderr: 'err\n',
    exitCode: 3,
    signal: null,
  });
});

test('a string is a shell line, an array reaches the program word for word', async () => {
  assert.equal((await session.run('echo a | tr a b')).stdout, 'b\n');
  const words = ['', 'a b', "it's", '$HOME', 'a\\b!', '*', 'line\nbreak', 'ü€😀', '-n'];
  const { stdout } = await session.run(['printf', '<%s>', ...words]);
  assert.equal(stdout, words.map((word) => `<${word}>`).join(''));
});

test('a signal that ended the command', async () => {
  const result = await session.run('kill -TERM $$');
  assert.equal(result.signal, 'SIGTERM');
  assert.equal(result.exitCode, null);
});

test('input, environment and directory', async () => {
  const env = { RMUX_A: 'one two', RMUX_B: undefined };
  const result = await session.run('cat; printf "%s,%s," "$RMUX_A" "${RMUX_B-unset}"; pwd', {
    input: 'given,',
    env,
    cwd: '/usr',
  });
  assert.equal(result.stdout, 'given,one two,unset,/usr\n');
});

test('all bytes pass both ways, also from a view into a larger buffer', async () => {
  const all = Uint8Array.from({ length: 3 * 256 }, (_, index) => index);
  const view = new Uint8Array(all.buffer, 256, 256);
  const { stdout } = await session.run(['cat'], { input: view, encoding: 'buffer' });
  assert.ok(Buffer.isBuffer(stdout));
  assert.deepEqual(new Uint8Array(stdout), view.slice());
});

test('a Buffer owns its memory', async () => {
  const { stdout } = await session.run('head -c 100000 /dev/zero', { encoding: 'buffer' });
  assert.equal(stdout.length, 100_000);
  // Memory of V8's own can be moved to another thread; foreign memory could not be detached.
  const moved = structuredClone(stdout.buffer, { transfer: [stdout.buffer] });
  assert.equal(moved.byteLength >= 100_000, true);
});

test('encodings are those of Buffer', async () => {
  assert.equal((await session.run('printf abc', { encoding: 'hex' })).stdout, '616263');
  assert.equal((await session.run("printf '\\351'", { encoding: 'latin1' })).stdout, 'é');
  await assert.rejects(session.run('true', { encoding: 'utf-99' }), { code: 'ERR_INVALID_ARG_VALUE' });
});

test('check turns an exit code into an error that has the result', async () => {
  await assert.rejects(session.run('echo some; echo words >&2; exit 4', { check: true }), (error) => {
    assert.ok(error instanceof RmuxError);
    assert.equal(error.name, 'RmuxError');
    assert.equal(error.code, 'NON_ZERO_EXIT');
    assert.equal(error.host, '127.0.0.1');
    assert.match(error.message, /127\.0\.0\.1.*status 4.*words/);
    assert.deepEqual([error.exitCode, error.stdout, error.stderr], [4, 'some\n', 'words\n']);
    return true;
  });
  assert.equal((await session.run('true', { check: true })).exitCode, 0);
});

test("an error's stack leads to the caller", async () => {
  async function theCaller() {
    await session.run('exit 1', { check: true });
  }
  await assert.rejects(theCaller(), ({ stack }) => stack.includes('theCaller'));
});

test('a command that is not there is reported by its exit code', async () => {
  assert.equal((await session.run(['rmux-no-such-program'])).exitCode, 127);
  await assert.rejects(session.run(['rmux-no-such-program'], { check: true }), (error) => {
    assert.equal(error.code, 'NON_ZERO_EXIT');
    assert.match(error.message, /127\.0\.0\.1.*not found/);
    assert.equal(error.message.includes('\n'), false);
    return true;
  });
});

test('100 commands at once', async () => {
  const numbers = Array.from({ length: 100 }, (_, index) => index);
  const results = await Promise.all(numbers.map((n) => session.run(['echo', `${n}`])));
  assert.deepEqual(
    results.map(({ stdout }) => stdout),
    numbers.map((n) => `${n}\n`),
  );
});

test('what cannot be run is refused before it is sent', async () => {
  for (const command of [undefined, 5, null, {}, ['a', 1]]) {
    await assert.rejects(session.run(command), { name: 'TypeError', code: 'ERR_INVALID_ARG_TYPE' });
  }
  for (const command of ['a\0b', ['a', 'b\0']]) {
    await assert.rejects(session.run(command), { name: 'RmuxError', code: 'INVALID_INPUT', host: '127.0.0.1' });
  }
  await assert.rejects(session.run([]), { code: 'INVALID_INPUT' });
  await assert.rejects(session.run('true', { env: { 'A=B': 'c' } }), { code: 'INVALID_INPUT' });
  await assert.rejects(session.run('true', { env: { A: 1 } }), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(session.run('true', { input: 5 }), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(session.run('true', { timout: 5 }), { code: 'ERR_INVALID_ARG_VALUE' });
  for (const timeout of [-1, NaN, Infinity]) {
    await assert.rejects(session.run('true', { timeout }), { code: 'ERR_OUT_OF_RANGE' });
  }
});

test('what the session resolved to', () => {
  assert.deepEqual(session.host, {
    name: '127.0.0.1',
    hostname: '127.0.0.1',
    user: server.user,
    port: server.port,
  });
});
