// Runs a command on many hosts at once. Whatever is named twice, or leads to several of them as their
// ProxyJump, is connected to once: `node many.mjs uptime host...`.
import { Pool, RmuxError } from 'rmux';

const [command, ...hosts] = process.argv.slice(2);
if (hosts.length === 0) {
  console.error('usage: node many.mjs command host...');
  process.exit(2);
}

async function run(pool, host) {
  let session;
  try {
    session = await pool.session(host);
    const { stdout } = await session.run(command, { check: true, timeout: 60_000 });
    return `${host}: ${stdout.trim()}`;
  } catch (error) {
    if (!(error instanceof RmuxError)) throw error;
    return `${host}: failed: ${error.message}`;
  } finally {
    // Others may still use it.
    session?.release();
  }
}

// After its last use, a session stays for a minute.
const pool = new Pool({ linger: 60_000 });
try {
  const lines = await Promise.all(hosts.map((host) => run(pool, host)));
  for (const line of lines) console.log(line);
  console.log(`${pool.sessions().length} connections`);
} finally {
  await pool.close();
}
