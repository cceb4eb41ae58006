// Uses everything and listens for no error, while its connections are lost, closed and given up. An
// error without a listener, or a rejection without a handler, would end it.
import { connect } from '../../index.mjs';
import { startRelay } from '../testd.mjs';

const options = JSON.parse(process.env.RMUX_TEST_OPTIONS);
const relay = await startRelay(options.port);

/** A session with everything under way, and nobody who hears how it ends. */
async function busy(signal) {
  const session = await connect('127.0.0.1', { ...options, port: relay.port, dangerAcceptAnyHostKey: true });
  const children = await Promise.all(
    ['yes', 'cat', 'sleep 60', 'cat'].map((command) => session.spawn(command, { signal })),
  );
  children[0].stdout.resume();
  // More than it takes: a write is waiting.
  for (let index = 0; index < 64; index += 1) children[2].stdin.write(Buffer.alloc(1 << 20));
  children[3].duplex().write('text');
  return session;
}
const turn = () => new Promise((resolve) => setTimeout(resolve, 50));

const lost = await busy();
relay.cut();
console.log((await lost.closed).reason);
await turn();

const closed = await busy();
await closed.close();
console.log((await closed.closed).reason);
await turn();

const controller = new AbortController();
const left = await busy(controller.signal);
controller.abort();
await turn();
console.log((await left.run('echo aborted')).stdout.trim());
await left.close();
relay.stop();
