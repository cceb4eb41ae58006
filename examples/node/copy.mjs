// Copies a directory to a host, or from one: `node copy.mjs put|get [user@]host from to`. What an earlier
// copy was cut in is gone on with, and what is there already is not sent again. Ctrl-C ends it.
import { connect, RmuxError } from 'rmux';

const [way, host, from, to] = process.argv.slice(2);
if (!['put', 'get'].includes(way) || to === undefined) {
  console.error('usage: node copy.mjs put|get [user@]host from to');
  process.exit(2);
}

const ctrlC = new AbortController();
process.once('SIGINT', () => ctrlC.abort());

try {
  const session = await connect(host);
  try {
    const report = await session[way](from, to, {
      recursive: true,
      times: true,
      resume: true,
      update: 'different',
      exclude: ['*.tmp', '.git/'],
      signal: ctrlC.signal,
      onProgress: ({ files, totalFiles, bytes }) => console.log(`${files} of ${totalFiles} files, ${bytes} bytes`),
    });
    for (const { path, error } of report.failures) console.error(`${path}: ${error.message}`);
    console.log(`${report.files} files copied, ${report.skipped.length} left out`);
    if (report.failures.length > 0) process.exitCode = 1;
  } finally {
    await session.close();
  }
} catch (error) {
  if (!(error instanceof RmuxError) && error.name !== 'AbortError') throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
