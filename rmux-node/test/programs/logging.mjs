// Connects and runs a command; what is logged goes to standard error.
import { connect } from '../../index.mjs';

const session = await connect('127.0.0.1', {
  ...JSON.parse(process.env.RMUX_TEST_OPTIONS),
  password: 'never to be seen',
});
await session.run('true', { env: { TOKEN: 'never to be seen' } });
await session.close();
