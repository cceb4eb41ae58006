// Terminates workers at every moment: amid a connect, a question, streams, a callback, and with
// results on their way that nobody has heard of. The main thread goes on, so what a worker leaves
// behind would stay. Says what it is about to do, so that one that hangs tells where.
import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

import { startRelay, until } from '../testd.mjs';

const options = JSON.parse(process.env.RMUX_TEST_OPTIONS);

if (isMainThread) await main();
else await ways()[workerData.way](workerData);

function start(way, data) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: { way, ...data } });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  const ready = new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('it ended by itself')));
  });
  ready.catch(() => {});
  return { worker, ready, ended };
}

async function main() {
  const relay = await startRelay(options.port);
  const data = { to: { ...options, port: relay.port, dangerAcceptAnyHostKey: true } };
  const gone = (way) => until(`the connections are gone: ${way}`, () => relay.connections() === 0, 20_000);

  for (const way of ['asks', 'streams', 'calls back', 'lets go']) {
    const workers = [start(way, data), start(way, data)];
    await Promise.all(workers.map(({ ready }) => ready));
    await sleep(20);
    await Promise.all(workers.map(({ worker }) => worker.terminate()));
    await gone(way);
    console.log(way);
  }

  // At any moment of a life that does everything.
  for (let moment = 0; moment < 8; moment += 1) {
    const { worker } = start('lives', data);
    await sleep(40 + 25 * moment);
    await worker.terminate();
  }
  await gone('lives');
  console.log('lives');

  // A command was started and the worker cannot hear of it: the child is on its way when it ends.
  const file = `${process.env.RMUX_TEST_FOLDER}/started`;
  const { worker, ready } = start('hears nothing', { ...data, file });
  await ready;
  await until('the command runs', () => existsSync(file));
  await sleep(300);
  await worker.terminate();
  await gone('hears nothing');
  console.log('hears nothing');

  // The same, and it leaves by itself without another turn of its event loop.
  const { ended } = start('leaves unheard', { ...data, file: `${file} again` });
  await ended;
  await gone('leaves unheard');
  console.log('leaves unheard');
  relay.stop();
}

/** Has this thread stand still. */
function block(milliseconds = Infinity) {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, milliseconds);
}

function ways() {
  const load = () => import('../../index.mjs');
  const tell = () => parentPort.postMessage('ready');
  const never = new Promise(() => {});
  const stay = () => setInterval(() => {}, 1000);
  return {
    async asks({ to }) {
      const { connect } = await load();
      const { dangerAcceptAnyHostKey: _, ...strict } = to;
      const hostKeyPolicy = () => {
        tell();
        return never;
      };
      await connect('127.0.0.1', { ...strict, hostKeyPolicy });
    },
    async streams({ to }) {
      const { connect } = await load();
      const session = await connect('127.0.0.1', to);
      const [source, sink] = await Promise.all([session.spawn('yes'), session.spawn('cat >/dev/null')]);
      source.stdout.pipe(sink.stdin);
      source.stdout.once('data', tell);
    },
    /** Ended while JavaScript that the addon called has not returned. */
    async 'calls back'({ to }) {
      const { connect } = await load();
      const onEvent = ({ type }) => {
        if (type !== 'ready') return;
        tell();
        for (;;);
      };
      await connect('127.0.0.1', { ...to, onEvent });
    },
    async 'lets go'({ to }) {
      const { Pool } = await load();
      const pool = new Pool({ ...to, linger: Infinity });
      const session = await pool.session('127.0.0.1');
      const child = await session.spawn('cat');
      stay();
      void session.closed;
      child.stdout.resume();
      session.run('sleep 60').catch(() => {});
      session.release();
      tell();
    },
    async lives({ to }) {
      const { connect } = await load();
      for (;;) {
        const session = await connect('127.0.0.1', to);
        const child = await session.spawn('cat');
        child.stdin.write(Buffer.alloc(1 << 20));
        child.stdout.resume();
        await session.run('head -c 100000 /dev/zero');
        child.stdin.end();
        await child.exited;
        await session.close();
      }
    },
    async 'hears nothing'({ to, file }) {
      const { connect } = await load();
      const session = await connect('127.0.0.1', to);
      session.spawn(`echo >'${file}'; exec cat`);
      tell();
      block();
    },
    async 'leaves unheard'({ to, file }) {
      const { connect } = await load();
      const session = await connect('127.0.0.1', to);
      session.spawn(`echo >'${file}'; exec cat`);
      while (!existsSync(file)) block(20);
      block(300);
      process.exit();
    },
  };
}
