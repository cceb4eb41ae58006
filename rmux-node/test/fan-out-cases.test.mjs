// The cases of a fan-out that every language runs: rmux-testkit/cases/fan-out.json.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { after, before, test } from 'node:test';

import { Pool } from '../index.mjs';
import { hostBlocks, startServer } from './testd.mjs';

const folder = new URL('../../rmux-testkit/cases/', import.meta.url);
const NAMES = ['a', 'b', 'c'];
const servers = {};
before(async () => {
  const started = await Promise.all(NAMES.map(() => startServer()));
  NAMES.forEach((name, index) => (servers[name] = started[index]));
});
after(() => Promise.all(Object.values(servers).map((server) => server.stop())));

async function accepted() {
  const statuses = await Promise.all(NAMES.map((name) => servers[name].tell('status')));
  return statuses.map((status) => status.accepted);
}

let files = 0;
for (const file of readdirSync(folder).filter((name) => name.endsWith('.json'))) {
  const { kind, cases } = JSON.parse(readFileSync(new URL(file, folder), 'utf8'));
  if (kind !== 'fan-out') continue;
  files += 1;
  for (const one of cases) test(one.name, () => run(one));
}

test('there are cases', () => assert.equal(files, 1));

async function run({ request, expect, name, ...unknown }) {
  const { hosts, config = '', run: names, shell, stdin, fail_fast: failFast, ...more } = request;
  const { max_output: maxOutput, on_excess: onExcess, ...options } = more;
  const known = ['limit', 'ordered', 'timeout', 'deadline'];
  assert.ok(Object.keys(options).every((key) => known.includes(key)));
  assert.deepEqual(unknown, {});
  const blocks = hostBlocks(Object.entries(hosts).map(([host, which]) => [host, servers[which]]));
  const earlier = await accepted();
  const pool = new Pool({ configFile: servers.a.file(name, config + blocks) });
  const results = [];
  const all = { ...options, failFast, maxOutput, onExcess, input: stdin };
  for await (const result of pool.runMany(names, shell, all)) results.push(result);
  await pool.close();
  if (request.ordered === false) results.sort((one, other) => one.index - other.index);
  const told = results.map(({ index, host, result, error }) => [
    index,
    host,
    {
      ...(error === undefined ? { code: result.exitCode } : { error: error.code }),
      stdout: (result ?? error).stdout ?? '',
      stdout_dropped: result?.stdoutDropped ?? 0,
    },
  ]);
  const wanted = expect.results.map((one, index) => [
    index,
    names[index],
    { ...(one.error === undefined && { code: 0 }), stdout: '', stdout_dropped: 0, ...one },
  ]);
  assert.deepEqual(told, wanted);
  if (expect.accepted === undefined) return;
  const counts = (await accepted()).map((count, index) => count - earlier[index]);
  assert.deepEqual(counts, NAMES.map((which) => expect.accepted[which] ?? 0));
}
