// Uses the public types as programs do; compiled, never run. A line that must not compile says so.
import {
  AbortError,
  Child,
  type CloseReason,
  type ConnectOptions,
  type CutOff,
  type Dirent,
  type FileHandle,
  type Files,
  Pool,
  type PoolOptions,
  type PoolStats,
  type Resolved,
  type ResolveOptions,
  RmuxError,
  Session,
  type SessionEvent,
  type SessionStats,
  type Stats,
  type TransferReport,
  connect,
  resolve,
} from 'rmux';

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(verdict: Same<A, B>): boolean => verdict;

export async function connecting(): Promise<Session> {
  const heard: SessionEvent[] = [];
  const options: ConnectOptions = {
    user: 'me',
    port: 22,
    identityFiles: ['a'],
    configFile: false,
    options: { Compression: 'yes', SendEnv: ['A', 'B'] },
    matchExec: 'never',
    password: async ({ user, attempt }) => (attempt === 1 ? `${user}` : null),
    passphrase: async ({ path }, { signal }) => (signal.aborted ? undefined : path),
    keyboardInteractive: ({ prompts }) => prompts.map(({ text, echo }) => (echo ? text : '')),
    hostKeyPolicy: async ({ fingerprint }) => fingerprint === 'SHA256:x',
    agentKey: ({ path, comment, fingerprint }) => [path, comment].includes(fingerprint),
    hostKeys: async ({ knownAs, learned, outdated }, { signal }) =>
      !signal.aborted && [...learned, ...outdated].every(({ algorithm }) => algorithm !== knownAs),
    connectTimeout: 1000,
    answerTimeout: 1000,
    keepalive: { interval: 1000, count: 3 },
    onEvent: (event) => {
      heard.push(event);
      if (event.type === 'lost') same<typeof event.reason, RmuxError>(true);
      if (event.type === 'authenticated') event.method.toUpperCase();
    },
    signal: new AbortController().signal,
  };
  // @ts-expect-error: no such option
  await connect('dev', { prot: 22 });
  // @ts-expect-error: a policy that does not exist
  await connect('dev', { hostKeyPolicy: 'yes' });
  // @ts-expect-error: an answer is yes or no
  await connect('dev', { agentKey: () => 'yes' });
  // @ts-expect-error: sessions come from connect
  new Session();
  return connect('dev', options);
}

export async function resolving(): Promise<string[]> {
  const options: ResolveOptions = { configFile: 'config', matchExec: 'always', signal: AbortSignal.timeout(1) };
  const resolved: Resolved = await resolve('dev', options);
  same<typeof resolved.hostname, string>(true);
  same<typeof resolved.compression, string | string[] | undefined>(true);
  // @ts-expect-error: resolving asks nobody
  await resolve('dev', { password: 'x' });
  // @ts-expect-error: a policy that does not exist
  await resolve('dev', { matchExec: true });
  // @ts-expect-error: a setting may be missing
  resolved.sendenv.length;
  return resolved.identityfile ?? [];
}

export async function pooling(): Promise<Session> {
  const options: PoolOptions = { user: 'me', linger: Infinity, passphrase: ({ path }) => path };
  // @ts-expect-error: the signal is the session's
  new Pool({ signal: new AbortController().signal });
  // @ts-expect-error: a time in milliseconds
  new Pool({ linger: '60 s' });
  await using pool = new Pool(options);
  await using session = await pool.session('dev', { signal: AbortSignal.timeout(1) });
  session.release();
  // @ts-expect-error: settings are the pool's
  await pool.session('dev', { user: 'me' });
  // @ts-expect-error: a session alone does not linger
  await connect('dev', { linger: 1 });
  const all: Session[] = pool.sessions();
  const figures: PoolStats = pool.stats();
  same<(typeof figures.sessions)[0], SessionStats>(true);
  const cut: CutOff[] = await pool.shutdown(1000);
  // @ts-expect-error: how long it may take is for the program to say
  await session.shutdown();
  new Pool({ maxConnections: cut.length, maxConnectionsPerHost: Infinity, acquireTimeout: 1 });
  await pool.close();
  return all[0] ?? new Pool().session('dev');
}

export async function running(session: Session): Promise<void> {
  const text = await session.run('true');
  same<typeof text.stdout, string>(true);
  const latin = await session.run(['printf', 'x'], { encoding: 'latin1', input: new Uint8Array(3) });
  same<typeof latin.stdout, string>(true);
  const bytes = await session.run('true', { encoding: 'buffer', check: true, timeout: 5, cwd: '/', env: { A: 'b' } });
  same<typeof bytes.stdout, Buffer>(true);
  same<typeof bytes.exitCode, number | null>(true);
  await session.run({ subsystem: 'netconf' }, { input: '<hello/>' });
  // @ts-expect-error: a subsystem has a name
  await session.run({ subsystem: true });
  // @ts-expect-error: numbers are no words
  await session.run(['sleep', 1]);
  const end: CloseReason = await session.closed;
  if (end.reason === 'lost') end.error.code satisfies string;
  session.ref().unref();
  await session.close();
}

export async function spawning(session: Session): Promise<void> {
  const child = await session.spawn(['cat']);
  child.stdin.end('x');
  child.stdout.pipe(process.stdout);
  child.duplex().pipe(process.stdout);
  child.on('exit', (code, signal) => same<[typeof code, typeof signal], [number | null, string | null]>(true));
  const quiet: Child = await session.spawn('top', { stdin: 'ignore', pty: { columns: 100, modes: { 53: 0 }, optional: true } });
  const terminal: boolean = quiet.hasPty;
  void terminal;
  // @ts-expect-error: it may be null
  quiet.stdin.end();
  for await (const line of quiet) line.trim();
  quiet.resize(1, 2);
  const running: boolean = quiet.kill('SIGTERM');
  void running;
  const stopped = await quiet.stop({ grace: 100 });
  same<[typeof stopped.confirmed, typeof stopped.exitCode], [boolean, number | null]>(true);
  // @ts-expect-error: it is called grace
  await quiet.stop({ killGrace: 100 });
  await using owned = await session.spawn('sleep 1');
  const { exitCode } = await owned.wait();
  void exitCode;
}

export async function filing(session: Session): Promise<void> {
  const files: Files = session.files;
  const bytes = await files.readFile('a');
  same<typeof bytes, Buffer>(true);
  const text = await files.readFile(Buffer.from('a'), { encoding: 'utf8', start: 1, end: 2 });
  same<typeof text, string>(true);
  same<Awaited<ReturnType<typeof latin>>, string>(true);
  const seen: Stats = await files.stat('a', { signal: AbortSignal.timeout(1) });
  await files.writeFile('a', new Uint8Array(1), { flag: 'wx', mode: '600', ifUnchanged: seen, ifSha256: 'ab' });
  await files.writeFile('a', 'b', { ifUnchanged: { size: 1, mtimeMs: 2 } });
  await files.replaceText('a', 'b', Buffer.from('c'));
  const names = await files.readdir('a');
  same<typeof names, string[]>(true);
  const odd = await files.readdir('a', 'buffer');
  same<typeof odd, Buffer[]>(true);
  const entries = await files.readdir('a', { withFileTypes: true });
  same<typeof entries, Dirent[]>(true);
  const oddEntries = await files.readdir('a', { withFileTypes: true, encoding: 'buffer' });
  same<typeof oddEntries, Dirent<Buffer>[]>(true);
  for await (const entry of await files.opendir('a')) same<typeof entry.name, string>(true);
  for await (const found of files.glob('a', '**/*.c')) same<typeof found, string>(true);
  await using handle: FileHandle = await files.open('a', 'r+', null, { signal: new AbortController().signal });
  const { bytesRead, buffer } = await handle.read(new Uint16Array(2), 0, 4, null);
  same<typeof bytesRead, number>(true);
  buffer.fill(0);
  const own = await handle.read();
  same<typeof own.buffer, Buffer>(true);
  const written = await handle.write('x', 0, 'hex');
  same<typeof written.buffer, string>(true);
  files.createReadStream('a', { start: 1, end: 3, onProgress: (bytes) => bytes.toFixed() }).pipe(files.createWriteStream('b', { flags: 'a' })).bytesWritten;
  const room = await files.statfs('/');
  same<typeof room.bavail, number>(true);
  same<Awaited<ReturnType<typeof real>>, Buffer>(true);
  // @ts-expect-error: a number is no path
  await files.stat(1);
  // @ts-expect-error: no such flags
  await files.open('a', 'rw');
  // @ts-expect-error: a stream for writing
  files.createWriteStream('a', { flags: 'r' });
  // @ts-expect-error: fs has more, which SFTP does not know
  seen.ino;

  const report = await session.put('a', Buffer.from('b'), {
    recursive: true,
    exclude: ['*.o'],
    onProgress: ({ bytes, remaining }) => bytes / (remaining ?? 1),
    onEvent: (event) => event.type === 'failed' && event.error.code === 'NOT_FOUND',
  });
  same<typeof report, TransferReport>(true);
  await session.send('a', session, 'b', { signal: AbortSignal.timeout(5) });
  await using dropped = await session.drop(['a', Buffer.from('b')]);
  same<typeof dropped.paths, string[]>(true);
  const asBytes = await session.drop(['a'], { encoding: 'buffer' });
  same<typeof asBytes.folder, Buffer>(true);
  // @ts-expect-error: no such choice
  await session.get('a', 'b', { update: 'never' });

  function latin(): Promise<string> {
    return files.readFile('a', 'latin1');
  }
  function real(): Promise<Buffer> {
    return files.realpath('~', { encoding: 'buffer' });
  }
}

export function failing(error: unknown): string | undefined {
  if (error instanceof AbortError) return error.code;
  if (error instanceof RmuxError && error.code === 'HOST_KEY_UNKNOWN') return error.host;
  if (error instanceof RmuxError && error.code === 'NOT_FOUND') return String(error.path ?? error.dest);
  // @ts-expect-error: no such code
  if (error instanceof RmuxError && error.code === 'OOPS') return error.operation;
  return undefined;
}
