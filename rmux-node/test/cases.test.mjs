// The behaviour that is the same in every language: the cases of rmux-testkit. Those of resolving are
// in resolve.test.mjs, those of a pool in pool-cases.test.mjs.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync, rmSync } from 'node:fs';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';

import { connect } from '../index.mjs';
import { startImpostor, startServer } from './testd.mjs';

const folder = new URL('../../rmux-testkit/cases/', import.meta.url);
const CASE = ['name', 'target', 'request', 'expect'];
const RUN = ['timeout', 'max_output', 'on_excess'];
const REQUEST = ['argv', 'shell', 'subsystem', 'options', 'env', 'cwd', 'stdin', 'pty', ...RUN];
const MORE = ['confirmed', 'stdout_dropped', 'stderr_dropped', 'stdout_file'];
const EXPECT = ['code', 'signal', 'error', 'pty', 'stdout', 'stderr', ...MORE];

for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const { kind = 'run', sshd = [], cases } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
  if (kind !== 'run') continue;
  const settings = sshd.flatMap((line) => ['--option', line]);
  const servers =
    file === 'environment.json' ? { refuses: [], accepts: ['--option', 'AcceptEnv *'] } : { sshd: settings };
  for (const [which, args] of Object.entries(servers)) suite(`${file} (${which})`, cases, args);
}

test('variables of this process are sent', async () => {
  const server = await startServer(['--option', 'AcceptEnv *']);
  Object.assign(process.env, { RMUX_MINE: 'a  b', RMUX_NOT: 'x' });
  try {
    const settings = { SendEnv: ['RMUX_M*', 'RMUX_NONE'], SetEnv: 'RMUX_SET=y' };
    const options = { ...server.options, options: { ...server.options.options, ...settings } };
    const session = await connect(server.host, options);
    const { stdout } = await session.run('env | grep ^RMUX_ | sort');
    assert.equal(stdout, 'RMUX_MINE=a  b\nRMUX_SET=y\n');
    await session.close();
  } finally {
    delete process.env.RMUX_MINE;
    delete process.env.RMUX_NOT;
    await server.stop();
  }
});

function suite(name, cases, args) {
  describe(name, () => {
    let server;
    let session;
    before(async () => {
      server = await startServer(args);
      session = await connect(server.host, server.options);
    });
    after(async () => {
      await session?.close();
      await server?.stop();
    });
    assert.ok(cases.length > 0);
    for (const one of cases) {
      test(one.name, async () => {
        onlyKnown(one, CASE);
        onlyKnown(one.request, REQUEST);
        onlyKnown(one.expect, EXPECT);
        const result = await reach(one, server, session, (to) => run(to, one.request));
        if (one.expect.error !== undefined) {
          assert.equal(result.error?.code, one.expect.error, result.error?.stack);
          assert.match(result.error.message, /127\.0\.0\.1/);
          if (one.expect.confirmed !== undefined) checkEnded(result.error, one.expect);
          return;
        }
        if (result.error !== undefined) throw result.error;
        check(result, one.expect);
        checkMore(result, one.expect);
      });
    }
  });
}

function onlyKnown(value, fields) {
  for (const field of Object.keys(value)) assert.ok(fields.includes(field), `unknown field ${field}`);
}

/** Runs `use` on a session to the target, or tells why there is none. */
async function reach({ target = 'server', request }, server, session, use) {
  if (target === 'server' && request.options === undefined) {
    return use(session).catch((error) => ({ error }));
  }
  const { options, stop } = await TARGETS[target](server, request);
  let own;
  try {
    own = await connect('127.0.0.1', { ...server.options, ...options });
    return await use(own);
  } catch (error) {
    return { error };
  } finally {
    await own?.close();
    stop?.();
  }
}

const strict = (server, knownHosts) => ({
  options: { hostKeyPolicy: 'strict', options: { ...server.options.options, UserKnownHostsFile: knownHosts } },
});

const TARGETS = {
  server: async (server, request) => ({
    options: { options: { ...server.options.options, ...request.options } },
  }),
  async refused() {
    return { options: { port: await closedPort() } };
  },
  async silent() {
    const silent = await startImpostor();
    return { options: { port: silent.port, connectTimeout: 1000 }, stop: silent.stop };
  },
  'unknown-host-key': async (server) => strict(server, server.file('empty', '')),
  async 'changed-host-key'(server) {
    const other = await startServer();
    const key = readFileSync(other.known_hosts, 'utf8').trim().split(' ').slice(1).join(' ');
    await other.stop();
    return strict(server, server.file('changed', `[127.0.0.1]:${server.port} ${key}\n`));
  },
  stranger: async (server) => ({ options: { identityFiles: [server.stranger_key] } }),
};

/** A port on which nobody listens. */
async function closedPort() {
  const probe = net.createServer();
  await new Promise((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address();
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function run(session, { argv, shell, subsystem, env, cwd, stdin, pty, ...limits }) {
  const text = (value) => bytes(value).toString();
  const command = argv?.map(text) ?? (shell === undefined ? { subsystem } : text(shell));
  if (pty === undefined) {
    const input = stdin === undefined ? undefined : bytes(stdin);
    return session.run(command, {
      env,
      cwd,
      input,
      encoding: 'buffer',
      timeout: limits.timeout === undefined ? undefined : limits.timeout * 1000,
      maxOutput: limits.max_output,
      onExcess: limits.on_excess,
    });
  }
  const child = await session.spawn(command, { env, cwd, pty, stdin: 'ignore' });
  const [stdout, stderr, exit] = await Promise.all([
    child.stdout.toArray(),
    child.stderr.toArray(),
    child.exited,
  ]);
  return { ...exit, hasPty: child.hasPty, stdout: Buffer.concat(stdout), stderr: Buffer.concat(stderr) };
}

function bytes(value) {
  if (typeof value === 'string') return Buffer.from(value);
  if (value.base64 !== undefined) return Buffer.from(value.base64, 'base64');
  return Buffer.from(value.repeat.repeat(value.times));
}

function checkEnded(error, { confirmed, stdout, stderr }) {
  assert.equal(error.confirmed, confirmed, error.message);
  sameBytes(error.stdout, stdout ?? '', 'stdout');
  sameBytes(error.stderr, stderr ?? '', 'stderr');
}

function checkMore(result, expect) {
  assert.equal(result.stdoutDropped ?? 0, expect.stdout_dropped ?? 0);
  assert.equal(result.stderrDropped ?? 0, expect.stderr_dropped ?? 0);
  assert.equal(result.stderrFile, undefined);
  assert.equal(result.stdoutFile === undefined, expect.stdout_file === undefined);
  if (result.stdoutFile === undefined) return;
  const all = readFileSync(result.stdoutFile);
  rmSync(result.stdoutFile);
  sameBytes(all, expect.stdout_file, 'the file');
}

function check(result, { code = 0, signal, pty, stdout, stderr }) {
  const end = signal === undefined ? [code, null] : [null, `SIG${signal}`];
  assert.deepEqual([result.exitCode, result.signal], end, `stderr: ${result.stderr}`);
  if (pty !== undefined) assert.equal(result.hasPty, pty);
  sameBytes(result.stdout, stdout ?? '', 'stdout');
  sameBytes(result.stderr, stderr ?? '', 'stderr');
}

function sameBytes(actual, expected, what) {
  if (expected.contains !== undefined) {
    assert.ok(actual.includes(expected.contains), `${what}: ${actual}`);
  } else {
    const wanted = bytes(expected);
    assert.ok(actual.equals(wanted), `${what}: ${short(actual)} instead of ${short(wanted)}`);
  }
}

const short = (data) => `${data.length} bytes ${JSON.stringify(data.subarray(0, 200).toString())}`;
