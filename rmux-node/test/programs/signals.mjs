// Runs a command that must not outlive this process, and ends in the way that its argument says.
import { Pool, connect } from '../../index.mjs';

const [way, seconds] = process.argv.slice(2);
const options = JSON.parse(process.env.RMUX_TEST_OPTIONS);
const pool = new Pool({ ...options, linger: Infinity });
const session = way === 'pooled' ? await pool.session('127.0.0.1') : await connect('127.0.0.1', options);
const child = await session.spawn(['sleep', seconds]);
const ways = {
  /** The program listens to no signal. */
  signal() {},
  pooled() {},
  /** It does, and goes on. */
  listening() {
    process.on('SIGTERM', async () => {
      console.log((await session.run('echo still here')).stdout.trim());
      process.exit(3);
    });
  },
  exit() {
    process.exit(4);
  },
  exception() {
    setTimeout(() => {
      throw new Error('on purpose');
    });
  },
  /** Nothing is left to do. */
  end() {
    child.unref?.();
    child.exited.catch(() => {});
    session.close().then(() => console.log('closed'));
  },
};
ways[way]();
console.log('ready');
