// The cases of transfers that every language runs: rmux-testkit/cases/transfers.json.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import { RmuxError, connect } from '../index.mjs';
import { startServer } from './testd.mjs';
import { bytes, found, onlyKnown, plant, planned } from './trees.mjs';

const source = new URL('../../rmux-testkit/cases/transfers.json', import.meta.url);
const { kind, cases } = JSON.parse(fs.readFileSync(source, 'utf8'));
const CASE = ['name', 'tree', 'request', 'expect', 'after'];
const FLAGS = ['recursive', 'times', 'modes', 'resume', 'checksum', 'sync', 'check'];
const REQUEST = ['do', 'source', 'target', ...FLAGS, 'links', 'conflict', 'update', 'include', 'exclude'];
const NOTHING = { files: 0, directories: 0, bytes: 0, resumed_bytes: 0, skipped: [], failures: [] };

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

assert.equal(kind, 'transfers');
assert.ok(cases.length > 50);
for (const [index, one] of cases.entries()) {
  test(one.name, async () => {
    onlyKnown(one, CASE);
    onlyKnown(one.request, REQUEST);
    onlyKnown(one.expect, [...Object.keys(NOTHING), 'error']);
    const folder = `${fs.realpathSync(server.folder)}/transfer-${index}`;
    fs.mkdirSync(folder);
    const at = (path) => Buffer.concat([Buffer.from(`${folder}/`), bytes(path)]);
    plant(at, one.tree ?? []);
    const outcome = await run(at, folder, one.request).catch((error) => {
      if (error instanceof RmuxError) return { error: error.code };
      throw error;
    });
    assert.deepEqual(outcome, one.expect.error === undefined ? { ...NOTHING, ...one.expect } : one.expect);
    assert.deepEqual(found(at, folder, one.after ?? one.tree ?? []), planned(one.after ?? one.tree ?? []));
  });
}

/** What is reported of a case. */
async function run(at, folder, { do: verb, source: from, target: to, ...options }) {
  const place = (path) => (typeof path === 'string' && path.startsWith('/') ? path : at(path));
  const report =
    verb === 'send'
      ? await session.send(place(from), session, place(to), options)
      : await session[verb](place(from), place(to), options);
  const below = (path) => (path.startsWith(`${folder}/`) ? path.slice(folder.length + 1) : path);
  const { resumedBytes, skipped, failures, ...counts } = report;
  return {
    ...counts,
    resumed_bytes: resumedBytes,
    skipped: skipped.map(({ path, reason }) => [below(path), reason]).sort(),
    failures: failures.map(({ path, error }) => [below(path), error.code]).sort(),
  };
}
