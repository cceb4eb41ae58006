// The trees of the shared cases: made, looked at, and compared.

import assert from 'node:assert/strict';
import fs from 'node:fs';

export function onlyKnown(value, fields) {
  for (const field of Object.keys(value)) assert.ok(fields.includes(field), `unknown field ${field}`);
}

export function bytes(value) {
  if (typeof value === 'string') return Buffer.from(value);
  if (value.base64 !== undefined) return Buffer.from(value.base64, 'base64');
  return Buffer.from(value.repeat.repeat(value.times));
}

export function plant(at, tree) {
  for (const { path, file, link, mode } of tree) {
    if (file !== undefined) fs.writeFileSync(at(path), bytes(file));
    else if (link !== undefined) fs.symlinkSync(bytes(link), at(path));
    else fs.mkdirSync(at(path));
    if (mode !== undefined) fs.chmodSync(at(path), mode);
  }
}

/** The tree of a case by its paths, as `found` has it. */
export function planned(tree) {
  const entries = tree.map(({ path, file, link, mode }) => [
    bytes(path).toString('hex'),
    {
      ...(file === undefined ? {} : { file: bytes(file).toString('hex') }),
      ...(link === undefined ? {} : { link: bytes(link).toString('hex') }),
      ...(mode === undefined ? {} : { mode }),
    },
  ]);
  return new Map(entries.sort());
}

/** What is in the folder, with modes where the tree has one. */
export function found(at, folder, tree) {
  const modes = new Set(tree.filter(({ mode }) => mode !== undefined).map(({ path }) => bytes(path).toString('hex')));
  const entries = [];
  const look = (inside) => {
    for (const name of fs.readdirSync(inside, 'buffer')) {
      const path = Buffer.concat([inside, Buffer.from('/'), name]);
      const below = path.subarray(folder.length + 1).toString('hex');
      const known = fs.lstatSync(path);
      const entry = modes.has(below) ? { mode: known.mode & 0o7777 } : {};
      if (known.isFile()) entry.file = fs.readFileSync(path).toString('hex');
      if (known.isSymbolicLink()) entry.link = fs.readlinkSync(path, 'buffer').toString('hex');
      entries.push([below, entry]);
      if (known.isDirectory()) look(path);
    }
  };
  look(Buffer.from(folder));
  return new Map(entries.sort());
}
