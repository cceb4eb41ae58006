// Leaves a session behind in the way that its argument says, and ends without closing it.
import { connect } from '../../index.mjs';

const options = JSON.parse(process.env.RMUX_TEST_OPTIONS);
const session = await connect('127.0.0.1', options);
const ways = {
  /** Nothing is under way. */
  idle() {},
  /** Somebody waits for the end of the session, which alone keeps nothing alive. */
  waiting() {
    session.closed.then(() => console.log('closed'));
  },
  async exit() {
    const child = await session.spawn('sleep 60');
    child.stdout.resume();
    session.run('sleep 60');
    session.ref();
    process.exit(7);
  },
  /** In a callback that the addon called, with more on its way. */
  async 'exit in a callback'() {
    const child = await session.spawn('yes');
    child.stdout.once('data', () => process.exit(7));
  },
  async 'exit at a question'() {
    const { options: settings, ...rest } = options;
    connect('127.0.0.1', {
      ...rest,
      options: { ...settings, UserKnownHostsFile: '/dev/null' },
      hostKeyPolicy: () => process.exit(7),
    });
  },
  async 'exit at an event'() {
    connect('127.0.0.1', { ...options, onEvent: ({ type }) => type === 'ready' && process.exit(7) });
  },
  async terminated() {
    const child = await session.spawn('yes');
    child.stdout.resume();
    await session.run('true');
    process.kill(process.pid, 'SIGTERM');
  },
  async 'terminated in order'() {
    process.once('SIGTERM', async () => {
      await session.close();
      console.log((await session.closed).reason);
    });
    const child = await session.spawn('yes');
    child.stdout.resume();
    process.kill(process.pid, 'SIGTERM');
  },
  async rejection() {
    session.ref();
    await session.run('exit 3', { check: true });
  },
  async exception() {
    await session.spawn('sleep 60');
    setTimeout(() => {
      throw new Error('on purpose');
    });
  },
  pending() {
    session.run('sleep 0.5; echo done').then(({ stdout }) => process.stdout.write(stdout));
  },
  async child() {
    const child = await session.spawn('sleep 0.5');
    child.on('exit', (code) => console.log(`exit ${code}`));
  },
  ref() {
    session.ref().ref();
    // Alone it would not keep the process alive.
    setTimeout(() => {
      console.log('still here');
      session.unref();
    }, 500).unref();
  },
  async closed() {
    session.ref();
    await session.close();
  },
  /** The timer fires only while the connection is being made. */
  async connecting() {
    await session.close();
    connect('127.0.0.1', options).then(() => console.log('connected'));
  },
};
process.on('exit', (code) => console.log(`leaving with ${code}`));
await ways[process.argv[2]]();
