// Shows what the user's ssh_config says of some hosts, without connecting to them:
// `node settings.mjs host...`.
import { resolve, RmuxError } from 'rmux';

const hosts = process.argv.slice(2);
if (hosts.length === 0) {
  console.error('usage: node settings.mjs host...');
  process.exit(2);
}

try {
  const resolved = await Promise.all(hosts.map((host) => resolve(host)));
  for (const [index, found] of resolved.entries()) {
    const way = found.proxyjump ?? found.proxycommand ?? 'directly';
    console.log(`${hosts[index]}: ${found.user}@${found.hostname} port ${found.port}, ${way}`);
    // What may stand several times is an array.
    for (const file of found.identityfile ?? []) console.log(`  key ${file}`);
    for (const forward of found.localforward ?? []) console.log(`  forward ${forward}`);
  }
} catch (error) {
  if (!(error instanceof RmuxError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
