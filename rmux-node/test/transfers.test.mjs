// Transfers: what is told meanwhile, what fails, and how they are ended before their time.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import { RmuxError, connect } from '../index.mjs';
import { startServer, until } from './testd.mjs';

let server;
let session;
let count = 0;
before(async () => {
  server = await startServer();
  session = await connect('127.0.0.1', server.options);
});
after(async () => {
  await session?.close();
  await server?.stop();
});

/** A folder with a tree of ten files of ten bytes in `from`, and nothing in `to`. */
function planted() {
  count += 1;
  const folder = `${fs.realpathSync(server.folder)}/transfers-${count}`;
  fs.mkdirSync(`${folder}/from/sub`, { recursive: true });
  for (let n = 0; n < 10; n += 1) fs.writeFileSync(`${folder}/from/sub/${n}`, '0123456789');
  fs.mkdirSync(`${folder}/to`);
  return folder;
}

/** A file that takes longer to read than any test waits, and no room. */
function endless(folder) {
  fs.writeFileSync(`${folder}/endless`, '');
  fs.truncateSync(`${folder}/endless`, 2 ** 42);
  return `${folder}/endless`;
}

test('what happens is told', async () => {
  const folder = planted();
  fs.mkdirSync(`${folder}/to/sub/3`, { recursive: true });
  fs.symlinkSync('3', `${folder}/from/sub/link`);
  const told = [];
  const events = [];
  const report = await session.put(`${folder}/from`, `${folder}/to`, {
    recursive: true,
    links: 'skip',
    onProgress: (progress) => told.push(progress),
    onEvent: (event) => events.push(event),
  });
  assert.deepEqual([report.files, report.bytes, report.directories, report.resumedBytes], [9, 90, 0, 0]);
  const last = told.at(-1);
  assert.deepEqual([last.bytes, last.totalBytes, last.files, last.totalFiles, last.isComplete], [90, 90, 9, 9, true]);
  assert.ok(last.rate >= 0 && (last.remaining === null || last.remaining >= 0));
  assert.ok(told.every(({ bytes, totalBytes }) => bytes <= totalBytes));
  const skipped = { path: `${folder}/from/sub/link`, reason: 'link', message: 'it is a symbolic link' };
  assert.deepEqual(report.skipped, [skipped]);
  assert.deepEqual(events.filter(({ type }) => type === 'skipped'), [{ type: 'skipped', ...skipped }]);
  const [failed, ...rest] = events.filter(({ type }) => type === 'failed');
  assert.deepEqual([failed.path, failed.error.code, rest], [`${folder}/from/sub/3`, 'IS_A_DIRECTORY', []]);
  assert.ok(failed.error instanceof RmuxError && report.failures[0].error instanceof RmuxError);
  assert.deepEqual([report.failures[0].path, report.failures[0].error.path], [failed.path, failed.path]);
});

test('an error of the whole has both paths, and one that is checked the report', async () => {
  const folder = planted();
  const missing = session.get(`${folder}/missing`, `${folder}/x`);
  await assert.rejects(missing, { code: 'NOT_FOUND', path: `${folder}/missing`, dest: `${folder}/x` });
  fs.mkdirSync(`${folder}/to/sub/3`, { recursive: true });
  const checked = session.get(`${folder}/from`, `${folder}/to`, { recursive: true, check: true });
  await assert.rejects(checked, (error) => error.code === 'IS_A_DIRECTORY' && error.report.files === 9);
  await assert.rejects(session.put('a', 'b', { recursively: true }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(session.put('a', 'b', { links: 'never' }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(session.put('a'), { code: 'ERR_INVALID_ARG_TYPE' });
  await assert.rejects(session.send('a', {}, 'b'), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('names that are no text are given as bytes', async () => {
  const folder = planted();
  const name = Buffer.concat([Buffer.from(`${folder}/from/`), Buffer.from([0x6e, 0xff])]);
  fs.symlinkSync('x', name);
  const options = { recursive: true, links: 'skip', encoding: 'buffer' };
  const { skipped } = await session.get(Buffer.from(`${folder}/from`), Buffer.from(`${folder}/to`), options);
  assert.deepEqual(skipped.map(({ path }) => path), [name]);
});

test('between two sessions', async () => {
  const folder = planted();
  const other = await connect('127.0.0.1', server.options);
  const report = await session.send(`${folder}/from`, other, `${folder}/to`, { recursive: true });
  assert.equal(report.files, 10);
  assert.equal(fs.readdirSync(`${folder}/to/sub`).length, 10);
  await other.close();
  await assert.rejects(session.send(`${folder}/from`, other, `${folder}/x`, { recursive: true }), { code: 'CLOSED' });
});

test('aborting ends it, and nothing is left of it', async () => {
  for (const watched of [true, false]) {
    const folder = planted();
    const abort = new AbortController();
    const options = { signal: abort.signal, ...(watched ? { onProgress() {} } : {}) };
    const getting = session.get(endless(folder), `${folder}/to/x`, options);
    await until('the transfer begins', () => fs.readdirSync(`${folder}/to`).length > 0);
    abort.abort(new Error('enough'));
    await assert.rejects(getting, (error) => error.name === 'AbortError' && error.cause.message === 'enough');
    assert.deepEqual(fs.readdirSync(`${folder}/to`), []);
  }
  await assert.rejects(session.get('a', 'b', { signal: AbortSignal.abort() }), { name: 'AbortError' });
  assert.equal((await session.run('echo on')).stdout, 'on\n');
});

test('what a callback throws ends it', async () => {
  const folder = planted();
  const onProgress = ({ bytes }) => {
    if (bytes > 0) throw new RangeError('too much');
  };
  await assert.rejects(session.get(endless(folder), `${folder}/to/x`, { onProgress }), RangeError);
  assert.deepEqual(fs.readdirSync(`${folder}/to`), []);
});

test('the end of its session ends it', async () => {
  const folder = planted();
  const other = await connect('127.0.0.1', server.options);
  const getting = other.get(endless(folder), `${folder}/to/x`);
  await until('the transfer begins', () => fs.readdirSync(`${folder}/to`).length > 0);
  const rejected = assert.rejects(getting, ({ code }) => ['CLOSED', 'DISCONNECTED'].includes(code));
  await other.close();
  await rejected;
  assert.deepEqual(fs.readdirSync(`${folder}/to`), []);
});
