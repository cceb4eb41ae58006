// The cases of files that every language runs: rmux-testkit/cases/files.json.

import assert from 'node:assert/strict';
import fs from 'node:fs';
import { after, before, test } from 'node:test';

import { RmuxError, connect } from '../index.mjs';
import { startServer } from './testd.mjs';
import { bytes, found, onlyKnown, plant, planned } from './trees.mjs';

const source = new URL('../../rmux-testkit/cases/files.json', import.meta.url);
const { kind, cases } = JSON.parse(fs.readFileSync(source, 'utf8'));
const CASE = ['name', 'tree', 'request', 'expect', 'after'];
const EXPECT = ['bytes', 'known', 'is', 'names', 'error'];
/** What goes with each verb. */
const VERBS = {
  read: ['path', 'start', 'end'],
  write: ['path', 'data', 'mode', 'exclusive', 'in_place', 'if_sha256', 'if_unmodified_as'],
  append: ['path', 'data'],
  replace_text: ['path', 'old', 'new'],
  stat: ['path'],
  lstat: ['path'],
  exists: ['path'],
  list: ['path'],
  glob: ['path', 'pattern'],
  mkdir: ['path', 'parents'],
  remove: ['path'],
  rmdir: ['path'],
  remove_tree: ['path'],
  rename: ['path', 'target'],
  copy: ['path', 'target'],
  hardlink: ['path', 'target'],
  symlink: ['path', 'target'],
  readlink: ['path'],
  resolve: ['path'],
  chmod: ['path', 'mode'],
};

/** By what files are reached, and the server for it. */
const ways = {
  sftp: { arguments: [] },
  shell: { arguments: ['--option', 'Subsystem none /bin/false'] },
};
before(async () => {
  for (const [by, way] of Object.entries(ways)) {
    way.server = await startServer(way.arguments);
    way.session = await connect('127.0.0.1', way.server.options);
    assert.equal((await way.session.capabilities()).files, by);
  }
});
after(async () => {
  for (const { server, session } of Object.values(ways)) {
    await session?.close();
    await server?.stop();
  }
});

assert.equal(kind, 'files');
assert.ok(cases.length > 50);
for (const [by, way] of Object.entries(ways)) for (const [index, one] of cases.entries()) {
  test(`${one.name}, by ${by}`, async () => {
    const { server, session } = way;
    onlyKnown(one, CASE);
    onlyKnown(one.request, ['do', ...VERBS[one.request.do]]);
    onlyKnown(one.expect ?? {}, EXPECT);
    const folder = `${fs.realpathSync(server.folder)}/case-${index}`;
    fs.mkdirSync(folder);
    const at = (path) => Buffer.concat([Buffer.from(`${folder}/`), bytes(path)]);
    plant(at, one.tree ?? []);
    const outcome = await run(session.files, at, one).catch((error) => {
      if (error instanceof RmuxError) return { error: error.code };
      throw error;
    });
    assert.deepEqual(outcome, plain(one.expect ?? {}));
    assert.deepEqual(found(at, folder, one.after ?? one.tree ?? []), planned(one.after ?? one.tree ?? []));
  });
}

/** What must come of a case, with bytes in a form that can be compared. */
function plain({ bytes: wanted, names, ...rest }) {
  return {
    ...rest,
    ...(wanted === undefined ? {} : { bytes: bytes(wanted).toString('hex') }),
    ...(names === undefined ? {} : { names: names.map((name) => bytes(name).toString('hex')) }),
  };
}

/** What comes of a case. */
async function run(files, at, { request, expect }) {
  const path = at(request.path);
  const target = request.target === undefined ? undefined : at(request.target);
  const top = at('').length;
  switch (request.do) {
    case 'read': {
      const { start, end } = request;
      const read = await files.readFile(path, { start, end: end === undefined ? undefined : end - 1 });
      return { bytes: read.toString('hex') };
    }
    case 'write': {
      const { mode, exclusive, in_place: inPlace, if_sha256: ifSha256, if_unmodified_as: as } = request;
      const ifUnchanged = as === undefined ? undefined : await files.stat(at(as));
      const flag = exclusive ? 'wx' : undefined;
      await files.writeFile(path, bytes(request.data), { mode, flag, inPlace, ifSha256, ifUnchanged });
      return {};
    }
    case 'append':
      await files.appendFile(path, bytes(request.data));
      return {};
    case 'replace_text':
      await files.replaceText(path, bytes(request.old), bytes(request.new));
      return {};
    case 'stat':
    case 'lstat':
      return { known: known(await files[request.do](path), expect.known ?? {}) };
    case 'exists':
      return { is: await files.exists(path) };
    case 'list':
      return names(await files.readdir(path, 'buffer'));
    case 'glob': {
      const paths = [];
      for await (const one of files.glob(path, bytes(request.pattern), 'buffer')) paths.push(one.subarray(top));
      return names(paths);
    }
    case 'mkdir':
      await files.mkdir(path, { recursive: request.parents });
      return {};
    case 'remove':
      await files.unlink(path);
      return {};
    case 'rmdir':
      await files.rmdir(path);
      return {};
    case 'remove_tree':
      await files.rm(path, { recursive: true });
      return {};
    case 'rename':
      await files.rename(path, target);
      return {};
    case 'copy':
      await files.copyFile(path, target);
      return {};
    case 'hardlink':
      await files.link(path, target);
      return {};
    case 'symlink':
      await files.symlink(bytes(request.target), path);
      return {};
    case 'readlink':
      return { bytes: (await files.readlink(path, 'buffer')).toString('hex') };
    case 'resolve':
      return names([(await files.realpath(path, 'buffer')).subarray(top)]);
    case 'chmod':
      await files.chmod(path, request.mode);
      return {};
    default:
      return assert.fail(`${request.do} is no verb`);
  }
}

function names(list) {
  return { names: list.sort(Buffer.compare).map((name) => name.toString('hex')) };
}

/** What is known of a file, as far as the case asks for it. */
function known(stats, wanted) {
  const kinds = { file: stats.isFile(), directory: stats.isDirectory(), link: stats.isSymbolicLink() };
  const told = {
    kind: Object.keys(kinds).find((name) => kinds[name]),
    length: stats.size,
    mode: stats.mode & 0o7777,
  };
  return Object.fromEntries(Object.keys(wanted).map((name) => [name, told[name]]));
}
