// Files that are dropped on a session: put into a private folder, and removed from it.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { Dropped, connect } from '../index.mjs';
import { startServer, until } from './testd.mjs';
import { bytes, found, onlyKnown, plant, planned } from './trees.mjs';

// The cases that every language runs.
const file = new URL('../../rmux-testkit/cases/drops.json', import.meta.url);
const { kind, cases } = JSON.parse(fs.readFileSync(file, 'utf8'));

const NAMES = ["a b's.txt", '_rf', 'line_break'];
let server;
let session;
let sources;
before(async () => {
  server = await startServer();
  session = await connect('127.0.0.1', server.options);
  sources = ["a b's.txt", '-rf', 'line\nbreak'].map((name) => path.join(server.folder, name));
  for (const source of sources) fs.writeFileSync(source, path.basename(source));
});
after(async () => {
  await session?.close();
  await server?.stop();
});

test('they are private, can be named in a line, and are removed', async () => {
  const dropped = await session.drop(sources);
  assert.ok(dropped instanceof Dropped);
  assert.equal(fs.statSync(dropped.folder).mode & 0o7777, 0o700);
  assert.deepEqual(dropped.paths, NAMES.map((name) => `${dropped.folder}/${name}`));
  for (const [index, there] of dropped.paths.entries()) {
    assert.equal(fs.readFileSync(there, 'utf8'), path.basename(sources[index]));
    assert.equal(fs.statSync(there).mode & 0o7777, 0o600);
  }
  assert.match((await session.run(`wc -c ${dropped.quoted}`, { check: true })).stdout, /22 total/);
  await dropped.remove();
  assert.ok(!fs.existsSync(dropped.folder));
  await dropped.remove();
});

test('paths are given as bytes where that is wanted', async () => {
  const dropped = await session.drop([Buffer.from(sources[0])], { encoding: 'buffer' });
  assert.deepEqual(dropped.paths, [Buffer.concat([dropped.folder, Buffer.from(`/${NAMES[0]}`)])]);
  await dropped.remove();
});

test('the end of the session removes them', async () => {
  const other = await connect('127.0.0.1', server.options);
  const { folder } = await other.drop(sources);
  assert.ok(fs.existsSync(folder));
  await other.close();
  await until('it is removed', () => !fs.existsSync(folder));
  await assert.rejects(other.drop(sources), { code: 'CLOSED' });
});

test('what cannot be dropped', async () => {
  await assert.rejects(session.drop([...sources, '/no/such']), { code: 'NOT_FOUND' });
  await assert.rejects(session.drop([server.folder]), { code: 'IS_A_DIRECTORY' });
  await assert.rejects(session.drop([]), { code: 'INVALID_INPUT' });
  await assert.rejects(session.drop('a'), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(session.drop(sources, { signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.throws(() => new Dropped(), TypeError);
});

assert.equal(kind, 'drops');
assert.ok(cases.length > 10);
for (const [index, one] of cases.entries()) {
  test(`shared case ${one.name}`, async () => {
    onlyKnown(one, ['name', 'tree', 'request', 'expect']);
    const folder = `${fs.realpathSync(server.folder)}/drop-${index}`;
    fs.mkdirSync(folder);
    const at = (name) => Buffer.concat([Buffer.from(`${folder}/`), bytes(name)]);
    plant(at, one.tree);
    const local = one.request.files.map(at);
    const dropping = session.drop(local, { encoding: 'buffer' });
    if (one.expect.error !== undefined) {
      await assert.rejects(dropping, { code: one.expect.error });
      return;
    }
    const dropped = await dropping;
    const names = one.expect.names.map(bytes);
    assert.equal(fs.statSync(dropped.folder).mode & 0o7777, 0o700);
    assert.deepEqual(dropped.paths, names.map((name) => Buffer.concat([dropped.folder, Buffer.from('/'), name])));
    assert.deepEqual(fs.readdirSync(dropped.folder, 'buffer').sort(Buffer.compare), names.sort(Buffer.compare));
    for (const there of dropped.paths) assert.equal(fs.statSync(there).mode & 0o7777, 0o600);
    const contents = local.map((name) => fs.readFileSync(name));
    assert.deepEqual(dropped.paths.map((there) => fs.readFileSync(there)), contents);
    const { stdout } = await session.run(`cat ${dropped.quoted}`, { check: true, encoding: 'buffer' });
    assert.deepEqual(stdout, Buffer.concat(contents));
    await dropped.remove();
    assert.ok(!fs.existsSync(dropped.folder));
    assert.deepEqual(found(at, folder, one.tree), planned(one.tree));
  });
}
