// Uses the public types as programs do; compiled, never run. A line that must not compile says so.
import {
  AbortError,
  Child,
  type CloseReason,
  type ConnectOptions,
  type CutOff,
  Pool,
  type PoolOptions,
  type PoolStats,
  type Resolved,
  type ResolveOptions,
  RmuxError,
  Session,
  type SessionEvent,
  type SessionStats,
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
  await using owned = await session.spawn('sleep 1');
  const { exitCode } = await owned.wait();
  void exitCode;
}

export function failing(error: unknown): string | undefined {
  if (error instanceof AbortError) return error.code;
  if (error instanceof RmuxError && error.code === 'HOST_KEY_UNKNOWN') return error.host;
  // @ts-expect-error: no such code
  if (error instanceof RmuxError && error.code === 'OOPS') return error.operation;
  return undefined;
}
