// Lets go of sessions, children and streams in every order, with the garbage collector called.
import { Readable } from 'node:stream';

import { connect } from '../../index.mjs';
import { startRelay, until } from '../testd.mjs';

const options = JSON.parse(process.env.RMUX_TEST_OPTIONS);
const relay = await startRelay(options.port);
const toRelay = { ...options, port: relay.port, dangerAcceptAnyHostKey: true };

async function collect() {
  for (let turn = 0; turn < 3; turn += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

function permutations(items) {
  if (items.length < 2) return [items];
  return items.flatMap((item) =>
    permutations(items.filter((other) => other !== item)).map((rest) => [item, ...rest]),
  );
}

// In a function of its own, so that nothing of it stays reachable from here.
async function letGo(order) {
  const held = [];
  const hold = async () => {
    const session = await connect('127.0.0.1', toRelay);
    const child = await session.spawn('echo text; exec cat');
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill();
    held.push(session, child, child.stdout, child.stdin);
  };
  await hold();
  for (const index of order) {
    held[index] = undefined;
    globalThis.gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
}
// Without waiting for one order to be cleared away before the next, so that they overlap.
for (const order of permutations([0, 1, 2, 3])) await letGo(order);

// What hangs on a child: an iteration that was begun, the promise of its end, a duplex, web streams
// and an abort signal, all of which point back.
async function entangle() {
  const session = await connect('127.0.0.1', toRelay);
  const controller = new AbortController();
  const [one, two, three] = await Promise.all(
    [0, 1, 2].map(() => session.spawn('echo text; exec cat', { signal: controller.signal })),
  );
  await one[Symbol.asyncIterator]().next();
  one.self = [one, one.exited, session, controller];
  two.duplex().on('data', () => two.resize(1, 1));
  three.web = Readable.toWeb(three.stdout).getReader();
  await three.web.read();
  for (const child of [one, two, three]) child.kill();
}
await entangle();
await until('sessions that nobody holds are closed', async () => {
  await collect();
  return relay.connections() === 0;
});
console.log('in any order');

// An operation outlives the object it was started on.
async function begin() {
  const session = await connect('127.0.0.1', toRelay);
  return { running: session.run('sleep 0.3; echo whole'), closed: session.closed };
}
const { running, closed } = await begin();
await collect();
console.log((await running).stdout.trim());
await until('the last session is closed', async () => {
  await collect();
  return relay.connections() === 0;
});
console.log((await closed).reason);

// Children that have ended and were not read hold nothing for ever.
const session = await connect('127.0.0.1', toRelay);
const before = process.memoryUsage().rss;
for (let index = 0; index < 100; index += 1) {
  const child = await session.spawn('head -c 1000000 /dev/zero');
  await child.exited;
  if (index % 10 === 9) await collect();
}
await collect();
const grown = (process.memoryUsage().rss - before) / 1e6;
console.log(grown < 60 ? 'no growth' : `grew by ${grown} MB`);
await session.close();
relay.stop();
