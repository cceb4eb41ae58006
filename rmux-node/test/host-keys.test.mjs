// UpdateHostKeys ask: the question that comes up while a session goes on.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Pool, connect } from '../index.mjs';
import { fingerprint, publicKey, runProgram, startServer, until } from './testd.mjs';

const KINDS = ['ssh-ed25519', 'ecdsa-sha2-nistp256', 'ssh-rsa'];
let server;
let name;
let gone;
before(async () => {
  server = await startServer();
  name = `[127.0.0.1]:${server.port}`;
  gone = path.join(server.folder, 'gone');
  execFileSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', gone]);
});
after(() => server?.stop());

let files = 0;
/** A file that knows one key of the server, and another that the server does not have. */
function changed() {
  const lines = readFileSync(server.known_hosts, 'utf8').split('\n');
  const ours = lines.find((line) => line.startsWith(`${name} ${KINDS[0]} `));
  assert.ok(ours);
  const text = `${ours}\n${name} ${publicKey(gone)}\n`;
  const file = server.file(`known-${(files += 1)}`, text);
  const known = () => readFileSync(file, 'utf8');
  const kinds = () => known().trim().split('\n').map((line) => line.split(' ')[1]);
  return {
    options: {
      ...server.options,
      options: { ...server.options.options, UserKnownHostsFile: file, UpdateHostKeys: 'ask' },
    },
    isWritten: () => assert.deepEqual(kinds().sort(), [...KINDS].sort()) === undefined,
    isAsBefore: () => assert.equal(known(), text),
    known,
  };
}

function never(prompt, { signal }) {
  return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
}

for (const pooled of [false, true]) {
  const of = pooled ? ' of a pool' : '';

  test(`keys are written down on true, and a session${of} does not wait for that`, async () => {
    const { options, known, isAsBefore, isWritten } = changed();
    const prompts = [];
    const signals = [];
    let answer;
    const hostKeys = (prompt, { signal }) => {
      prompts.push(prompt);
      signals.push(signal);
      return new Promise((resolve) => (answer = resolve));
    };
    const pool = pooled ? new Pool({ ...options, hostKeys }) : undefined;
    const session = await (pool?.session(server.host) ?? connect(server.host, { ...options, hostKeys }));
    await until('it is asked', () => answer !== undefined);
    assert.equal((await session.run('echo in')).stdout, 'in\n');
    isAsBefore();
    const before = known();
    answer(true);
    await until('the keys are written down', () => known() !== before);
    isWritten();
    const [{ learned, ...rest }] = prompts;
    const outdated = [{ algorithm: KINDS[0], fingerprint: fingerprint(gone) }];
    assert.deepEqual(rest, { host: server.host, knownAs: name, outdated });
    assert.deepEqual(learned.map(({ algorithm }) => algorithm), KINDS.slice(1));
    assert.ok(learned.every((key) => /^SHA256:[A-Za-z0-9+/]{43}$/.test(key.fingerprint)));
    await session.close();
    assert.equal(signals[0].aborted, false);
    // Now that they are known there is nothing to ask.
    await (await connect(server.host, { ...options, hostKeys })).close();
    assert.equal(prompts.length, 1);
  });

  test(`the end of a session${of} takes the question back`, async () => {
    const ends = {
      close: (session) => session.close(),
      lost: () => server.tell('kill-connections'),
      released: (session) => session.release(),
    };
    for (const [how, end] of Object.entries(ends)) {
      const { options, isAsBefore } = changed();
      let asked;
      const hostKeys = (prompt, context) => {
        asked = context.signal;
        return never(prompt, context);
      };
      const pool = pooled ? new Pool({ ...options, hostKeys }) : undefined;
      const session = await (pool?.session(server.host) ?? connect(server.host, { ...options, hostKeys }));
      await until('it is asked', () => asked !== undefined);
      assert.equal(asked.aborted, false, how);
      await end(session);
      await until(`the question is taken back: ${how}`, () => asked.aborted);
      isAsBefore();
    }
  });
}

test('anything but true is a no', async () => {
  for (const no of [false, undefined, null, 'yes', 1]) {
    const { options, isAsBefore } = changed();
    let asked = false;
    const hostKeys = async () => {
      asked = true;
      return no;
    };
    const session = await connect(server.host, { ...options, hostKeys });
    await until('it is asked', () => asked);
    assert.equal((await session.run('sleep 0.05; echo in')).stdout, 'in\n');
    await session.close();
    isAsBefore();
  }
});

test('nobody is asked without need, and with nobody to ask the answer is no', async () => {
  const hostKeys = () => assert.fail('asked');
  for (const change of [{ UpdateHostKeys: 'no' }, { BatchMode: 'yes' }, undefined]) {
    const { options, isAsBefore } = changed();
    const given = change ? { ...options, options: { ...options.options, ...change }, hostKeys } : options;
    const session = await connect(server.host, given);
    await sleep(200);
    await session.close();
    isAsBefore();
  }
});

test("what it throws is the program's to see, and an open question does not keep the process", async () => {
  const { options, isAsBefore } = changed();
  for (const [way, expected] of [
    ['throws', 'asked\nuncaught: the dialog was closed\nin\n'],
    ['rejects', 'asked\nuncaught: the dialog was closed\nin\n'],
    ['never', 'asked\nin\n'],
    ['aborted', 'asked\nin\nAbortError\n'],
  ]) {
    const { code, stdout, stderr } = await runProgram('host-keys.mjs', { options }, { args: [way] });
    assert.deepEqual([code, stdout, stderr], [0, expected, ''], way);
    isAsBefore();
  }
});
