// Streams a command's lines until it ends or Ctrl-C is pressed, which also ends it on the host:
// `node stream.mjs [user@]host command [argument...]`.
import { connect } from 'rmux';

const [host, ...command] = process.argv.slice(2);
if (command.length === 0) {
  console.error('usage: node stream.mjs [user@]host command [argument...]');
  process.exit(2);
}

const interrupted = new AbortController();
process.once('SIGINT', () => interrupted.abort(new Error('Ctrl-C was pressed')));

const session = await connect(host, { signal: interrupted.signal });
const child = await session.spawn(command, { stdin: 'ignore', signal: interrupted.signal });
child.stderr.pipe(process.stderr);
for await (const line of child) console.log(`${session.host.name}| ${line}`);

try {
  const { exitCode, signal } = await child.exited;
  console.log(signal === null ? `exit code ${exitCode}` : `ended by ${signal}`);
} catch (error) {
  console.log(`${error.name}: ${error.cause?.message ?? error.message}`);
}
await session.close();
