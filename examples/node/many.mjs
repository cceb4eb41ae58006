// Runs a command on many hosts at once. Whatever is named twice, or leads to several of them as their
// ProxyJump, is connected to once: `node many.mjs uptime host...`.
import { Pool } from 'rmux';

const [command, ...hosts] = process.argv.slice(2);
if (hosts.length === 0) {
  console.error('usage: node many.mjs command host...');
  process.exit(2);
}

// After its last use, a session stays for a minute.
const pool = new Pool({ linger: 60_000 });
try {
  const options = { limit: 50, timeout: 60_000 };
  for await (const { host, result, error } of pool.runMany(hosts, command, options)) {
    if (error) console.log(`${host}: failed: ${error.message}`);
    else if (result.exitCode !== 0) console.log(`${host}: failed: ${result.stderr.trim()}`);
    else console.log(`${host}: ${result.stdout.trim()}`);
  }
  console.log(`${pool.sessions().length} connections`);
} finally {
  await pool.close();
}
