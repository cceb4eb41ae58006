// The package from outside: its entries, its public names, and its types.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { after, before, test } from 'node:test';
import ts from 'typescript';

import * as rmux from '../index.mjs';
import { runProgram, startServer } from './testd.mjs';

let server;
before(async () => {
  server = await startServer();
});
after(() => server?.stop());

const read = (name) => readFileSync(new URL(name, import.meta.url), 'utf8');

test('CommonJS and ES module are one', async () => {
  const { code, stdout, stderr } = await runProgram('loading.cjs', server);
  assert.deepEqual([code, stdout], [0, 'both\n'], stderr);
});

const SYMBOLS = new Map([
  [Symbol.asyncDispose, '[Symbol.asyncDispose]'],
  [Symbol.asyncIterator, '[Symbol.asyncIterator]'],
]);
/** What errors and emitters have without rmux. */
const INHERITED = ['constructor', 'stack', 'message', 'cause', 'domain', 'allowHalfOpen'];
/** What a NON_ZERO_EXIT has besides, and what every RmuxError has of Error. */
const RESULT = ['stdout', 'stderr', 'exitCode', 'signal', 'name'];

/** The names of the running code, of an object's own and of its prototype. */
async function namesInCode() {
  const session = await rmux.connect('127.0.0.1', server.options);
  const child = await session.spawn('true');
  const failure = await session.run('false', { check: true }).catch((error) => error);
  const aborted = await session.run('true', { signal: AbortSignal.abort() }).catch((error) => error);
  await child.exited;
  const handle = await session.files.open('/dev/null');
  const dir = await session.files.opendir('/dev');
  const connection = await session.connectTcp('127.0.0.1', server.options.port);
  const forward = await session.forwardDynamic();
  const listener = await session.listen();
  const dropped = await session.drop([new URL(import.meta.url).pathname]);
  const objects = {
    Connection: connection,
    Forward: forward,
    RemoteListener: listener,
    Session: session,
    Pool: new rmux.Pool(),
    Child: child,
    RmuxError: failure,
    AbortError: aborted,
    Files: session.files,
    ShellContext: session.context(),
    FileHandle: handle,
    Dir: dir,
    Dropped: dropped,
    Dirent: await dir.read(),
    Stats: await handle.stat(),
  };
  connection.destroy();
  await session.close();
  const names = Object.keys(rmux);
  for (const [name, object] of Object.entries(objects)) {
    const own = Reflect.ownKeys(object).concat(Reflect.ownKeys(Object.getPrototypeOf(object)));
    for (const key of new Set(own)) {
      const member = typeof key === 'symbol' ? SYMBOLS.get(key) : key;
      if (member === undefined || member.startsWith('_') || INHERITED.includes(member)) continue;
      if (name === 'RmuxError' && RESULT.includes(member)) continue;
      names.push(`${name}.${member}`);
    }
  }
  return names;
}

/** The names that the declarations export, with the members of classes. */
function namesInTypes() {
  const sources = ['index.d.ts', 'contexts.d.ts', 'files.d.ts', 'forwards.d.ts', 'transfers.d.ts'].map((name) =>
    ts.createSourceFile(name, read(`../${name}`), ts.ScriptTarget.ES2022),
  );
  const names = new Set();
  for (const [source, statement] of sources.flatMap((source) => source.statements.map((one) => [source, one]))) {
    if (ts.isFunctionDeclaration(statement)) names.add(statement.name.text);
    if (!ts.isClassDeclaration(statement)) continue;
    names.add(statement.name.text);
    for (const { name, questionToken } of statement.members) {
      // Those of an emitter are inherited, and optional ones are there only sometimes.
      if (name === undefined || questionToken || ['on', 'once'].includes(name.getText(source))) continue;
      names.add(`${statement.name.text}.${name.getText(source)}`);
    }
  }
  return [...names];
}

test('the code and the types have exactly the public names', async () => {
  const listed = read('surface.txt')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  // Older Nodes do not know the symbol.
  const known = (name) => typeof Symbol.asyncDispose === 'symbol' || !name.includes('asyncDispose');
  assert.deepEqual((await namesInCode()).sort(), listed.filter(known));
  assert.deepEqual(namesInTypes().sort(), listed);
});

test('the types fit what programs do, in both kinds of modules', () => {
  const file = new URL('tsconfig.json', import.meta.url).pathname;
  const config = ts.getParsedCommandLineOfConfigFile(file, {}, { ...ts.sys, onUnRecoverableConfigFileDiagnostic: assert.fail });
  const program = ts.createProgram(config.fileNames, config.options);
  const problems = ts.getPreEmitDiagnostics(program);
  assert.equal(ts.formatDiagnostics(problems, { getCurrentDirectory: () => '', getNewLine: () => '\n', getCanonicalFileName: (name) => name }), '');
});

test('every error code of the core is in the types, and no other', () => {
  const kinds = readFileSync(new URL('../../rmux-core/src/error.rs', import.meta.url), 'utf8');
  const inCore = [...kinds.matchAll(/Self::\w+ => "([A-Z_]+)"/g)].map(([, code]) => code);
  const union = /export type ErrorCode =([^;]*);/.exec(read('../index.d.ts'))[1];
  const inTypes = [...union.matchAll(/'([A-Z_]+)'/g)].map(([, code]) => code);
  assert.ok(inCore.length > 10);
  assert.deepEqual(inTypes.sort(), [...inCore, 'EPIPE'].sort());
});

test('the declarations of the addon are those of its code', async () => {
  const native = createRequire(import.meta.url)('../lib/native.cjs');
  const declared = read('../native.d.ts');
  for (const [name, exported] of Object.entries(native)) {
    assert.ok(declared.includes(`export declare class ${name} {`), name);
    for (const member of Object.getOwnPropertyNames(exported.prototype)) {
      assert.match(declared, new RegExp(`\\b${member}\\(`), `${name}.${member}`);
    }
  }
});

test('the classes are made by the package only', () => {
  assert.throws(() => new rmux.Session(), TypeError);
  assert.throws(() => new rmux.Child(), TypeError);
});

test('what is published has all it needs', () => {
  const { files, exports } = JSON.parse(read('../package.json'));
  const entries = Object.values(exports['.']).flatMap((entry) => Object.values(entry));
  for (const entry of entries) assert.ok(files.includes(entry.slice(2)), entry);
  assert.equal(/https?:/.test(read('../package-lock.json')), false);
});
