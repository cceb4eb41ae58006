// Works with files of a host: `node files.mjs [user@]host directory`.
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { connect, RmuxError } from 'rmux';

const [host, directory] = process.argv.slice(2);
if (directory === undefined) {
  console.error('usage: node files.mjs [user@]host directory');
  process.exit(2);
}

try {
  const session = await connect(host);
  try {
    const { files } = session;
    await files.mkdir(directory, { recursive: true });

    // In one step: nobody ever sees half a file.
    const notes = `${directory}/notes.txt`;
    await files.writeFile(notes, 'color = red\n');

    // Only if nobody else has written it since.
    const seen = await files.stat(notes);
    await files.writeFile(notes, 'color = green\nsize = 3\n', { ifUnchanged: seen });
    await files.replaceText(notes, 'green', 'blue');
    console.log(await files.readFile(notes, 'utf8'));

    // Through any streams, and no faster than the slowest of them.
    await pipeline(files.createReadStream(notes), createGzip(), files.createWriteStream(`${notes}.gz`));

    for await (const entry of await files.opendir(directory)) {
      console.log(`${entry.isDirectory() ? 'd' : '-'} ${entry.stats.size} ${entry.name}`);
    }
  } finally {
    await session.close();
  }
} catch (error) {
  if (!(error instanceof RmuxError)) throw error;
  console.error(`${error.code}: ${error.message}`);
  process.exitCode = 1;
}
