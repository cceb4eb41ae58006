// Open files and their streams: positions, back-pressure, and that none stays open on the server.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setTimeout as sleep } from 'node:timers/promises';

import { AbortError, connect } from '../index.mjs';
import { runProgram, startRelay, startServer, until } from './testd.mjs';

const MIB = 1024 * 1024;

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

function fresh(content) {
  number += 1;
  const file = path.join(server.folder, `stream-${number}`);
  if (content !== undefined) fs.writeFileSync(file, content);
  return file;
}

const sum = (data) => createHash('sha256').update(data).digest('hex');

/** How often a file is open, in all processes of this machine. */
function open(file) {
  let count = 0;
  for (const process of fs.readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      for (const fd of fs.readdirSync(`/proc/${process}/fd`)) {
        try {
          if (fs.readlinkSync(`/proc/${process}/fd/${fd}`) === file) count += 1;
        } catch {
          // Closed meanwhile.
        }
      }
    } catch {
      // Ended meanwhile, or somebody else's.
    }
  }
  return count;
}

const closed = (file) => until(`${file} is closed`, () => open(file) === 0);

test('an open file is read and written at any place', async () => {
  const file = fresh();
  const handle = await files.open(file, 'w+', 0o600);
  assert.equal(handle.path, file);
  assert.deepEqual(await handle.write('0123456789'), { bytesWritten: 10, buffer: '0123456789' });
  assert.equal(fs.readFileSync(file, 'utf8'), '0123456789', 'what was written is there');
  const bytes = Buffer.from('<abc>');
  assert.equal((await handle.write(bytes, 1, 3, 2)).bytesWritten, 3);
  await handle.write(bytes, { offset: 4, position: 9 });
  await handle.write('!');
  await handle.write('?', 0, 'utf8');
  assert.equal(fs.readFileSync(file, 'utf8'), '?1abc5678>!');

  const into = Buffer.alloc(4, '.');
  assert.deepEqual(await handle.read(into, 1, 2, 2), { bytesRead: 2, buffer: into });
  assert.equal(into.toString(), '.ab.');
  assert.equal((await handle.read({ position: 0 })).buffer.subarray(0, 11).toString(), '?1abc5678>!');
  assert.equal((await handle.read(Buffer.alloc(9), { position: 9n })).bytesRead, 2);
  assert.equal((await handle.read(into)).bytesRead, 0, 'it is at the end');
  assert.equal((await handle.stat()).size, 11);
  await handle.truncate(4);
  await handle.sync();
  await handle.datasync();
  assert.equal(fs.readFileSync(file, 'utf8'), '?1ab');
  for (const wrong of [
    () => handle.read('x'),
    () => handle.read(into, 5),
    () => handle.read(into, 0, 5),
    () => handle.read(into, 0, 1, -2),
    () => handle.write(7),
    () => handle.write(into, 0, 5),
  ]) {
    await assert.rejects(async () => wrong(), TypeError);
  }
  await handle.close();
  await handle.close();
  assert.equal((await handle.stat().catch((error) => error)).code, 'CLOSED');
  await closed(file);
});

test('operations on one file are done in order', async () => {
  const file = fresh();
  const handle = await files.open(file, 'w+');
  const parts = Array.from({ length: 50 }, (_, index) => `${index};`);
  const writes = parts.map((part) => handle.write(part));
  const reading = handle.read(Buffer.alloc(10), 0, 5, 0);
  const closing = handle.close();
  await Promise.all([...writes, closing]);
  assert.equal((await reading).buffer.subarray(0, 5).toString(), '0;1;2');
  assert.equal(fs.readFileSync(file, 'utf8'), parts.join(''));
});

test('flags are those of fs', async () => {
  const file = fresh('old');
  const write = async (flags, text) => {
    const handle = await files.open(file, flags);
    await handle.writeFile(text);
    await handle.close();
    return fs.readFileSync(file, 'utf8');
  };
  assert.equal(await write('r+', 'n'), 'nld');
  assert.equal(await write('a', '+'), 'nld+');
  assert.equal(await write('a+', '+'), 'nld++');
  assert.equal(await write('w', 'x'), 'x');
  const reading = await files.open(file);
  await assert.rejects(reading.write('x'), { code: 'IO', message: /not opened for that/ });
  assert.equal(await reading.readFile('utf8'), 'x');
  await reading.close();
  await assert.rejects(files.open(file, 'ax'), { code: 'ALREADY_EXISTS', path: file });
});

test('a file is closed at the end of its block', { skip: typeof Symbol.asyncDispose !== 'symbol' && 'this Node knows no asyncDispose' }, async () => {
  const file = fresh('x');
  const handle = await files.open(file);
  assert.equal(open(file), 1);
  await handle[Symbol.asyncDispose]();
  assert.equal(open(file), 0);
  const dir = await files.opendir(path.dirname(file));
  await dir[Symbol.asyncDispose]();
  await closed(path.dirname(file));
});

test('streams carry 64 MiB both ways, in bounded memory', async () => {
  const data = randomBytes(64 * MIB);
  const file = fresh();
  let most = 0;
  const write = files.createWriteStream(file);
  await pipeline(Readable.from(slices(data)), write);
  assert.equal(write.bytesWritten, data.length);
  assert.equal(sum(fs.readFileSync(file)), sum(data));
  const read = files.createReadStream(file);
  const hash = createHash('sha256');
  for await (const chunk of read) {
    hash.update(chunk);
    most = Math.max(most, read.readableLength + chunk.length);
  }
  assert.equal(read.bytesRead, data.length);
  assert.equal(hash.digest('hex'), sum(data));
  assert.ok(most <= MIB, `${most} bytes were held in Node at once`);
  await closed(file);
});

function* slices(data) {
  for (let from = 0; from < data.length; from += 100_000) yield data.subarray(from, from + 100_000);
}

test('a part of a file is streamed', async () => {
  const file = fresh('0123456789');
  const read = async (options) => (await files.createReadStream(file, options).toArray()).map(String).join('');
  assert.equal(await read({ start: 2, end: 5 }), '2345');
  assert.equal(await read({ start: 8 }), '89');
  assert.equal(await read({ end: 0 }), '0');
  assert.equal(await read({ start: 20 }), '');
  assert.equal(await read({ start: 3, end: 4, highWaterMark: 1 }), '34');
  assert.equal(await read('utf8'), '0123456789');
  const [text] = await files.createReadStream(file, { encoding: 'hex', end: 1 }).toArray();
  assert.equal(text, '3031');
  const write = files.createWriteStream(file, { flags: 'r+', start: 4 });
  write.write('a');
  write.end('YmM=', 'base64');
  await once(write, 'finish');
  assert.equal(fs.readFileSync(file, 'utf8'), '0123abc789');
  await pipeline(Readable.from(['+']), files.createWriteStream(file, { flags: 'a' }));
  assert.equal(fs.readFileSync(file, 'utf8'), '0123abc789+');
});

test('a file that is streamed to has its name when the stream has ended', async () => {
  const folder = path.dirname(fresh());
  const file = `${folder}/streamed`;
  fs.writeFileSync(file, 'old', { mode: 0o640 });
  const others = () => fs.readdirSync(folder).filter((name) => name.startsWith('.rmux-')).length;
  const before = others();
  const given = files.createWriteStream(file);
  await new Promise((resolve) => given.write('given up', resolve));
  assert.equal(fs.readFileSync(file, 'utf8'), 'old');
  assert.equal(others(), before + 1);
  given.destroy();
  await until('what was begun is removed', () => others() === before);
  const write = files.createWriteStream(file);
  write.write('new ');
  write.end('contents');
  await once(write, 'close');
  assert.equal(fs.readFileSync(file, 'utf8'), 'new contents');
  assert.equal(fs.statSync(file).mode & 0o777, 0o640);
  const inPlace = files.createWriteStream(file, { inPlace: true });
  await once(inPlace, 'ready');
  assert.equal(fs.readFileSync(file, 'utf8'), '');
  inPlace.end('x');
  await once(inPlace, 'close');
  assert.equal(fs.readFileSync(file, 'utf8'), 'x');
});

test('streams become web streams', async () => {
  const file = fresh();
  const data = randomBytes(3 * MIB);
  const writer = Writable.toWeb(files.createWriteStream(file)).getWriter();
  for (const slice of slices(data)) {
    await writer.ready;
    await writer.write(slice);
  }
  await writer.close();
  assert.equal(sum(fs.readFileSync(file)), sum(data));
  const hash = createHash('sha256');
  for await (const chunk of Readable.toWeb(files.createReadStream(file))) hash.update(chunk);
  assert.equal(hash.digest('hex'), sum(data));
  await closed(file);
});

test('progress is told while bytes move', async () => {
  const [from, to] = [fresh(randomBytes(4 * MIB)), fresh()];
  const [read, written] = [[], []];
  await pipeline(
    files.createReadStream(from, { onProgress: (bytes) => read.push(bytes) }),
    files.createWriteStream(to, { onProgress: (bytes) => written.push(bytes) }),
  );
  for (const told of [read, written]) {
    assert.ok(told.length > 4, `${told}`);
    assert.ok(told.every((bytes, index) => index === 0 || bytes > told[index - 1]), `${told}`);
    assert.equal(told.at(-1), 4 * MIB);
  }
  assert.equal(sum(fs.readFileSync(to)), sum(fs.readFileSync(from)));
  const enough = () => {
    throw new Error('enough');
  };
  const failing = [
    () => files.createReadStream(from, { onProgress: enough }).resume(),
    () => {
      const stream = files.createWriteStream(to, { onProgress: enough });
      stream.write('x');
      return stream;
    },
  ];
  for (const start of failing) {
    const [error] = await once(start(), 'error');
    assert.equal(error.message, 'enough');
  }
  await closed(from);
  await closed(to);
  assert.throws(() => files.createReadStream(from, { onProgress: true }), TypeError);
});

test('a slow reader holds up nobody', async () => {
  const file = fresh(Buffer.alloc(32 * MIB));
  const read = files.createReadStream(file);
  await once(read, 'readable');
  await sleep(50);
  assert.ok(read.readableLength <= MIB, `${read.readableLength} bytes`);
  await files.stat(file);
  read.destroy();
  await closed(file);
});

test('a stream that fails says so, with the path', async () => {
  const missing = `${fresh()}/none`;
  const streams = [files.createReadStream(missing), files.createWriteStream(missing)];
  for (const [error] of await Promise.all(streams.map((stream) => once(stream, 'error')))) {
    assert.deepEqual([error.code, error.path], ['NOT_FOUND', missing]);
  }
  const folder = files.createReadStream(server.folder);
  folder.resume();
  const [error] = await once(folder, 'error');
  assert.equal(error.path, server.folder);
  await closed(server.folder);
});

test('a full device is told, and the file closed', { skip: !fs.existsSync('/dev/full') && 'there is no /dev/full' }, async () => {
  const write = files.createWriteStream('/dev/full', { flags: 'r+' });
  write.on('error', () => {});
  const source = Readable.from(slices(Buffer.alloc(4 * MIB)));
  await assert.rejects(pipeline(source, write), { name: 'RmuxError', path: '/dev/full' });
  await closed('/dev/full');
});

test('a signal ends a stream at any point, and the file is closed', async () => {
  const file = fresh(Buffer.alloc(16 * MIB));
  const other = fresh();
  for (const delay of [-1, 0, 1, 2, 5, 10, 20]) {
    const signal = delay < 0 ? AbortSignal.abort() : AbortSignal.timeout(delay);
    const reading = pipeline(
      files.createReadStream(file, { signal }),
      files.createWriteStream(other, { signal }),
    );
    await reading.then(
      () => {},
      (error) => {
        // Where both have failed, there are several errors.
        for (const { code, stack } of error.errors ?? [error]) {
          assert.ok(['ABORT_ERR', 'ERR_STREAM_PREMATURE_CLOSE'].includes(code), stack);
        }
      },
    );
    const opening = files.open(file, 'r', null, { signal }).catch((error) => error);
    const handle = await opening;
    if (!(handle instanceof AbortError)) await handle.close();
  }
  const destroyed = files.createReadStream(file);
  destroyed.destroy();
  const written = files.createWriteStream(other);
  written.write('x');
  written.destroy();
  await closed(file);
  await closed(other);
});

test('what is open ends with the link', async () => {
  const relay = await startRelay(server.port);
  try {
    const options = { ...server.options, port: relay.port, dangerAcceptAnyHostKey: true };
    const cut = await connect('127.0.0.1', options);
    const file = fresh(Buffer.alloc(64 * MIB));
    const handle = await cut.files.open(file);
    const read = cut.files.createReadStream(file);
    await once(read, 'readable');
    const write = cut.files.createWriteStream(fresh());
    await once(write.on('error', () => {}), 'ready').catch(() => {});
    relay.cut();
    await assert.rejects(handle.read(Buffer.alloc(8), 0, 8, 0), { code: 'DISCONNECTED', path: file });
    await assert.rejects(read.resume().toArray(), { code: 'DISCONNECTED' });
    await assert.rejects(cut.files.stat(file), { code: 'DISCONNECTED' });
    await closed(file);
    await cut.close();
  } finally {
    relay.stop();
  }
});

test('files that nobody holds are closed', async () => {
  const file = fresh(Buffer.alloc(8 * MIB));
  const args = [file];
  const { code, stdout, stderr } = await runProgram('open-files.mjs', server, { flags: ['--expose-gc'], args });
  assert.deepEqual([code, stdout], [0, 'opened\nclosed\nclosed with its thread\n'], stderr);
});
