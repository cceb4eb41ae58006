// Connecting to what is not as it should be: one clear line with the host in it, the right code, in
// time, and nothing left behind.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { RmuxError, connect } from '../index.mjs';
import { startImpostor, startRelay, startServer, until } from './testd.mjs';

let server;
before(async () => {
  server = await startServer(['--passphrase', 'open sesame']);
  // What is set up once in a process shall not count.
  await (await connect('127.0.0.1', server.options)).close();
});
after(() => server?.stop());

const hasDescriptors = existsSync('/proc/self/fd');
const descriptors = () => readdirSync('/proc/self/fd').length;

/** Connecting fails in this way, in time, and leaves no descriptor behind. */
async function refuses(options, codes, pattern, { host = '127.0.0.1', limit = 5000 } = {}) {
  const before = hasDescriptors ? descriptors() : 0;
  const started = performance.now();
  const error = await connect(host, { ...server.options, ...options }).then(
    () => assert.fail('it connected'),
    (error) => error,
  );
  assert.ok(error instanceof RmuxError, error.stack);
  assert.ok([codes].flat().includes(error.code), `${error.code}: ${error.message}`);
  assert.equal(error.host, host);
  assert.ok(error.message.includes(host), error.message);
  assert.equal(error.message.includes('\n'), false, error.message);
  if (pattern) assert.match(error.message, pattern);
  assert.ok(performance.now() - started < limit, `it took ${performance.now() - started} ms`);
  if (hasDescriptors) await until('its descriptors are closed', () => descriptors() <= before);
  return error;
}

test('a host that does not exist', async () => {
  const host = 'rmux-test.invalid';
  await refuses({ port: 22 }, 'CONNECT_FAILED', undefined, { host, limit: 16_000 });
});

test('a port that refuses', async () => {
  const gone = await startImpostor();
  gone.stop();
  await refuses({ port: gone.port }, 'CONNECT_FAILED', /refused/i);
});

test('a server that says nothing', async () => {
  const silent = await startImpostor();
  try {
    await refuses({ port: silent.port, connectTimeout: 300 }, 'TIMED_OUT', undefined, { limit: 3000 });
  } finally {
    silent.stop();
  }
});

test('a server that is no SSH server', async () => {
  const answer = 'HTTP/1.1 400 Bad Request\r\n\r\n';
  // A server may say something before its version (RFC 4253, section 4.2), but not for ever.
  const talkative = await startImpostor(answer.repeat(1000));
  const waiting = await startImpostor(answer);
  try {
    await refuses({ port: talkative.port, connectTimeout: 5000 }, 'CONNECT_FAILED', /is no SSH server.*HTTP/);
    await refuses({ port: waiting.port, connectTimeout: 300 }, 'TIMED_OUT', /SSH/);
  } finally {
    talkative.stop();
    waiting.stop();
  }
});

test('a key that may not log in', async () => {
  await refuses({ identityFiles: [server.stranger_key] }, 'AUTH_FAILED');
});

test('an unknown host key', async () => {
  const file = server.file('empty', '');
  const options = { ...server.options.options, UserKnownHostsFile: file };
  for (const hostKeyPolicy of [undefined, 'strict']) {
    await refuses({ options, hostKeyPolicy }, 'HOST_KEY_UNKNOWN', /SHA256:/);
  }
  assert.equal(readFileSync(file, 'utf8'), '');
});

test('a changed host key is refused by every policy', async () => {
  const stranger = readFileSync(`${server.stranger_key}.pub`, 'utf8').split(' ').slice(0, 2).join(' ');
  const file = server.file('changed', `[127.0.0.1]:${server.port} ${stranger}\n`);
  const options = { ...server.options.options, UserKnownHostsFile: file };
  for (const hostKeyPolicy of ['strict', 'accept-new', () => true]) {
    await refuses({ options, hostKeyPolicy }, 'HOST_KEY_CHANGED', /changed/);
  }
});

test('a revoked host key', async () => {
  const known = readFileSync(server.known_hosts, 'utf8').trim().split('\n');
  const file = server.file('revoked', known.map((line) => `@revoked ${line}\n`).join(''));
  await refuses({ options: { ...server.options.options, UserKnownHostsFile: file } }, 'HOST_KEY_REVOKED');
});

test('a wrong passphrase, and none', async () => {
  const identityFiles = [server.client_key_encrypted];
  await refuses({ identityFiles, passphrase: () => 'wrong' }, 'AUTH_FAILED', /passphrase/i);
  await refuses({ identityFiles }, 'AUTH_FAILED', /passphrase/i);
});

test('a key file that is not there', async () => {
  await refuses({ identityFiles: [`${server.folder}/no-such-key`] }, ['AUTH_FAILED', 'NOT_FOUND'], /no-such-key/);
});

test('a config file that is not there', async () => {
  await refuses({ configFile: `${server.folder}/no-such-config` }, ['CONFIG_INVALID', 'NOT_FOUND'], /no-such-config/);
});

test('an ssh option that does not exist, or has no such value', async () => {
  const own = server.options.options;
  await refuses({ options: { ...own, NoSuchOption: 'yes' } }, 'CONFIG_INVALID', /NoSuchOption/i);
  await refuses({ options: { ...own, ConnectTimeout: 'soon' } }, 'CONFIG_INVALID', /soon/);
});

test('a port that is none', async () => {
  for (const port of [0, 65_536, 4_294_967_295]) await refuses({ port }, 'CONFIG_INVALID', /port/);
  await assert.rejects(connect('ssh://127.0.0.1:99999', server.options), (error) => {
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, /127\.0\.0\.1:99999/);
    return true;
  });
});

test('a server that dies in the middle of output', async () => {
  const relay = await startRelay(server.port);
  const session = await connect('127.0.0.1', {
    ...server.options,
    port: relay.port,
    dangerAcceptAnyHostKey: true,
  });
  try {
    const child = await session.spawn('yes');
    const reading = (async () => {
      let length = 0;
      for await (const chunk of child.stdout) {
        length += chunk.length;
        if (length > 1_000_000) relay.cut();
      }
    })();
    const running = session.run('yes | head -c 100000000; sleep 60');
    running.catch(() => {});
    for (const end of [reading, child.exited, running]) {
      await assert.rejects(end, (error) => {
        assert.equal(error.code, 'DISCONNECTED');
        assert.match(error.message, /127\.0\.0\.1/);
        return true;
      });
    }
    assert.equal((await session.closed).reason, 'lost');
  } finally {
    relay.stop();
  }
});

test('arguments of a wrong kind are refused before anything is done', async () => {
  const kinds = [
    [undefined, {}, 'ERR_INVALID_ARG_TYPE'],
    ['dev', 5, 'ERR_INVALID_ARG_TYPE'],
    ['dev', [], 'ERR_INVALID_ARG_TYPE'],
    ['dev', { prot: 22 }, 'ERR_INVALID_ARG_VALUE'],
    ['dev', { port: '22' }, 'ERR_INVALID_ARG_TYPE'],
    ['dev', { port: 2.5 }, 'ERR_OUT_OF_RANGE'],
    ['dev', { port: -1 }, 'ERR_OUT_OF_RANGE'],
    ['dev', { identityFiles: 'key' }, 'ERR_INVALID_ARG_TYPE'],
    ['dev', { options: { Port: 22 } }, 'ERR_INVALID_ARG_TYPE'],
    ['dev', { hostKeyPolicy: 'yes' }, 'ERR_INVALID_ARG_VALUE'],
    ['dev', { hostKeyPolicy: 'strict', dangerAcceptAnyHostKey: true }, 'ERR_INVALID_ARG_VALUE'],
    ['dev', { keepalive: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['dev', { connectTimeout: NaN }, 'ERR_OUT_OF_RANGE'],
    ['dev', { signal: {} }, 'ERR_INVALID_ARG_TYPE'],
    ['dev', { onEvent: 'log' }, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [host, options, code] of kinds) {
    await assert.rejects(connect(host, options), { name: 'TypeError', code }, JSON.stringify(options));
  }
  for (const host of ['', '-oProxyCommand=x', 'a b', 'dev\n']) {
    await assert.rejects(connect(host, { configFile: false }), { name: 'RmuxError', code: 'CONFIG_INVALID' });
  }
});
