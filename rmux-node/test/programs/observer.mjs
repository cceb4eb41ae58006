// Connects with an observer that throws.
import { connect } from '../../index.mjs';

process.on('uncaughtException', ({ message }) => console.log(`uncaught: ${message}`));
const session = await connect('127.0.0.1', {
  ...JSON.parse(process.env.RMUX_TEST_OPTIONS),
  onEvent({ type }) {
    if (type === 'connecting') throw new Error('in the observer');
  },
});
console.log('connected');
await session.close();
