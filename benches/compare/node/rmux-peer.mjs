// rmux from Node.

import { once } from 'node:events';

import { connect } from 'rmux';

import {
  ENDLESS, IDLE, NOTHING, PIECE, SINK, STALLED, TARGET, beside, check, filesOf, serve, source,
} from './driver.mjs';

const open = (port) =>
  connect('127.0.0.1', {
    user: TARGET.user,
    port,
    identityFiles: [TARGET.client_key],
    configFile: false,
    options: {
      IdentityAgent: 'none',
      UserKnownHostsFile: TARGET.known_hosts,
      GlobalKnownHostsFile: 'none',
    },
  });

let session;
let more = [];
let children = [];

async function run() {
  const { exitCode } = await session.run(NOTHING);
  check(exitCode === 0, `exit ${exitCode}`);
}

const peer = {
  async open({ port }) {
    session = await open(port);
  },
  async close() {
    for (const child of children) child.kill('SIGKILL');
    children = [];
    await Promise.all([session, ...more].map((it) => it.close()));
    more = [];
  },
  async cold({ port }) {
    const cold = await open(port);
    const child = await cold.spawn('echo up', { stdin: 'ignore' });
    await once(child.stdout, 'data');
  },
  async sessions({ port, count }) {
    for (let n = 0; n < count; n += 1) more.push(await open(port));
  },
  exec: run,
  many: ({ count }) => Promise.all(Array.from({ length: count }, run)),
  async down({ bytes }) {
    const child = await session.spawn(source(bytes), { stdin: 'ignore' });
    let length = 0;
    for await (const piece of child.stdout) length += piece.length;
    await child.wait();
    check(length === bytes, `${length} bytes of ${bytes}`);
  },
  async up({ bytes }) {
    const child = await session.spawn(SINK);
    const piece = Buffer.alloc(PIECE);
    for (let left = bytes; left > 0; left -= PIECE) {
      if (!child.stdin.write(piece)) await once(child.stdin, 'drain');
    }
    child.stdin.end();
    await child.wait();
  },
  async channels({ count }) {
    for (let n = 0; n < count; n += 1) children.push(await session.spawn(IDLE, { stdin: 'ignore' }));
  },
  async stall() {
    children.push(await session.spawn(STALLED, { stdin: 'ignore' }));
  },
  async busy() {
    const child = await session.spawn(ENDLESS, { stdin: 'ignore' });
    child.stdout.on('data', () => {});
    children.push(child);
  },
  put: ({ local, remote }) => session.put(local, remote),
  get: ({ remote, local }) => session.get(remote, local),
  put_tree: ({ local, remote }) => session.put(local, remote, { recursive: true }),
  get_tree: ({ remote, local }) => session.get(remote, local, { recursive: true }),
  async put_each({ local, remote }) {
    for (const file of filesOf(local)) await session.put(file, beside(file, remote));
  },
  async get_each({ remote, local }) {
    for (const file of filesOf(local)) await session.get(beside(file, remote), file);
  },
  read: ({ remote }) => session.files.readFile(remote),
};

await serve(peer);
