// The callbacks of connecting: who is asked what, and what becomes of the answer.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { connect } from '../index.mjs';
import { fingerprint, publicKey, runProgram, startAgent, startServer } from './testd.mjs';

let server;
let byPassword;
before(async () => {
  server = await startServer(['--passphrase', 'open sesame']);
  byPassword = await startServer([
    '--embedded',
    ...['--password', 'a secret'],
    ...['--question', 'Name=alice', '--question', 'Code=123'],
  ]);
});
after(async () => {
  await server?.stop();
  await byPassword?.stop();
});

const unknown = (name) => ({
  ...server.options,
  options: { ...server.options.options, UserKnownHostsFile: server.file(name, '') },
});
/** Without keys, by one method. */
const only = (method) => ({
  ...byPassword.options,
  identityFiles: [],
  options: { ...byPassword.options.options, PreferredAuthentications: method },
});

test('a host key is accepted on true only, and remembered then', async () => {
  const options = unknown('asked');
  const file = options.options.UserKnownHostsFile;
  const prompts = [];
  const answering = (answer) => ({
    ...options,
    hostKeyPolicy: async (prompt) => {
      prompts.push(prompt);
      await sleep(10);
      return answer;
    },
  });
  for (const no of [false, undefined, 'yes', 1]) {
    await assert.rejects(connect('127.0.0.1', answering(no)), { code: 'HOST_KEY_UNKNOWN' });
    assert.equal(readFileSync(file, 'utf8'), '');
  }
  await (await connect('127.0.0.1', answering(true))).close();
  const remembered = readFileSync(file, 'utf8');
  assert.ok(remembered.startsWith(`[127.0.0.1]:${server.port} `), remembered);
  assert.deepEqual(Object.keys(prompts[0]).sort(), ['algorithm', 'fingerprint', 'host', 'knownAs']);
  assert.equal(prompts[0].host, '127.0.0.1');
  assert.equal(prompts[0].knownAs, `[127.0.0.1]:${server.port}`);
  assert.match(prompts[0].fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/);
  // Known now, so nobody is asked.
  await (await connect('127.0.0.1', { ...answering(false) })).close();
  assert.equal(prompts.length, 5);
});

test('accept-new remembers, and danger accepts without remembering', async () => {
  const options = unknown('new');
  const file = options.options.UserKnownHostsFile;
  await (await connect('127.0.0.1', { ...options, dangerAcceptAnyHostKey: true })).close();
  assert.equal(readFileSync(file, 'utf8'), '');
  await (await connect('127.0.0.1', { ...options, hostKeyPolicy: 'accept-new' })).close();
  assert.notEqual(readFileSync(file, 'utf8'), '');
});

test('the time a person takes does not count', async () => {
  const session = await connect('127.0.0.1', {
    ...unknown('slow'),
    connectTimeout: 3000,
    hostKeyPolicy: async () => {
      await sleep(3500);
      return true;
    },
  });
  await session.close();
});

test('what a callback throws is the cause', async () => {
  const thrown = new Error('the dialog was closed');
  const hostKeyPolicy = () => {
    throw thrown;
  };
  await assert.rejects(connect('127.0.0.1', { ...unknown('thrown'), hostKeyPolicy }), (error) => {
    assert.equal(error.name, 'RmuxError');
    assert.equal(error.cause, thrown);
    assert.match(error.message, /127\.0\.0\.1/);
    return true;
  });
});

test('connecting is aborted while a question is open', async () => {
  const controller = new AbortController();
  const hostKeyPolicy = () => {
    setTimeout(() => controller.abort(), 10);
    return new Promise(() => {});
  };
  const connecting = connect('127.0.0.1', { ...unknown('open'), hostKeyPolicy, signal: controller.signal });
  await assert.rejects(connecting, { name: 'AbortError' });
});

test('a passphrase is asked for until it fits', async () => {
  const prompts = [];
  const session = await connect('127.0.0.1', {
    ...server.options,
    identityFiles: [server.client_key_encrypted],
    passphrase: (prompt) => {
      prompts.push(prompt);
      return prompt.attempt === 1 ? 'wrong' : 'open sesame';
    },
  });
  await session.close();
  assert.deepEqual(prompts, [
    { host: '127.0.0.1', path: server.client_key_encrypted, attempt: 1 },
    { host: '127.0.0.1', path: server.client_key_encrypted, attempt: 2 },
  ]);
});

test('a password, given and asked for', async () => {
  const events = [];
  const given = await connect('127.0.0.1', {
    ...only('password'),
    password: 'a secret',
    onEvent: (event) => events.push(event),
  });
  await given.close();
  assert.equal(events.find(({ type }) => type === 'authenticated').method, 'password');
  const prompts = [];
  const asked = await connect('127.0.0.1', {
    ...only('password'),
    password: async (prompt) => {
      prompts.push(prompt);
      return prompt.attempt === 1 ? 'wrong' : 'a secret';
    },
  });
  await asked.close();
  assert.deepEqual(prompts.map(({ user, attempt }) => [user, attempt]), [
    [byPassword.user, 1],
    [byPassword.user, 2],
  ]);
});

test('a wrong password is refused, and not shown', async () => {
  await assert.rejects(connect('127.0.0.1', { ...only('password'), password: 'my wrong one' }), (error) => {
    assert.equal(error.code, 'AUTH_FAILED');
    for (let at = error; at; at = at.cause) assert.equal(`${at.stack}`.includes('my wrong one'), false);
    return true;
  });
});

test('keyboard-interactive, round by round', async () => {
  const rounds = [];
  const session = await connect('127.0.0.1', {
    ...only('keyboard-interactive'),
    keyboardInteractive: async ({ prompts }) => {
      rounds.push(prompts);
      return prompts.map(({ text }) => (text.includes('Name') ? 'alice' : '123'));
    },
  });
  await session.close();
  assert.deepEqual(rounds.flat(), [
    { text: 'Name', echo: false },
    { text: 'Code', echo: false },
  ]);
});

test('name, instructions and echo of each round', async () => {
  const rounds = [
    {
      name: 'First of two',
      instructions: 'Say who you are.\nTake your time.',
      prompts: [
        { text: 'Name: ', answer: 'älice', echo: true },
        { text: 'Code: ', answer: '123 456', echo: false },
      ],
    },
    // A round that only shows something.
    { name: '', instructions: 'Well done.', prompts: [] },
    { name: '', instructions: '', prompts: [{ text: 'Sure? ', answer: '', echo: true }] },
  ];
  const asking = await startServer(['--embedded', ...rounds.flatMap((round) => ['--round', JSON.stringify(round)])]);
  try {
    const prompts = [];
    const session = await connect(asking.host, {
      ...asking.options,
      identityFiles: [],
      keyboardInteractive: (prompt) => {
        prompts.push(prompt);
        return rounds[prompts.length - 1].prompts.map(({ answer }) => answer);
      },
    });
    await session.close();
    const { host, user } = asking;
    const expected = rounds.map(({ prompts: lines, ...round }) => ({
      ...{ host, user, ...round },
      prompts: lines.map(({ text, echo }) => ({ text, echo })),
    }));
    assert.deepEqual(prompts, expected);
    for (const answers of [[], ['123 456'], ['1', '2', '123 456']]) {
      const few = { ...asking.options, identityFiles: [], keyboardInteractive: () => answers };
      await assert.rejects(connect(asking.host, few), (error) => {
        assert.equal(error.name, 'RmuxError');
        assert.equal(error.message.includes('123 456'), false);
        return true;
      });
    }
  } finally {
    await asking.stop();
  }
});

test('a key is given to the agent on true only', async () => {
  const agent = await startAgent();
  try {
    const prompts = [];
    const visit = async (answer) => {
      const agentKey = async (prompt) => {
        prompts.push(prompt);
        await sleep(10);
        return answer;
      };
      const options = { ...server.options.options, IdentityAgent: agent.socket, AddKeysToAgent: 'ask' };
      await (await connect('127.0.0.1', { ...server.options, options, agentKey })).close();
    };
    for (const no of [false, undefined, null, 'yes', 1]) {
      await visit(no);
      assert.deepEqual(agent.keys(), []);
    }
    await visit(true);
    const key = server.client_key;
    assert.deepEqual(agent.keys(), [publicKey(key)]);
    // From now on the agent signs, and nobody is asked.
    await visit(true);
    const expected = { host: '127.0.0.1', path: key, comment: 'rmux-testkit', fingerprint: fingerprint(key) };
    assert.deepEqual(prompts, Array(6).fill(expected));
  } finally {
    await agent.stop();
  }
});

test('who declines is refused, and so is an answer of a wrong kind', async () => {
  for (const declined of [null, undefined]) {
    await assert.rejects(connect('127.0.0.1', { ...only('password'), password: () => declined }), {
      code: 'AUTH_FAILED',
    });
  }
  await assert.rejects(
    connect('127.0.0.1', { ...only('keyboard-interactive'), keyboardInteractive: () => 'alice' }),
    (error) => {
      assert.equal(error.name, 'RmuxError');
      assert.equal(error.cause?.name, 'TypeError');
      return true;
    },
  );
});

test("what an observer throws does not stop connecting, and is the program's to see", async () => {
  const { code, stdout, stderr } = await runProgram('observer.mjs', server);
  assert.equal(code, 0, stderr);
  assert.equal(stdout, 'uncaught: in the observer\nconnected\n');
});
