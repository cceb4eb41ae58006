// The cases of a pool that every language runs: rmux-testkit/cases/pool.json.

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
  if (kind !== 'pool') continue;
  files += 1;
  for (const one of cases) test(one.name, () => run(one));
}

test('there are cases', () => assert.equal(files, 1));

async function run({ request, expect, name, ...unknown }) {
  const { hosts, config = '', linger = 0, rounds, max_connections, max_connections_per_host, ...others } = request;
  assert.deepEqual([unknown, others], [{}, {}]);
  const blocks = hostBlocks(Object.entries(hosts).map(([host, which]) => [host, servers[which]]));
  const earlier = await accepted();
  const pool = new Pool({
    configFile: servers.a.file(name, config + blocks),
    linger,
    maxConnections: max_connections,
    maxConnectionsPerHost: max_connections_per_host,
  });
  for (const round of rounds) {
    const asked = await Promise.allSettled(round.map((host) => pool.session(host)));
    if (expect.error !== undefined) {
      assert.deepEqual(asked.map(({ reason }) => reason?.code), round.map(() => expect.error));
      continue;
    }
    const sessions = asked.map(({ value, reason }) => {
      if (reason !== undefined) throw reason;
      return value;
    });
    const results = await Promise.all(sessions.map((session) => session.run(['echo', 'in'])));
    assert.ok(results.every(({ stdout }) => stdout === 'in\n'));
    for (const session of sessions) session.release();
  }
  const { commandsStarted, waitingForRoom } = pool.stats();
  await pool.close();
  if (expect.accepted === undefined) return;
  assert.deepEqual([commandsStarted, waitingForRoom], [rounds.flat().length, 0]);
  const counts = (await accepted()).map((count, index) => count - earlier[index]);
  assert.deepEqual(counts, NAMES.map((which) => expect.accepted[which] ?? 0));
}
