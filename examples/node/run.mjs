// Runs commands on a host over one connection: `node run.mjs [user@]host`.
import { connect, RmuxError } from 'rmux';

const [host] = process.argv.slice(2);
if (host === undefined) {
  console.error('usage: node run.mjs [user@]host');
  process.exit(2);
}

try {
  const session = await connect(host);
  try {
    // An array is a program and its arguments; they reach it as they are.
    const { stdout } = await session.run(['uname', '-sr'], { check: true, timeout: 10_000 });
    console.log(`${session.host.hostname} runs ${stdout.trim()}`);

    // A string is a line for the account's shell. Many at once share the connection.
    const lines = ['df -h / | tail -1', 'uptime', 'who | wc -l'];
    const results = await Promise.all(lines.map((line) => session.run(line)));
    for (const [index, result] of results.entries()) {
      console.log(`${lines[index]}\n  [${result.exitCode}] ${result.stdout.trim()}`);
    }
  } finally {
    await session.close();
  }
} catch (error) {
  if (!(error instanceof RmuxError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
