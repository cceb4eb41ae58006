// The programs in examples/node do what they say.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gunzipSync } from 'node:zlib';

import { hostBlocks, startServer } from './testd.mjs';

const here = path.dirname(fileURLToPath(import.meta.url));
let server;
let behind;
before(async () => {
  server = await startServer();
  behind = await startServer();
  cpSync(path.join(here, '../../examples/node'), server.folder, { recursive: true });
  const config = server.file(
    'config',
    `Host dev
  HostName 127.0.0.1
  Port ${server.port}
  User ${server.user}
  IdentityFile ${server.client_key}
  IdentitiesOnly yes
  UserKnownHostsFile ${server.known_hosts}
Host one uno
  ProxyJump dev
Host closed
  Port 1
${hostBlocks(['one', 'uno', 'closed'].map((name) => [name, behind]))}`,
  );
  // The package, with this configuration in the place of the user's own, which is not ours.
  mkdirSync(path.join(server.folder, 'node_modules/rmux'), { recursive: true });
  server.file('node_modules/rmux/package.json', '{ "exports": "./index.mjs" }');
  server.file(
    'node_modules/rmux/index.mjs',
    `import * as rmux from ${JSON.stringify(new URL('../index.mjs', import.meta.url).href)};
export * from ${JSON.stringify(new URL('../index.mjs', import.meta.url).href)};
export const connect = (host, options) => rmux.connect(host, { configFile: ${JSON.stringify(config)}, ...options });
export class Pool extends rmux.Pool {
  constructor(options) {
    super({ configFile: ${JSON.stringify(config)}, ...options });
  }
}
export const resolve = (host, options) => rmux.resolve(host, { configFile: ${JSON.stringify(config)}, ...options });
`,
  );
});
after(async () => {
  await server?.stop();
  await behind?.stop();
});

function start(...args) {
  const child = spawn(process.execPath, args, {
    cwd: server.folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (data) => (stdout += data));
  child.stderr.on('data', (data) => (stderr += data));
  const ended = new Promise((resolve) =>
    child.once('close', (code) => resolve({ code, stdout, stderr })),
  );
  return { child, ended };
}

test('run.mjs runs commands', async () => {
  const { code, stdout, stderr } = await start('run.mjs', 'dev').ended;
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /^127\.0\.0\.1 runs \w+/);
  assert.match(stdout, /^uptime\n {2}\[\d+\]/m);
});

test('run.mjs says what is wrong in a line', async () => {
  const { code, stderr } = await start('run.mjs', 'dev:').ended;
  assert.equal(code, 1);
  assert.match(stderr, /^[A-Z_]+: .*dev:.*\n$/);
});

test('stream.mjs streams lines', async () => {
  const { code, stdout, stderr } = await start('stream.mjs', 'dev', 'printf', 'a b\nc\n').ended;
  assert.deepEqual([code, stdout, stderr], [0, 'dev| a b\ndev| c\nexit code 0\n', '']);
});

test('stream.mjs ends the command on Ctrl-C', async () => {
  const { child, ended } = start('stream.mjs', 'dev', 'sh', '-c', 'echo up; sleep 60');
  await new Promise((resolve) => child.stdout.once('data', resolve));
  child.kill('SIGINT');
  const { code, stdout } = await ended;
  assert.deepEqual([code, stdout], [0, 'dev| up\nAbortError: Ctrl-C was pressed\n']);
});

test('settings.mjs shows what hosts resolve to', async () => {
  const { code, stdout, stderr } = await start('settings.mjs', 'dev', 'me@other').ended;
  assert.deepEqual([code, stderr], [0, '']);
  const dev = `dev: ${server.user}@127.0.0.1 port ${server.port}, directly\n  key ${server.client_key}\n`;
  assert.ok(stdout.startsWith(`${dev}me@other: me@other port 22, directly\n  key `), stdout);
  const failed = await start('settings.mjs', '-x').ended;
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /^CONFIG_INVALID: .*-x.*\n$/);
});

test('many.mjs connects to each host once', async () => {
  const { accepted } = await server.tell('status');
  const { code, stdout, stderr } = await start('many.mjs', 'echo up', 'one', 'uno', 'closed').ended;
  assert.deepEqual([code, stderr], [0, '']);
  const [one, uno, closed, count] = stdout.split('\n');
  assert.deepEqual([one, uno, count], ['one: up', 'uno: up', '2 connections']);
  assert.match(closed, /^closed: failed: connect: closed: /);
  assert.equal((await server.tell('status')).accepted - accepted, 1);
  assert.equal((await behind.tell('status')).accepted, 1);
});

test('files.mjs works with files', async () => {
  const folder = path.join(server.folder, 'new/folder');
  const { code, stdout, stderr } = await start('files.mjs', 'dev', folder).ended;
  assert.deepEqual([code, stderr], [0, '']);
  const [color, size, empty, ...entries] = stdout.trimEnd().split('\n');
  assert.deepEqual([color, size, empty], ['color = blue', 'size = 3', '']);
  assert.match(entries.sort().join('\n'), /^- 22 notes\.txt\n- \d+ notes\.txt\.gz$/);
  assert.equal(gunzipSync(readFileSync(path.join(folder, 'notes.txt.gz'))).toString(), 'color = blue\nsize = 3\n');
});

test('copy.mjs copies a directory both ways', async () => {
  const [from, there, back] = ['copy-from', 'copy-there', 'copy-back'].map((name) => path.join(server.folder, name));
  mkdirSync(path.join(from, '.git'), { recursive: true });
  for (const name of ['a', 'b.tmp', '.git/c']) server.file(`copy-from/${name}`, 'text');
  const { code, stdout, stderr } = await start('copy.mjs', 'put', 'dev', from, there).ended;
  assert.deepEqual([code, stderr], [0, '']);
  assert.match(stdout, /1 of 1 files, 4 bytes\n1 files copied, 0 left out\n$/);
  const again = await start('copy.mjs', 'put', 'dev', from, there).ended;
  assert.match(again.stdout, /0 files copied, 1 left out\n$/);
  mkdirSync(path.join(back, 'a'), { recursive: true });
  const failed = await start('copy.mjs', 'get', 'dev', there, back).ended;
  assert.equal(failed.code, 1);
  assert.ok(failed.stderr.startsWith(`${there}/a: `), failed.stderr);
});
