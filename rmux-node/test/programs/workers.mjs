// Uses rmux in worker threads: at once, one after another, ended by themselves and terminated. The
// main thread does not load the addon before the workers are gone.
import { fileURLToPath } from 'node:url';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

if (isMainThread) await main();
else await work(workerData);

function start(way) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: way });
  const ready = new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  const ended = new Promise((resolve) => worker.once('exit', resolve));
  return { worker, ready, ended };
}

async function main() {
  for (let round = 0; round < 3; round += 1) {
    const workers = ['runs', 'runs', 'runs', 'leaves'].map(start);
    for (const { ready, ended } of workers) {
      if ((await ready) !== 'fine') throw new Error('a worker got something else');
      await ended;
    }
    const busy = ['hangs', 'hangs'].map(start);
    await Promise.all(busy.map(({ ready }) => ready));
    await Promise.all(busy.map(({ worker }) => worker.terminate()));
  }
  await work('runs', (result) => console.log(result));
}

async function work(way, tell = (result) => parentPort.postMessage(result)) {
  const { connect } = await import('../../index.mjs');
  const session = await connect('127.0.0.1', JSON.parse(process.env.RMUX_TEST_OPTIONS));
  const results = await Promise.all(
    Array.from({ length: 10 }, (_, index) => session.run(['echo', `${index}`])),
  );
  const fine = results.every(({ stdout }, index) => stdout === `${index}\n`);
  if (way === 'hangs') {
    session.run('sleep 60').catch(() => {});
    const child = await session.spawn('yes');
    child.stdout.resume();
    session.ref();
  }
  tell(fine ? 'fine' : 'wrong');
  if (way === 'runs') await session.close();
}
