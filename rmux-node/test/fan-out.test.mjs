// One command on many hosts: failures, aborting, and that nothing is left running.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { after, before, test } from 'node:test';

import { Pool, RmuxError } from '../index.mjs';
import { hostBlocks, startServer, until } from './testd.mjs';

let server;
before(async () => {
  server = await startServer(['--passphrase', 'key words']);
});
after(() => server?.stop());

let configs = 0;
/** A pool that knows the server by these names, and not as one host. */
function poolOf(names, more = '') {
  const apart = names.map((name) => `Host ${name}\n SetEnv RMUX_NAME=${name}\n`).join('');
  const blocks = hostBlocks(names.map((name) => [name, server]));
  configs += 1;
  return new Pool({ configFile: server.file(`config-${configs}`, more + apart + blocks) });
}

/** Whether a command with this argument runs on this machine. */
const runs = (mark) =>
  execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })
    .split('\n')
    .some((line) => line === `sleep ${mark}`);
const over = (mark) => until('nothing runs any more', () => !runs(mark), 30_000);

test('results say what came of each', async () => {
  const pool = poolOf(['one', 'down'], 'Host down\n ProxyCommand false\n');
  const results = [];
  for await (const one of pool.runMany(['one', 'down'], ['echo', 'a  b'])) results.push(one);
  const [one, down] = results;
  assert.deepEqual(one, {
    index: 0,
    host: 'one',
    result: { stdout: 'a  b\n', stderr: '', exitCode: 0, signal: null },
  });
  assert.ok(down.error instanceof RmuxError && down.error.code === 'CONNECT_FAILED');
  const bytes = await pool.runMany(['one'], 'echo on', { encoding: 'buffer' }).next();
  assert.deepEqual(bytes.value.result.stdout, Buffer.from('on\n'));
  assert.throws(() => pool.runMany('one', 'true'), TypeError);
  assert.throws(() => pool.runMany(['one'], []), { code: 'INVALID_INPUT' });
  assert.throws(() => pool.runMany(['one'], 'true', { limits: 3 }), TypeError);
  await pool.close();
});

test('a hundred times the same host', async () => {
  // Fewer at a time than the server takes on one connection.
  const earlier = (await server.tell('status')).accepted;
  const pool = new Pool(server.options);
  let count = 0;
  for await (const { result } of pool.runMany(Array(100).fill(server.host), 'echo up', { limit: 6 })) {
    assert.equal(result.stdout, 'up\n');
    count += 1;
  }
  assert.equal(count, 100);
  assert.equal((await server.tell('status')).accepted - earlier, 1);
  await pool.close();
});

test('leaving the loop ends the rest', async () => {
  const pool = poolOf(['one', 'two']);
  const command = 'if [ -e /nowhere ]; then :; fi; echo up; exec sleep 6501';
  const results = pool.runMany(['one', 'two'], command);
  const waiting = results.next();
  await until('it runs', () => runs(6501), 30_000);
  await results.return();
  await over(6501);
  // Who waited is told, and nobody is after that.
  assert.equal((await waiting).value?.error?.code ?? 'CANCELLED', 'CANCELLED');
  assert.deepEqual(await results.next(), { done: true, value: undefined });
  await pool.close();
});

test('an aborted signal ends all', async () => {
  const pool = poolOf(['one', 'two']);
  const controller = new AbortController();
  const loop = (async () => {
    const options = { signal: controller.signal };
    for await (const one of pool.runMany(['one', 'two'], ['sleep', '6502'], options)) assert.fail(one);
  })();
  await until('it runs', () => runs(6502), 30_000);
  controller.abort();
  await assert.rejects(loop, { code: 'ABORT_ERR' });
  await over(6502);
  await pool.close();
});

test('the first failure ends the rest', async () => {
  const pool = poolOf(['one', 'down', 'never'], 'Host down\n ProxyCommand sleep 2\n');
  const codes = [];
  const options = { limit: 2, failFast: true };
  for await (const { error } of pool.runMany(['one', 'down', 'never'], ['sleep', '6503'], options)) {
    codes.push(error?.code);
  }
  assert.deepEqual(codes, ['CANCELLED', 'CONNECT_FAILED', 'CANCELLED']);
  await over(6503);
  await pool.close();
});

test('callbacks answer meanwhile', async () => {
  const asked = [];
  const pool = new Pool({
    ...server.options,
    identityFiles: [server.client_key_encrypted],
    passphrase: async ({ host }) => {
      asked.push(host);
      return 'key words';
    },
  });
  const results = pool.runMany([server.host, server.host], 'echo in');
  for await (const { result } of results) assert.equal(result.stdout, 'in\n');
  assert.deepEqual(asked, [server.host]);
  await pool.close();
});
