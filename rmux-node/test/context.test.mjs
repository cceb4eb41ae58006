// What a shell keeps from one command to the next, besides what the shared cases say.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';

import { ShellContext, connect } from '../index.mjs';
import { startServer } from './testd.mjs';

let server;
let session;
before(async () => {
  server = await startServer();
  session = await connect('127.0.0.1', server.options);
});
after(async () => {
  await session?.close();
  await server?.stop();
});

test('commands that are begun at once run one after the other', async () => {
  const context = session.context({ env: { L: '' } });
  const lines = [0, 1, 2, 3, 4].map((i) => context.run(`l=$L; sleep 0.1; export L="$l"${i}; echo $L`));
  const outputs = (await Promise.all(lines)).map(({ stdout }) => stdout.trim());
  const last = context.env.L;
  assert.equal([...last].sort().join(''), '01234');
  // Each of them went on from where another one had ended.
  outputs.sort((one, other) => one.length - other.length);
  assert.deepEqual(outputs, [1, 2, 3, 4, 5].map((length) => last.slice(0, length)));
});

test('a child leaves its state, and holds its context until it has ended', async () => {
  const context = session.context({ cwd: '/usr' });
  const child = await context.spawn('read A; export A; cd lib; cat');
  await assert.rejects(context.run('true'), { code: 'INVALID_INPUT' });
  const fork = context.fork();
  assert.equal((await fork.run('pwd')).stdout, '/usr\n');
  child.stdin.end('one\ntwo\n');
  const lines = [];
  for await (const line of child) lines.push(line);
  assert.deepEqual(lines, ['two']);
  await child.exited;
  assert.equal((await context.run('pwd; echo $A')).stdout, '/usr/lib\none\n');
  assert.deepEqual([fork.cwd, fork.env], ['/usr', {}]);
});

test('a signal that is aborted leaves all as it was', async () => {
  const context = session.context({ cwd: '/usr', env: { A: 'old' } });
  const controller = new AbortController();
  const run = context.run('cd /; export A=new; sleep 600', { signal: controller.signal });
  setTimeout(() => controller.abort(), 500);
  await assert.rejects(run, { name: 'AbortError', confirmed: true });
  assert.equal((await context.run('pwd; echo $A')).stdout, '/usr\nold\n');
});

test('a child that is stopped has its grace and leaves all as it was', async () => {
  const context = session.context({ cwd: '/usr' });
  const polite = "trap 'exit 5' TERM; cd /; echo ready; sleep 300 & wait";
  const child = await context.spawn(polite, { killGrace: 60000 });
  assert.equal((await child[Symbol.asyncIterator]().next()).value, 'ready');
  assert.deepEqual(await child.stop(), { exitCode: 5, signal: null, confirmed: true });
  assert.equal((await context.run('pwd')).stdout, '/usr\n');
  const cut = await context.run('cd lib; echo 12345', { maxOutput: 3, onExcess: 'truncate' });
  assert.deepEqual([cut.stdout, cut.stdoutDropped, context.cwd], ['123', 3, '/usr/lib']);
});

test('what is changed from here holds for the next command', async () => {
  const context = session.context();
  assert.deepEqual([context.cwd, context.env], [null, {}]);
  context.update({ cwd: '/usr', env: { A: '1', HOME: null, NOT: undefined }, interpreter: 'bash' });
  assert.deepEqual([context.cwd, context.env], ['/usr', { A: '1', HOME: null }]);
  const { stdout } = await context.run('a=(x y); pwd; echo $A ${HOME-unset} ${a[1]}');
  assert.equal(stdout, '/usr\n1 unset y\n');
  assert.equal((await context.run(['printenv', 'A'], { env: { A: '2' } })).stdout, '2\n');
});

test('a context goes on over another session, and not over one that was given back', async () => {
  const first = await connect('127.0.0.1', server.options);
  const context = first.context({ cwd: '/usr' });
  await context.run('export A=1');
  await first.close();
  await assert.rejects(context.run('true'), { code: 'CLOSED' });
  assert.equal((await context.fork(session).run('pwd; echo $A')).stdout, '/usr\n1\n');
  const given = await connect('127.0.0.1', server.options);
  const other = given.context();
  given.release();
  assert.throws(() => given.context(), { code: 'CLOSED', message: /given back/ });
  assert.throws(() => other.fork(), { code: 'CLOSED' });
  await assert.rejects(other.run('true'), { code: 'CLOSED' });
  assert.throws(() => context.fork({}), { code: 'ERR_INVALID_ARG_TYPE' });
});

test('what no context can do is refused', async () => {
  const context = session.context();
  assert.throws(() => new ShellContext(), TypeError);
  await assert.rejects(context.spawn('true', { pty: true }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(context.run('true', { verbatim: true }), { code: 'ERR_INVALID_ARG_VALUE' });
  assert.throws(() => context.update({ env: { A: 1 } }), { code: 'ERR_INVALID_ARG_TYPE' });
  assert.throws(() => session.context({ directory: '/' }), { code: 'ERR_INVALID_ARG_VALUE' });
  await assert.rejects(context.run({ subsystem: 'sftp' }), { code: 'INVALID_INPUT' });
  const wrong = session.context({ env: { '1A': 'x' } });
  await assert.rejects(wrong.run('true'), { code: 'INVALID_INPUT' });
});
