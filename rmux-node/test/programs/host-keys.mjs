// Connects with a callback for the question of later, which ends in the way that the argument says.
import { connect } from '../../index.mjs';

process.on('uncaughtException', ({ message }) => console.log(`uncaught: ${message}`));
const way = process.argv[2];
const closed = new Error('the dialog was closed');
let asked;
const isAsked = new Promise((resolve) => (asked = resolve));
const ways = {
  throws() {
    throw closed;
  },
  rejects: () => Promise.reject(closed),
  never: () => new Promise(() => {}),
  aborted: (signal) =>
    new Promise((_, reject) => {
      signal.addEventListener('abort', () => {
        console.log(signal.reason.name);
        reject(signal.reason);
      });
    }),
};
const session = await connect('127.0.0.1', {
  ...JSON.parse(process.env.RMUX_TEST_OPTIONS),
  hostKeys(prompt, { signal }) {
    console.log('asked');
    asked();
    return ways[way](signal);
  },
});
// An open question does not keep the process, so that something else has to.
session.ref();
await isAsked;
process.stdout.write((await session.run('sleep 0.1; echo in')).stdout);
session.unref();
if (way === 'aborted') await session.close();
