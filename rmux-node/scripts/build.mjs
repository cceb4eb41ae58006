// Builds the addon with cargo and puts it beside package.json, with the types of what it exports.
// `--release` builds it as it is to be used; without, it is built as the Rust tests are.

import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { declarations } from './declarations.mjs';

const folder = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const release = process.argv.includes('--release');

function cargo(args, options) {
  const done = spawnSync('cargo', args, {
    cwd: folder,
    encoding: 'utf8',
    maxBuffer: 1 << 30,
    stdio: ['ignore', 'pipe', 'inherit'],
    ...options,
  });
  if (done.error) throw done.error;
  if (done.status !== 0) process.exit(done.status ?? 1);
  return done.stdout;
}

const { target_directory: target } = JSON.parse(
  cargo(['metadata', '--format-version=1', '--no-deps']),
);
// The binding macros write what they export into this folder when the crate is compiled.
const definitions = path.join(target, 'rmux-node-types');
mkdirSync(definitions, { recursive: true });

function build(extra = {}) {
  const output = cargo(
    ['build', '--package=rmux-node', '--message-format=json-render-diagnostics', ...(release ? ['--release'] : [])],
    { env: { ...process.env, NAPI_TYPE_DEF_TMP_FOLDER: definitions, ...extra } },
  );
  const library = output
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line))
    .find((message) => message.reason === 'compiler-artifact' && message.target.name === 'rmux_node');
  return library.filenames.find((name) => /\.(so|dylib|dll)$/.test(name));
}

let library = build();
let types = declarations(definitions);
if (types === undefined) {
  // Compiled before, and the folder was emptied since.
  library = build({ NAPI_FORCE_BUILD_RMUX_NODE: String(Date.now()) });
  types = declarations(definitions);
}
if (types === undefined) throw new Error(`the macros left no definitions in ${definitions}`);
writeFileSync(path.join(folder, 'native.d.ts'), types);

const addon = path.join(folder, `rmux.${process.platform}-${process.arch}.node`);
// Renamed into place, so that a process that has the old one loaded keeps it whole.
copyFileSync(library, `${addon}.new`);
renameSync(`${addon}.new`, addon);
console.log(`${path.relative(folder, addon)} (${release ? 'release' : 'dev'})`);
