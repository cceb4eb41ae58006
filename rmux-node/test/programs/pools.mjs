// Lets go of pools and of their sessions, and leaves some behind at its end.
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread } from 'node:worker_threads';

import { Pool } from '../../index.mjs';
import { startRelay, until } from '../testd.mjs';

const options = JSON.parse(process.env.RMUX_TEST_OPTIONS);
const HOST = '127.0.0.1';

async function collect() {
  for (let turn = 0; turn < 3; turn += 1) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Waits for what garbage collection brings about. */
const collected = (what, condition) =>
  until(what, async () => {
    await collect();
    return condition();
  });

async function main() {
  const relay = await startRelay(options.port);
  const toRelay = { ...options, port: relay.port, dangerAcceptAnyHostKey: true };
  const gone = () => relay.connections() === 0;

  // A handle that nobody holds is given back, whoever waits for its end.
  const pool = new Pool(toRelay);
  const ends = [];
  // In functions of their own, so that nothing of it stays reachable from here.
  const hold = async () => {
    const [first] = [await pool.session(HOST), await pool.session(HOST), ...pool.sessions()];
    ends.push(first.closed);
  };
  await hold();
  await collected('handles are given back', gone);
  console.log((await ends[0]).reason === 'released' ? 'handles' : 'another end');

  // What lingers ends with its pool.
  const linger = async () => {
    const lingering = new Pool({ ...toRelay, linger: Infinity });
    (await lingering.session(HOST)).release();
    if (relay.connections() !== 1) throw new Error('it does not linger');
  };
  await linger();
  await collected('the pool is gone', gone);
  console.log('pool');

  // Sessions outlive their pool, and are told of as before.
  const events = [];
  const outlive = () => new Pool({ ...toRelay, onEvent: ({ type }) => events.push(type) }).session(HOST);
  let session = await outlive();
  await collect();
  if ((await session.run('echo in')).stdout !== 'in\n') throw new Error('it does not work');
  await session.close();
  await until('the end is told', () => events.includes('closed'));
  session = undefined;
  console.log('sessions outlive it');

  // A callback that knows its pool does not keep it.
  const freed = [];
  const registry = new FinalizationRegistry((which) => freed.push(which));
  const knot = async () => {
    const owner = {};
    owner.pool = new Pool({ ...toRelay, linger: Infinity, onEvent: () => owner });
    owner.session = await owner.pool.session(HOST);
    registry.register(owner, 'owner');
  };
  await knot();
  await collected('the owner is freed', () => freed.length === 1 && gone());
  console.log('callbacks');

  const worker = new Worker(fileURLToPath(import.meta.url));
  const [code] = await new Promise((resolve) => worker.once('exit', (...all) => resolve(all)));
  console.log(code === 0 ? 'in a worker' : `the worker ended with ${code}`);

  // None of these keeps the process alive.
  const left = new Pool({ ...toRelay, linger: Infinity });
  const used = await left.session(HOST);
  void used.closed;
  (await left.session(HOST)).ref().release();
  relay.stop();
  const direct = new Pool({ ...options, linger: Infinity });
  await direct.session(HOST);
}

async function work() {
  const pool = new Pool({ ...options, linger: Infinity });
  const sessions = await Promise.all([pool.session(HOST), pool.session(HOST)]);
  await Promise.all(sessions.map((session) => session.run('true', { check: true })));
  sessions[0].release();
}

if (isMainThread) await main();
else await work();
