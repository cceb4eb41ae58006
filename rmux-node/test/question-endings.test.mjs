// How connecting ends when a callback throws, answers nonsense or never answers: for every kind of
// question, and with nothing left behind.

import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';

import { Pool, connect } from '../index.mjs';
import { startAgent, startServer, until } from './testd.mjs';

let server;
let agent;
before(async () => {
  agent = await startAgent();
  server = await startServer([
    ...['--embedded', '--passphrase', 'key words', '--password', 'open sesame'],
    ...['--question', 'Colour? =red', '--question', 'Another? =blue'],
  ]);
});
after(async () => {
  await agent?.stop();
  await server?.stop();
});

let files = 0;
/** Options of a connection that asks one kind of question, which `callback` answers. */
const KINDS = {
  hostKeyPolicy: {
    options: (callback) => ({
      options: { ...server.options.options, UserKnownHostsFile: server.file(`known-${(files += 1)}`, '') },
      hostKeyPolicy: callback,
    }),
    right: () => true,
    declined: 'HOST_KEY_UNKNOWN',
    // Anything but true is a no.
    wrong: [],
  },
  passphrase: {
    options: (callback) => ({
      options: { ...server.options.options, PreferredAuthentications: 'publickey' },
      identityFiles: [server.client_key_encrypted],
      passphrase: callback,
    }),
    right: () => 'key words',
    declined: 'AUTH_FAILED',
    wrong: [5, ['key words'], Buffer.from('key words')],
  },
  password: {
    options: (callback) => ({
      options: { ...server.options.options, PreferredAuthentications: 'password' },
      identityFiles: [],
      password: callback,
    }),
    right: () => 'open sesame',
    declined: 'AUTH_FAILED',
    wrong: [5, ['open sesame'], true],
  },
  keyboardInteractive: {
    options: (callback) => ({
      options: { ...server.options.options, PreferredAuthentications: 'keyboard-interactive' },
      identityFiles: [],
      keyboardInteractive: callback,
    }),
    right: ({ prompts }) => prompts.map(({ text }) => (text.includes('Colour') ? 'red' : 'blue')),
    declined: 'AUTH_FAILED',
    wrong: [5, 'red', ['red', 5]],
  },
  agentKey: {
    options: (callback) => ({
      options: { ...server.options.options, IdentityAgent: agent.socket, AddKeysToAgent: 'ask' },
      agentKey: callback,
    }),
    // Once it is in the agent, nobody is asked any more: test/questions.test.mjs says yes.
    right: () => false,
    declined: undefined,
    wrong: [],
  },
};

for (const [name, kind] of Object.entries(KINDS)) {
  describe(name, () => {
    const to = (callback, more) => connect(server.host, { ...server.options, ...kind.options(callback), ...more });
    afterEach(async () => {
      let left;
      // The server learns of an end a little later.
      for (let tries = 0; tries < 100; tries += 1) {
        left = (await server.tell('status')).connections;
        if (left === 0) return;
        await sleep(50);
      }
      assert.equal(left, 0, 'connections left');
    });

    test('it is answered, and nobody takes the question back', async () => {
      const signals = [];
      const session = await to(async (prompt, { signal }) => {
        signals.push(signal);
        await sleep(20);
        return kind.right(prompt);
      });
      assert.equal((await session.run('echo in')).stdout, 'in\n');
      await session.close();
      assert.ok(signals.length > 0);
      assert.equal(signals.some((signal) => signal.aborted), false);
    });

    test('it throws, at once or later', async () => {
      const thrown = new Error('the dialog was closed');
      const callbacks = [
        () => {
          throw thrown;
        },
        async () => {
          await sleep(20);
          throw thrown;
        },
        // A limit of the program's own.
        () => Promise.race([new Promise(() => {}), sleep(20).then(() => Promise.reject(thrown))]),
      ];
      for (const callback of callbacks) {
        await assert.rejects(to(callback), (error) => {
          assert.deepEqual([error.name, error.code, error.host], ['RmuxError', 'CANCELLED', server.host]);
          assert.equal(error.cause, thrown);
          return true;
        });
      }
    });

    test('it declines', async () => {
      for (const nothing of [undefined, null]) {
        if (kind.declined === undefined) await (await to(() => nothing)).close();
        else await assert.rejects(to(() => nothing), { name: 'RmuxError', code: kind.declined });
      }
    });

    test('it answers with a wrong type', async () => {
      for (const wrong of kind.wrong) {
        await assert.rejects(to(async () => wrong), (error) => {
          assert.deepEqual([error.name, error.code, error.cause?.name], ['RmuxError', 'CANCELLED', 'TypeError']);
          return true;
        });
      }
    });

    test('it never answers, and connecting is aborted', async () => {
      const controller = new AbortController();
      let asked;
      const connecting = to(
        (prompt, { signal }) => {
          asked = signal;
          return new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)));
        },
        { signal: controller.signal },
      );
      connecting.catch(() => {});
      await until('it is asked', () => asked !== undefined);
      assert.equal(asked.aborted, false);
      controller.abort(new Error('enough'));
      await assert.rejects(connecting, (error) => {
        assert.deepEqual([error.name, error.cause.message], ['AbortError', 'enough']);
        return true;
      });
      assert.ok(asked.aborted);
      assert.equal(asked.reason.name, 'AbortError');
    });

    test('others go on while it is open', async () => {
      const controller = new AbortController();
      let asked = false;
      const connecting = to(
        () => {
          asked = true;
          return new Promise(() => {});
        },
        { signal: controller.signal },
      );
      connecting.catch(() => {});
      await until('it is asked', () => asked);
      const session = await connect(server.host, server.options);
      assert.equal((await session.run('echo in')).stdout, 'in\n');
      await session.close();
      controller.abort();
      await assert.rejects(connecting, { name: 'AbortError' });
    });
  });
}

for (const pooled of [false, true]) {
  test(`the connection dies while a question is open${pooled ? ', of a pool' : ''}`, async () => {
    const hasty = await startServer(['--passphrase', 'key words', '--option', 'LoginGraceTime 1']);
    try {
      let asked;
      const options = {
        ...hasty.options,
        identityFiles: [hasty.client_key_encrypted],
        passphrase: (prompt, { signal }) => {
          asked = signal;
          return new Promise(() => {});
        },
      };
      const connecting = pooled ? new Pool(options).session(hasty.host) : connect(hasty.host, options);
      await assert.rejects(connecting, { name: 'RmuxError', code: 'DISCONNECTED' });
      await until('the question is taken back', () => asked.aborted);
    } finally {
      await hasty.stop();
    }
  });
}

for (const pooled of [false, true]) {
  test(`the connection dies after the login while a question is open${pooled ? ', of a pool' : ''}`, async () => {
    const sshd = await startServer();
    try {
      let asked;
      const options = {
        ...sshd.options,
        options: { ...sshd.options.options, IdentityAgent: agent.socket, AddKeysToAgent: 'ask' },
        agentKey: (prompt, { signal }) => {
          asked = signal;
          return new Promise(() => {});
        },
      };
      const connecting = pooled ? new Pool(options).session(sshd.host) : connect(sshd.host, options);
      connecting.catch(() => {});
      await until('it is asked', () => asked !== undefined);
      await sshd.tell('kill-connections');
      await assert.rejects(connecting, { name: 'RmuxError', code: 'DISCONNECTED' });
      await until('the question is taken back', () => asked.aborted);
      assert.deepEqual(agent.keys(), []);
    } finally {
      await sshd.stop();
    }
  });
}
