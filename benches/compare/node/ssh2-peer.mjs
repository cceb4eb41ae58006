// ssh2, as it comes.

import { once } from 'node:events';
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

import ssh2 from 'ssh2';

import {
  ENDLESS, IDLE, NOTHING, PIECE, SINK, STALLED, TARGET, beside, check, filesOf, serve, source,
} from './driver.mjs';

/** How many files of a tree are under way at once: it has nothing for trees of its own. */
const AT_ONCE = 64;

const called = (work) =>
  new Promise((resolve, reject) => work((error, value) => (error ? reject(error) : resolve(value))));

async function open(port) {
  const client = new ssh2.Client();
  const ready = new Promise((resolve, reject) => client.once('ready', resolve).once('error', reject));
  client.connect({
    host: '127.0.0.1',
    port,
    username: TARGET.user,
    privateKey: readFileSync(TARGET.client_key),
  });
  await ready;
  // What is cut off later is no failure.
  client.on('error', () => {});
  return client;
}

let client;
let files;
let more = [];

const start = (line, on = client) => called((done) => on.exec(line, done));
// Kept, as rmux keeps its own.
const sftp = async () => (files ??= await called((done) => client.sftp(done)));

async function run() {
  const stream = await start(NOTHING);
  stream.resume();
  stream.stderr.resume();
  const [code] = await once(stream, 'close');
  check(code === 0, `exit ${code}`);
}

async function each(items, work) {
  const left = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of left) await work(item);
    }),
  );
}

const put = async (local, remote) => {
  const over = await sftp();
  await called((done) => over.fastPut(local, remote, done));
};
const get = async (remote, local) => {
  const over = await sftp();
  await called((done) => over.fastGet(remote, local, done));
};

const peer = {
  async open({ port }) {
    client = await open(port);
  },
  async close() {
    files = undefined;
    for (const it of [client, ...more]) it.destroy();
    more = [];
  },
  async cold({ port }) {
    const stream = await start('echo up', await open(port));
    await once(stream, 'data');
  },
  async sessions({ port, count }) {
    for (let n = 0; n < count; n += 1) more.push(await open(port));
  },
  exec: run,
  many: ({ count }) => Promise.all(Array.from({ length: count }, run)),
  async down({ bytes }) {
    const stream = await start(source(bytes));
    let length = 0;
    for await (const piece of stream) length += piece.length;
    check(length === bytes, `${length} bytes of ${bytes}`);
  },
  async up({ bytes }) {
    const stream = await start(SINK);
    const closed = once(stream, 'close');
    stream.resume();
    const piece = Buffer.alloc(PIECE);
    for (let left = bytes; left > 0; left -= PIECE) {
      if (!stream.write(piece)) await once(stream, 'drain');
    }
    stream.end();
    await closed;
  },
  async channels({ count }) {
    for (let n = 0; n < count; n += 1) await start(IDLE);
  },
  stall: () => start(STALLED),
  async busy() {
    (await start(ENDLESS)).resume();
  },
  put: ({ local, remote }) => put(local, remote),
  get: ({ remote, local }) => get(remote, local),
  async put_tree({ local, remote }) {
    const over = await sftp();
    await called((done) => over.mkdir(remote, done));
    await each(filesOf(local), (file) => put(file, beside(file, remote)));
  },
  async get_tree({ remote, local }) {
    mkdirSync(local);
    const over = await sftp();
    const names = await called((done) => over.readdir(remote, done));
    await each(names, ({ filename }) => get(path.join(remote, filename), path.join(local, filename)));
  },
  async put_each({ local, remote }) {
    for (const file of filesOf(local)) await put(file, beside(file, remote));
  },
  async get_each({ remote, local }) {
    for (const file of filesOf(local)) await get(beside(file, remote), file);
  },
  async read({ remote }) {
    const over = await sftp();
    await called((done) => over.readFile(remote, done));
  },
};

await serve(peer);
