// What a destination resolves to: the cases that every language runs, and what is Node's own.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';

import { RmuxError, connect, resolve } from '../index.mjs';
import { until } from './testd.mjs';

const cases = new URL('../../rmux-testkit/cases/', import.meta.url);
const REPEATS = [
  ...['certificatefile', 'identityfile', 'sendenv', 'setenv'],
  ...['dynamicforward', 'localforward', 'remoteforward'],
];
const CASE = ['name', 'files', 'request', 'expect'];

let folder;
before(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'rmux-resolve-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));

/** Writes a configuration of its own and returns its path. */
function configuration(name, text) {
  const file = path.join(folder, name);
  writeFileSync(file, text);
  return file;
}

for (const file of readdirSync(cases).filter((name) => name.endsWith('.json'))) {
  const { kind, cases: all } = JSON.parse(readFileSync(new URL(file, cases), 'utf8'));
  if (kind !== 'resolve') continue;
  describe(file, () => {
    assert.ok(all.length > 30);
    for (const one of all) {
      test(one.name, async () => {
        for (const field of Object.keys(one)) assert.ok(CASE.includes(field), `unknown field ${field}`);
        const own = path.join(folder, one.name);
        await check(own, one);
      });
    }
  });
}

async function check(own, { files = {}, request, expect }) {
  const filled = (text) => text.replaceAll('{folder}', own);
  for (const [name, content] of Object.entries(files)) {
    mkdirSync(path.dirname(path.join(own, name)), { recursive: true });
    const bytes = content.base64 === undefined ? filled(content) : Buffer.from(content.base64, 'base64');
    writeFileSync(path.join(own, name), bytes);
  }
  const { host, identity_files: identityFiles, options, ...rest } = request;
  const result = await resolve(host, {
    ...rest,
    configFile: 'config' in files ? path.join(own, 'config') : false,
    identityFiles: identityFiles?.map(filled),
    options: options && Object.fromEntries(Object.entries(options).map(([key, value]) => [key, [value].flat().map(filled)])),
  }).catch((error) => error);
  if (expect.error !== undefined) {
    assert.ok(result instanceof RmuxError, result.stack ?? JSON.stringify(result));
    assert.equal(result.code, expect.error);
    assert.equal(result.host, host);
    assert.equal(result.message.includes('\n'), false);
    for (const text of expect.contains) assert.ok(result.message.includes(filled(text)), result.message);
    return;
  }
  if (result instanceof Error) throw result;
  // Not UTF-8 becomes what Buffer makes of it.
  const text = (value) => (value.base64 === undefined ? filled(value) : Buffer.from(value.base64, 'base64').toString());
  for (const [key, wanted] of Object.entries(expect.settings)) {
    const got = result[key];
    if (wanted === null) assert.equal(got, undefined, key);
    else if (Array.isArray(wanted)) assert.deepEqual(got, wanted.map(text), key);
    else if (wanted.has !== undefined) {
      const names = got.split(',');
      for (const name of wanted.has) assert.ok(names.includes(name), `${key}: ${got}`);
      for (const name of wanted.lacks) assert.equal(names.includes(name), false, `${key}: ${got}`);
    } else assert.equal(got, text(wanted), key);
  }
}

test('a plain object, with arrays for what repeats and strings for all else', async () => {
  const options = { SendEnv: 'A', LocalForward: '1 h:2', CertificateFile: 'c' };
  const resolved = await resolve('dev', { configFile: false, options });
  assert.equal(Object.getPrototypeOf(resolved), Object.prototype);
  assert.ok(Object.keys(resolved).length > 70);
  for (const [key, value] of Object.entries(resolved)) {
    assert.equal(key, key.toLowerCase());
    assert.equal(Array.isArray(value), REPEATS.includes(key), key);
    assert.ok([value].flat().every((one) => typeof one === 'string'), key);
  }
  assert.deepEqual(resolved.sendenv, ['A']);
  const declared = /export interface Resolved {([^}]*)}/.exec(readFileSync(new URL('../index.d.ts', import.meta.url), 'utf8'))[1];
  const arrays = [...declared.matchAll(/(\w+)\?: string\[\];/g)].map(([, key]) => key);
  assert.deepEqual(arrays.sort(), [...REPEATS].sort());
});

test('options of a wrong kind', async () => {
  const kinds = [
    [5, {}, 'ERR_INVALID_ARG_TYPE'],
    ['dev', { password: 'x' }, 'ERR_INVALID_ARG_VALUE'],
    ['dev', { port: '22' }, 'ERR_INVALID_ARG_TYPE'],
    ['dev', { matchExec: 'sometimes' }, 'ERR_INVALID_ARG_VALUE'],
    ['dev', { options: { Port: 22 } }, 'ERR_INVALID_ARG_TYPE'],
    ['dev', { signal: {} }, 'ERR_INVALID_ARG_TYPE'],
  ];
  for (const [host, options, code] of kinds) {
    await assert.rejects(resolve(host, options), { name: 'TypeError', code }, JSON.stringify(options));
  }
  for (const port of [0, 65_536]) {
    await assert.rejects(resolve('dev', { port, configFile: false }), (error) => {
      assert.deepEqual([error.code, error.operation, error.host], ['CONFIG_INVALID', 'resolve', 'dev']);
      return true;
    });
  }
});

test('Match exec runs programs for a named file only on request', async () => {
  const ran = path.join(folder, 'ran');
  const configFile = configuration('exec', `Match exec "touch ${ran}"\n  User me\n`);
  for (const matchExec of [undefined, 'own-files', 'never']) {
    await assert.rejects(resolve('dev', { configFile, matchExec }), { code: 'CONFIG_INVALID' });
    await assert.rejects(connect('dev', { configFile, matchExec }), { code: 'CONFIG_INVALID' });
    assert.equal(existsSync(ran), false);
  }
  assert.equal((await resolve('dev', { configFile, matchExec: 'always' })).user, 'me');
  assert.ok(existsSync(ran));
});

test('resolving is aborted', async () => {
  const began = path.join(folder, 'began');
  const configFile = configuration('slow', `Match exec "touch ${began}; sleep 5"\n  User me\n`);
  const controller = new AbortController();
  const resolving = resolve('dev', { configFile, matchExec: 'always', signal: controller.signal });
  resolving.catch(() => {});
  await until('the program runs', () => existsSync(began));
  const started = performance.now();
  controller.abort(new Error('enough'));
  await assert.rejects(resolving, (error) => {
    assert.equal(error.name, 'AbortError');
    assert.equal(error.cause.message, 'enough');
    return true;
  });
  assert.ok(performance.now() - started < 3000);
  await assert.rejects(resolve('dev', { signal: AbortSignal.abort() }), { name: 'AbortError' });
});
