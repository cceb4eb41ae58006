// The cases of contexts that every language runs: rmux-testkit/cases/context.json.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { connect } from '../index.mjs';
import { startServer } from './testd.mjs';

const folder = new URL('../../rmux-testkit/cases/', import.meta.url);
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

let files = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const { kind, cases } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
  if (kind !== 'context') continue;
  files += 1;
  for (const one of cases) test(one.name, () => run(one));
}

test('there are cases', () => assert.equal(files, 1));

/** What the bytes of a case are. */
function bytes(given) {
  if (typeof given === 'string') return Buffer.from(given);
  if (given.base64 !== undefined) return Buffer.from(given.base64, 'base64');
  return Buffer.from(given.repeat.repeat(given.times));
}

function holds(wanted, got, what) {
  if (wanted.contains !== undefined) assert.ok(got.toString().includes(wanted.contains), `${what}: ${got}`);
  else assert.ok(got.equals(bytes(wanted)), `${what}: ${JSON.stringify(got.toString())}`);
}

async function run({ name, request, steps, expect = {}, ...unknown }) {
  assert.deepEqual(unknown, {});
  const context = session.context(request);
  for (const [index, step] of steps.entries()) {
    const { argv, shell, stdin, env, cwd, timeout, code = 0, error, stdout = '', stderr = '', ...more } = step;
    assert.deepEqual(more, {});
    const options = { env, cwd, encoding: 'buffer' };
    if (stdin !== undefined) options.input = bytes(stdin);
    if (timeout !== undefined) options.timeout = timeout * 1000;
    const what = `${name}, step ${index + 1}`;
    if (error !== undefined) {
      await assert.rejects(context.run(argv ?? shell, options), { code: error }, what);
      continue;
    }
    const done = await context.run(argv ?? shell, options);
    assert.equal(done.exitCode, code, `${what}: ${done.stderr}`);
    holds(stdout, done.stdout, what);
    holds(stderr, done.stderr, what);
  }
  if (expect.cwd !== undefined) assert.equal(context.cwd, expect.cwd);
  if (expect.env !== undefined) assert.deepEqual(context.env, expect.env);
  assert.ok(Object.keys(expect).every((key) => ['cwd', 'env'].includes(key)));
}
