// Lets go of open files, with the garbage collector called, and ends a thread that has some.
import { readdirSync, readlinkSync } from 'node:fs';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';

import { connect } from '../../index.mjs';
import { until } from '../testd.mjs';

const file = workerData ?? process.argv[2];
const options = JSON.parse(process.env.RMUX_TEST_OPTIONS);

function open() {
  let count = 0;
  for (const process of readdirSync('/proc').filter((name) => /^\d+$/.test(name))) {
    try {
      for (const fd of readdirSync(`/proc/${process}/fd`)) {
        if (readlinkSync(`/proc/${process}/fd/${fd}`) === file) count += 1;
      }
    } catch {
      // Ended or closed meanwhile.
    }
  }
  return count;
}

const session = await connect('127.0.0.1', options);

// In a function of its own, so that nothing of it stays reachable from here.
async function hold() {
  const handles = await Promise.all(Array.from({ length: 20 }, () => session.files.open(file)));
  await handles[0].read(Buffer.alloc(10));
  const stream = session.files.createReadStream(file);
  await new Promise((resolve) => stream.once('readable', resolve));
  return [...handles, stream];
}

if (!isMainThread) {
  const held = await hold();
  parentPort.postMessage(held.length);
  setInterval(() => held, 1000);
} else {
  await (async () => {
    const held = await hold();
    if (open() >= 20) console.log('opened');
    return held.length;
  })();
  await until('files that nobody holds are closed', async () => {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 5));
    return open() === 0;
  });
  console.log('closed');
  const worker = new Worker(new URL(import.meta.url), { workerData: file });
  await new Promise((resolve) => worker.once('message', resolve));
  if (open() < 20) console.log('the thread has none open');
  await worker.terminate();
  await until('the files of a thread that has ended are closed', () => open() === 0);
  console.log('closed with its thread');
  await session.close();
}
