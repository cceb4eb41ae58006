// What the drivers of the Node peers share: the lines of JSON, and taking the time.
//
// A driver is an object with a method for each thing that it does, named as in src/protocol.rs. What it
// lacks, its peer cannot do.

import { readdirSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

export const NOTHING = 'true';
export const SINK = 'cat > /dev/null';
export const IDLE = 'exec sleep 600';
export const STALLED = 'head -c 268435456 /dev/zero; exec sleep 600';
export const ENDLESS = 'exec cat /dev/zero';
export const PIECE = 256 << 10;
export const TARGET = JSON.parse(process.env.RMUX_COMPARE_TARGET);

export const source = (length) => `head -c ${length} /dev/zero`;
export const filesOf = (folder) => readdirSync(folder).sort().map((name) => path.join(folder, name));
export const beside = (file, folder) => path.join(folder, path.basename(file));

export function check(condition, what) {
  if (!condition) throw new Error(what);
}

async function answer(peer, { do: what, ...request }) {
  if (!peer[what]) return { cannot: 'it has nothing for it' };
  // Those that are asked for so many times give a sample each.
  const count = what === 'exec' || what === 'read' ? (request.count ?? 1) : 1;
  const seconds = [];
  try {
    for (let n = 0; n < count; n += 1) {
      const start = process.hrtime.bigint();
      await peer[what](request);
      seconds.push(Number(process.hrtime.bigint() - start) / 1e9);
    }
  } catch (error) {
    return { failed: String(error?.message ?? error) };
  }
  return { seconds };
}

/** Answers until standard input ends. */
export async function serve(peer) {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(peer, JSON.parse(line)))}\n`);
  }
  process.exit(0);
}
