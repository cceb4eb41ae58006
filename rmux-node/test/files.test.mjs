// `session.files`: what one does with files, as in fs/promises.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';

import { AbortError, Dirent, FileHandle, Files, RmuxError, Stats, connect } from '../index.mjs';
import { startServer } from './testd.mjs';

let server;
let session;
let files;
let number = 0;
before(async () => {
  server = await startServer();
  session = await connect('127.0.0.1', server.options);
  files = session.files;
});
after(async () => {
  await session?.close();
  await server?.stop();
});

/** A new folder: what is in it, and paths in it. */
function folder() {
  number += 1;
  const at = path.join(server.folder, `files-${number}`);
  fs.mkdirSync(at);
  return Object.assign((name) => path.join(at, name), { at, names: () => fs.readdirSync(at).sort() });
}

async function failure(promise) {
  try {
    await promise;
  } catch (error) {
    assert.ok(error instanceof RmuxError, error.stack);
    return error;
  }
  return assert.fail('it did not fail');
}

test('whole files are written and read', async () => {
  const at = folder();
  const file = at('file');
  for (const data of ['', 'żółw\n', Buffer.from([0, 255, 10, 13]), Buffer.alloc(3_000_017, 'x1')]) {
    await files.writeFile(file, data);
    assert.ok(fs.readFileSync(file).equals(Buffer.from(data)));
    const read = await files.readFile(file);
    assert.ok(Buffer.isBuffer(read) && read.equals(Buffer.from(data)));
  }
  await files.writeFile(file, new Uint16Array([1, 2, 3]).subarray(1));
  assert.deepEqual([...fs.readFileSync(file)], [2, 0, 3, 0]);
  await files.writeFile(file, 'e9', 'hex');
  assert.equal(await files.readFile(file, 'latin1'), 'é');
  await files.writeFile(file, '0123456789');
  assert.equal(await files.readFile(file, { encoding: 'utf8', start: 3, end: 5 }), '345');
  assert.equal(await files.readFile(file, { encoding: 'utf8', end: 0 }), '0');
  assert.equal(await files.readFile(file, { encoding: 'utf8', start: 8 }), '89');
  await files.appendFile(file, 'ab');
  await files.writeFile(file, 'c', { flag: 'a' });
  assert.equal(fs.readFileSync(file, 'utf8'), '0123456789abc');
  assert.ok((await files.readFile('/proc/self/status', 'utf8')).startsWith('Name:'));
  assert.deepEqual(at.names(), ['file']);
});

test('files are written in one step, and on conditions', async () => {
  const at = folder();
  const file = at('file');
  await files.writeFile(file, 'one', { flag: 'wx', mode: 0o640 });
  assert.equal(fs.statSync(file).mode & 0o777, 0o640);
  assert.equal((await failure(files.writeFile(file, 'x', { flag: 'wx' }))).code, 'ALREADY_EXISTS');
  const { ino } = fs.statSync(file);
  await files.writeFile(file, 'two');
  assert.notEqual(fs.statSync(file).ino, ino, 'it is a new file');
  assert.equal(fs.statSync(file).mode & 0o777, 0o640);
  const now = fs.statSync(file).ino;
  await files.writeFile(file, 'three', { inPlace: true, flush: false });
  assert.equal(fs.statSync(file).ino, now);

  const seen = await files.stat(file);
  await files.writeFile(file, 'longer', { ifUnchanged: seen });
  const { size, mtimeMs } = seen;
  for (const ifUnchanged of [seen, { size, mtimeMs }]) {
    assert.equal((await failure(files.writeFile(file, 'x', { ifUnchanged }))).code, 'CHANGED');
  }
  const ifSha256 = createHash('sha256').update('longer').digest('hex');
  await files.writeFile(file, 'other', { ifSha256 });
  assert.equal((await failure(files.writeFile(file, 'x', { ifSha256: Buffer.from(ifSha256, 'hex') }))).code, 'CHANGED');
  assert.equal(fs.readFileSync(file, 'utf8'), 'other');
  assert.deepEqual(at.names(), ['file']);
});

test('a text is replaced in a file', async () => {
  const at = folder();
  fs.writeFileSync(at('file'), 'let a = 1;\nlet b = 1;\n');
  await files.replaceText(at('file'), 'a = 1', 'a = 2');
  assert.equal(fs.readFileSync(at('file'), 'utf8'), 'let a = 2;\nlet b = 1;\n');
  const missing = await failure(files.replaceText(at('file'), 'c = 1', 'x'));
  const twice = await failure(files.replaceText(at('file'), Buffer.from('let'), 'x'));
  assert.deepEqual([missing.code, twice.code], ['CHANGED', 'CHANGED']);
  assert.equal(fs.readFileSync(at('file'), 'utf8'), 'let a = 2;\nlet b = 1;\n');
});

test('stat tells what SFTP knows', async () => {
  const at = folder();
  fs.writeFileSync(at('file'), 'abc', { mode: 0o600 });
  fs.symlinkSync('file', at('link'));
  fs.symlinkSync('nowhere', at('dangling'));
  const [of, local] = [await files.stat(at('link')), fs.statSync(at('file'))];
  assert.ok(of instanceof Stats && of.isFile() && !of.isDirectory() && !of.isSymbolicLink());
  for (const name of ['mode', 'size', 'uid', 'gid']) assert.equal(of[name], local[name], name);
  assert.equal(of.mtimeMs, Math.floor(local.mtimeMs / 1000) * 1000);
  assert.equal(of.mtime.getTime(), of.mtimeMs);
  assert.ok((await files.lstat(at('link'))).isSymbolicLink());
  assert.ok((await files.stat(at.at)).isDirectory());
  assert.ok((await files.stat('/dev/null')).isCharacterDevice());
  assert.deepEqual(
    await Promise.all(['file', 'link', 'dangling', 'none'].map((name) => files.exists(at(name)))),
    [true, true, false, false],
  );
  await files.access(at('file'));
  assert.equal((await failure(files.access(at('dangling')))).code, 'NOT_FOUND');
});

test('directories are made, listed and removed', async () => {
  const at = folder();
  await files.mkdir(at('a'));
  assert.equal((await failure(files.mkdir(at('a')))).code, 'ALREADY_EXISTS');
  assert.equal((await failure(files.mkdir(at('x/y/z')))).code, 'NOT_FOUND');
  await files.mkdir(at('x/y/z'), { recursive: true });
  await files.mkdir(at('x/y/z'), { recursive: true });
  fs.writeFileSync(at('x/file'), '12345');
  fs.symlinkSync('/', at('x/link'));
  assert.deepEqual((await files.readdir(at('x'))).sort(), ['file', 'link', 'y']);
  const entries = await files.readdir(at('x'), { withFileTypes: true });
  entries.sort((one, other) => (one.name < other.name ? -1 : 1));
  assert.ok(entries.every((entry) => entry instanceof Dirent && entry.parentPath === at('x')));
  assert.deepEqual(
    entries.map((entry) => [entry.name, entry.isFile(), entry.isSymbolicLink(), entry.isDirectory()]),
    [
      ['file', true, false, false],
      ['link', false, true, false],
      ['y', false, false, true],
    ],
  );
  assert.equal(entries[0].stats.size, 5);
  const names = [];
  for await (const { name } of await files.opendir(at('x'))) names.push(name);
  assert.deepEqual(names.sort(), ['file', 'link', 'y']);
  const dir = await files.opendir(at('x'));
  const reads = await Promise.all([dir.read(), dir.read(), dir.read(), dir.read()]);
  assert.deepEqual(reads.map((entry) => entry?.name).sort(), ['file', 'link', 'y', undefined]);
  await dir.close();

  const inUse = await failure(files.rmdir(at('x')));
  assert.match(inUse.message, /not empty/);
  await files.rmdir(at('a'));
  assert.equal((await failure(files.rm(at('x')))).code, 'IS_A_DIRECTORY');
  await files.rm(at('x'), { recursive: true });
  assert.equal((await failure(files.rm(at('x'), { recursive: true }))).code, 'NOT_FOUND');
  await files.rm(at('x'), { recursive: true, force: true });
  await files.rm(at('x'), { force: true });
  fs.writeFileSync(at('file'), '');
  await files.unlink(at('file'));
  assert.deepEqual(at.names(), []);
  assert.ok(fs.existsSync('/etc'), 'no link was followed');
});

test('a large directory is listed in turns of the event loop', async () => {
  const at = folder();
  for (let index = 0; index < 5000; index += 1) fs.writeFileSync(at(`file ${index}`), '');
  const names = await files.readdir(at.at);
  assert.equal(new Set(names).size, 5000);
  const dir = await files.opendir(at.at);
  let count = 0;
  for await (const entry of dir) {
    count += 1;
    if (count === 10) break;
    assert.ok(entry.isFile());
  }
  assert.equal(await dir.read(), null, 'leaving the loop ends the listing');
});

test('what is below a directory is found by a pattern', async () => {
  const at = folder();
  fs.mkdirSync(at('a/b'), { recursive: true });
  const odd = Buffer.concat([Buffer.from(at('a/b/')), Buffer.from([0xff])]);
  for (const name of [at('a/x.c'), at('a/b/y.c'), at('z.c'), at('z.h'), odd]) fs.writeFileSync(name, '');
  const found = async (...args) => {
    const all = [];
    for await (const one of files.glob(at.at, ...args)) all.push(one);
    return all.sort();
  };
  assert.deepEqual(await found('**/*.c'), [at('a/b/y.c'), at('a/x.c'), at('z.c')]);
  assert.deepEqual(await found('*.c'), [at('z.c')]);
  assert.deepEqual(await found('a/b/?', 'buffer'), [odd]);
  assert.deepEqual(await found('none/**'), []);
  assert.equal((await failure(files.glob(at.at, '../*').next())).code, 'INVALID_INPUT');
  for await (const first of files.glob(at.at, '**')) {
    assert.ok(first.startsWith(at.at));
    break;
  }
  await assert.rejects(files.glob(at.at, '**', { signal: AbortSignal.abort() }).next(), { code: 'ABORT_ERR' });
  assert.throws(() => files.glob(at.at), TypeError);
});

test('names are bytes', async () => {
  const at = folder();
  const odd = Buffer.concat([Buffer.from(`${at.at}/`), Buffer.from([0x66, 0xff, 0x0a])]);
  await files.writeFile(odd, 'odd');
  assert.equal(fs.readFileSync(odd, 'utf8'), 'odd');
  await files.writeFile(at('ż'), 'text');
  const names = await files.readdir(at.at, 'buffer');
  assert.deepEqual(names.sort(Buffer.compare), [Buffer.from([0x66, 0xff, 0x0a]), Buffer.from('ż')]);
  assert.deepEqual((await files.readdir(at.at)).sort(), ['f\ufffd\n', 'ż']);
  for (const name of names) {
    const file = Buffer.concat([Buffer.from(`${at.at}/`), name]);
    assert.ok(Buffer.isBuffer(await files.readFile(file)));
    assert.deepEqual(await files.realpath(file, 'buffer'), file);
  }
  const [entry] = await files.readdir(at.at, { encoding: 'buffer', withFileTypes: true });
  assert.ok(Buffer.isBuffer(entry.name));
  await files.symlink(Buffer.from([0xff]), at('link'));
  assert.deepEqual(await files.readlink(at('link'), { encoding: 'buffer' }), Buffer.from([0xff]));
  await files.rename(odd, at('even'));
  assert.deepEqual(at.names(), ['even', 'link', 'ż']);
});

test('names, links and attributes', async () => {
  const at = folder();
  fs.writeFileSync(at('a'), 'a', { mode: 0o644 });
  fs.writeFileSync(at('b'), 'b');
  await files.rename(at('a'), at('b'));
  assert.equal(fs.readFileSync(at('b'), 'utf8'), 'a');
  await files.copyFile(at('b'), at('c'));
  await files.link(at('b'), at('d'));
  assert.equal(fs.statSync(at('b')).ino, fs.statSync(at('d')).ino);
  await files.symlink('c', at('e'));
  assert.equal(await files.readlink(at('e')), 'c');
  assert.equal(await files.realpath(at('e')), fs.realpathSync(at('c')));
  await files.chmod(at('e'), 0o600);
  await files.chmod(at('b'), '755');
  assert.deepEqual([fs.statSync(at('c')).mode & 0o777, fs.statSync(at('b')).mode & 0o777], [0o600, 0o755]);
  await files.utimes(at('c'), 1_000_000_000, new Date(1_234_567_890_000));
  const { atimeMs, mtimeMs } = fs.statSync(at('c'));
  assert.deepEqual([atimeMs, mtimeMs], [1e12, 1_234_567_890_000]);
  assert.equal((await failure(files.utimes(at('c'), -1, 0))).code, 'INVALID_INPUT');
  const { uid, gid } = fs.statSync(at('c'));
  await files.chown(at('c'), uid, gid);
  await files.lchown(at('e'), uid, gid);
  const room = await files.statfs(at.at);
  assert.ok(room.blocks * room.bsize >= room.bavail * room.bsize && room.blocks > 1e6 && room.longestName >= 255);
  assert.equal(room.readOnly, false);
  const temporary = await files.mkdtemp(at('work-'));
  assert.ok(temporary.startsWith(at('work-')) && (fs.statSync(temporary).mode & 0o777) === 0o700);
  const file = await files.tempFile(at.at);
  assert.ok(file.path.startsWith(`${at.at}/`) && (fs.statSync(file.path).mode & 0o777) === 0o600);
  await file.write('temporary');
  await file.close();
  assert.equal(fs.readFileSync(file.path, 'utf8'), 'temporary');
  const home = await files.realpath('~');
  assert.equal(await files.realpath('~/x'), `${home}/x`);
});

test('errors have a code, the path and the host', async () => {
  const at = folder();
  fs.writeFileSync(at('file'), '');
  const cases = {
    NOT_FOUND: [
      () => files.readFile(at('none')),
      () => files.stat(at('none')),
      () => files.open(at('none')),
      () => files.opendir(at('none')),
    ],
    IS_A_DIRECTORY: [() => files.readFile(at.at), () => files.writeFile(at.at, '')],
    NOT_A_DIRECTORY: [() => files.readdir(at('file'))],
    ALREADY_EXISTS: [
      () => files.mkdir(at('file')),
      () => files.open(at('file'), 'wx'),
      () => files.symlink('x', at('file')),
    ],
    INVALID_INPUT: [() => files.stat(''), () => files.stat('a\0b')],
  };
  for (const [code, calls] of Object.entries(cases)) {
    for (const call of calls) {
      const error = await failure(call());
      assert.equal(error.code, code, error.message);
      assert.equal(error.host, '127.0.0.1');
      assert.equal(typeof error.path, 'string');
      assert.match(error.stack, /files\.test\.mjs/, 'the stack leads to the caller');
    }
  }
  const two = await failure(files.rename(at('none'), at('other')));
  assert.deepEqual([two.code, two.path, two.dest], ['NOT_FOUND', at('none'), at('other')]);
  const odd = Buffer.from(at('none'));
  assert.equal((await failure(files.stat(odd))).path, odd);
});

test('arguments are checked before anything is sent', async () => {
  const wrong = [
    () => files.readFile(7),
    () => files.readFile('x', { encodin: 'utf8' }),
    () => files.readFile('x', 'latin7'),
    () => files.readFile('x', { start: -1 }),
    () => files.writeFile('x', 7),
    () => files.writeFile('x'),
    () => files.writeFile('x', '', { flag: 'r' }),
    () => files.writeFile('x', '', { flag: 'a', mode: 0o600 }),
    () => files.writeFile('x', '', { mode: '9' }),
    () => files.writeFile('x', '', { ifSha256: 'abc' }),
    () => files.writeFile('x', '', { ifUnchanged: {} }),
    () => files.replaceText('x', 'a'),
    () => files.chmod('x'),
    () => files.chown('x', 1),
    () => files.utimes('x', 'soon', 0),
    () => files.open('x', 'rw'),
    () => files.mkdir('x', 0o700),
    () => files.stat('x', { signal: true }),
  ];
  for (const call of wrong) await assert.rejects(call, TypeError, String(call));
  assert.throws(() => files.createReadStream(7), TypeError);
  assert.throws(() => files.createWriteStream('x', { flags: 'r' }), TypeError);
  for (const made of [Files, FileHandle, Stats, Dirent]) assert.throws(() => new made(), TypeError);
  assert.throws(() => structuredClone(files), { name: 'DataCloneError' });
  assert.equal(session.files, files);
});

test('a signal ends each operation', async () => {
  const at = folder();
  fs.writeFileSync(at('file'), Buffer.alloc(1 << 20));
  const aborted = AbortSignal.abort(new Error('enough'));
  for (const call of [
    (signal) => files.readFile(at('file'), { signal }),
    (signal) => files.writeFile(at('file'), 'x', { signal }),
    (signal) => files.readdir(at.at, { signal }),
    (signal) => files.open(at('file'), 'r', null, { signal }),
    (signal) => files.rm(at('file'), { signal }),
    (signal) => files.rename(at('file'), at('other'), { signal }),
  ]) {
    await assert.rejects(call(aborted), (error) => error instanceof AbortError && error.cause.message === 'enough');
  }
  // In the middle: the old file or the new one, whole.
  const [old, data] = [fs.readFileSync(at('file')), Buffer.alloc(8 << 20, 'n')];
  for (const delay of [0, 1, 3, 10, 30]) {
    const signal = AbortSignal.timeout(delay);
    await files.writeFile(at('file'), data, { signal }).catch((error) => assert.equal(error.code, 'ABORT_ERR'));
    await files.stat(at('file'));
    const now = fs.readFileSync(at('file'));
    assert.ok(now.equals(old) || now.equals(data));
    fs.writeFileSync(at('file'), old);
  }
  await files.stat(at('file'));
  assert.deepEqual(at.names(), ['file']);
});

test('a session that was given back or closed has no files', async () => {
  const own = await connect('127.0.0.1', server.options);
  const { files: lost } = own;
  own.release();
  assert.equal((await failure(lost.stat('/'))).code, 'CLOSED');
  await own.close();
});

test('a host without SFTP and without a shell says so', async () => {
  const without = await startServer(
    ['--option', 'Subsystem other /bin/true', '--option', 'ForceCommand exit 3'],
  );
  try {
    const own = await connect('127.0.0.1', without.options);
    const error = await failure(own.files.readFile('/etc/passwd'));
    assert.equal(error.code, 'UNSUPPORTED', error.message);
    const able = await own.capabilities();
    assert.equal(able.files, 'none');
    assert.ok(error.message.endsWith(able.filesWhy), able.filesWhy);
    assert.deepEqual([able.sftpExtensions, able.channels], [[], null]);
    await own.close();
  } finally {
    await without.stop();
  }
});
