// long: all that the package promises, in one place for people and editors.
// The public types of rmux. test/typing.mts and test/modules.test.mjs hold them against the code.

import { EventEmitter } from 'node:events';
import { Duplex, Readable, Writable } from 'node:stream';

import type { ContextOptions, ShellContext } from './contexts.js';
import type { Files, NameOptions, RemotePath } from './files.js';
import type {
  Connection,
  Endpoint,
  Forward,
  ForwardOptions,
  ForwardStats,
  RemoteListener,
} from './forwards.js';
import type { HostResult, HostResults, RunManyOptions } from './hosts.js';
import type { PtyOptions } from './pty.js';
import type { RunOptions, RunResult } from './run.js';
import type { Capabilities, CutOff, PoolStats, SessionStats } from './stats.js';
import type { Dropped, TransferOptions, TransferReport } from './transfers.js';

export * from './contexts.js';
export * from './files.js';
export * from './forwards.js';
export * from './transfers.js';
export type {
  Capabilities,
  CutOff,
  HostResult,
  HostResults,
  PoolStats,
  PtyOptions,
  RunManyOptions,
  RunOptions,
  RunResult,
  SessionStats,
};

/**
 * Connects to a host over SSH once; everything else goes over that connection.
 *
 * The user's `ssh_config`, `known_hosts` and agent are read as `ssh` reads them; `options` wins over
 * the files.
 *
 * @param host `host`, `user@host` or `ssh://user@host:port`, where `host` may be an alias of the
 *   user's `ssh_config`.
 * @throws {RmuxError} `CONFIG_INVALID`, `CONNECT_FAILED`, `TIMED_OUT`, `AUTH_FAILED`,
 *   `HOST_KEY_UNKNOWN`, `HOST_KEY_CHANGED`, `HOST_KEY_REVOKED`, or `CANCELLED` where a callback
 *   threw (its error is the `cause`).
 * @throws {AbortError} where `options.signal` was aborted; the connection is closed then.
 */
export function connect(host: string, options?: ConnectOptions): Promise<Session>;

/**
 * All settings that hold for a host, as `ssh -G` prints them; connects nowhere. The lists of
 * algorithms are those of rmux's own SSH engine, and differ from OpenSSH's.
 *
 * @param host as for `connect`.
 * @throws {RmuxError} `CONFIG_INVALID` for a configuration that `ssh` refuses, with the file and
 *   line in its message.
 * @throws {AbortError} where `options.signal` was aborted. A program of `Match exec` that runs
 *   meanwhile is left to end.
 */
export function resolve(host: string, options?: ResolveOptions): Promise<Resolved>;

/**
 * The settings of a host by the keys of `ssh -G` in lower case. A key is there if `ssh -G` prints
 * it. One that may repeat has an array, whatever its length. Bytes that are not UTF-8 are replaced
 * by U+FFFD.
 */
export interface Resolved {
  host: string;
  user: string;
  hostname: string;
  port: string;
  certificatefile?: string[];
  dynamicforward?: string[];
  identityfile?: string[];
  localforward?: string[];
  remoteforward?: string[];
  sendenv?: string[];
  setenv?: string[];
  /** All others have one value. */
  [key: string]: string | string[] | undefined;
}

/** What decides what a host resolves to. An unknown option is a TypeError. */
export interface ResolveOptions {
  /** The account, as `ssh -l`. One in the destination wins. */
  user?: string;
  /** The port, as `ssh -p`. One in the destination wins. */
  port?: number;
  /** Private key files to try, as `ssh -i`. */
  identityFiles?: readonly string[];
  /** The only `ssh_config` to read, as `ssh -F`; false for none. Default: the user's and the system's. */
  configFile?: string | false;
  /** Settings that win over every file, each as `ssh -o Key=value`. */
  options?: Readonly<Record<string, string | readonly string[]>>;
  /**
   * Whether `Match exec` may run its programs: `own-files` lets the user's own and the system's
   * files do it, and not one that `configFile` names. A configuration that needs a program that may
   * not run is an error. Default: `own-files`.
   */
  matchExec?: 'own-files' | 'always' | 'never';
  /** Stops the call. It has no effect on what came of it. */
  signal?: AbortSignal;
}

/** How to connect. Times are in milliseconds. An unknown option is a TypeError. */
export interface ConnectOptions extends ResolveOptions, ConnectionOptions {}

/**
 * How the sessions of a pool connect. Times are in milliseconds. An unknown option is a TypeError. What
 * names a user, a port, an identity or another setting holds for every destination, but not for hosts
 * on the way, as with `ssh`.
 */
export interface PoolOptions extends Omit<ResolveOptions, 'signal'>, ConnectionOptions {
  /** How long a session stays that nobody uses; `Infinity` is for as long as the pool. Default: 0. */
  linger?: number;
  /**
   * How many connections there may be at a time, those to hosts on the way among them; 1 at least. Who asks
   * for more waits in the order of asking, and unused sessions that linger are ended to make room. A way
   * that takes more rejects with `LIMIT_EXCEEDED`. Default: `Infinity`.
   */
  maxConnections?: number;
  /** The same for the connections to one server. Default: `Infinity`. */
  maxConnectionsPerHost?: number;
  /** How long to wait for room, before `TIMED_OUT`. Default: `Infinity`. */
  acquireTimeout?: number;
}

/** What `connect` and a pool have in common. */
export interface ConnectionOptions {
  /** The account's password, or who knows it. Asked only where the server wants one. */
  password?: string | ((prompt: PasswordPrompt, context: PromptContext) => Awaitable<string | null | undefined>);
  /** The passphrase of an encrypted key file; null or undefined skips the key. */
  passphrase?: (
    prompt: PassphrasePrompt,
    context: PromptContext,
  ) => Awaitable<string | null | undefined>;
  /** One answer for each prompt, in order; null or undefined gives up on the method. */
  keyboardInteractive?: (
    prompt: KeyboardInteractivePrompt,
    context: PromptContext,
  ) => Awaitable<readonly string[] | null | undefined>;
  /**
   * What to do about a host key that is not in `known_hosts`: refuse it, accept and remember it, or
   * ask; it is accepted only on true. A key that differs from the known one is always refused.
   * Default: what `StrictHostKeyChecking` says, else `strict`.
   */
  hostKeyPolicy?:
    | 'strict'
    | 'accept-new'
    | ((prompt: HostKeyPrompt, context: PromptContext) => Awaitable<boolean>);
  /**
   * Whether to give a key that was read from a file and let the user in to the agent; it is given only
   * on true. Asked only where `AddKeysToAgent` is `ask`. Default: no.
   */
  agentKey?: (prompt: AgentKeyPrompt, context: PromptContext) => Awaitable<boolean>;
  /**
   * Whether to write down that a trusted server's host keys have changed; they are written only on
   * true. Asked only where `UpdateHostKeys` is `ask`, and while the session goes on: nothing waits for
   * the answer, and what this throws is the process's uncaught exception. Default: no.
   */
  hostKeys?: (prompt: HostKeysPrompt, context: PromptContext) => Awaitable<boolean>;
  /**
   * Accepts any host key, changed and revoked ones too, and remembers none: whoever answers is
   * trusted with everything sent. For throw-away hosts only.
   */
  dangerAcceptAnyHostKey?: boolean;
  /**
   * How many connections one session may have at a time. More than one are made only where the server
   * grants no further command, or for the lane `bulk`. Default: 4.
   */
  maxLinks?: number;
  /**
   * Whether a session may log in once more: only where the first login is known to have asked nobody
   * (`silent`), `never`, or where it asked, too (`allowed`). Such a login asks nothing, and one that
   * fails fails no command. Default: `silent`.
   */
  furtherLogins?: 'silent' | 'never' | 'allowed';
  /** How long connecting may take, not counting open questions. Default: `ConnectTimeout`, else 15,000. */
  connectTimeout?: number;
  /**
   * How long the server may take to answer the request for a channel, or to run something on it; then
   * the call fails with `TIMED_OUT`, and the session goes on. A slow network does not count. 0 waits for
   * ever. Default: 60,000.
   */
  answerTimeout?: number;
  /**
   * Asks for a sign of life after `interval` of silence, and gives the connection up after `count`
   * unanswered ones (default 2); false turns it off. Default: `ServerAliveInterval` and
   * `ServerAliveCountMax`, else 20,000 and 2.
   */
  keepalive?: { interval: number; count?: number } | false;
  /** Environment variables for every command; those of one command win. */
  env?: Readonly<Record<string, string | undefined>>;
  /** Hears of every step in the life of the session, or of each of the pool's, from the first on. */
  onEvent?: (event: SessionEvent) => void;
}

type Awaitable<T> = T | PromiseLike<T>;

/** What a callback gets besides its prompt. */
export interface PromptContext {
  /**
   * Aborted when nobody waits for the answer any more: all who wanted the session have aborted, the
   * server has gone, or the session that `hostKeys` is about has ended. Give it to what asks the person, such as `question` of `node:readline/promises`.
   */
  signal: AbortSignal;
}

/** A host key nobody has vouched for yet. */
export interface HostKeyPrompt {
  /** The host as the caller named it. */
  host: string;
  /** The name in `known_hosts`, for example `[127.0.0.1]:2222`. */
  knownAs: string;
  /** For example `ssh-ed25519`. */
  algorithm: string;
  /** As OpenSSH prints it: `SHA256:` and unpadded base64. */
  fingerprint: string;
}

/** A private key file that is encrypted. */
export interface PassphrasePrompt {
  /** The host as the caller named it. */
  host: string;
  path: string;
  /** 1 for the first question about this file, 2 after a wrong answer, and so on. */
  attempt: number;
}

/** The server asks for the account's password. */
export interface PasswordPrompt {
  /** The host as the caller named it. */
  host: string;
  user: string;
  /** 1 for the first question, 2 after a wrong answer, and so on. */
  attempt: number;
}

/** One round of keyboard-interactive authentication (RFC 4256). */
export interface KeyboardInteractivePrompt {
  /** The host as the caller named it. */
  host: string;
  user: string;
  /** The server's title; often empty. */
  name: string;
  /** The server's instructions; often empty. */
  instructions: string;
  /** What to answer; may be empty. `echo`: whether what is typed may be shown. */
  prompts: { text: string; echo: boolean }[];
}

/** A private key let the user in, and the agent could keep it. */
export interface AgentKeyPrompt {
  /** The host as the caller named it. */
  host: string;
  /** The key file. */
  path: string;
  /** The key's comment, or the file's name where it has none. */
  comment: string;
  /** As OpenSSH prints it: `SHA256:` and unpadded base64. */
  fingerprint: string;
}

/** A trusted server has other host keys than `known_hosts` says, and has proved that they are its own. */
export interface HostKeysPrompt {
  /** The host as the caller named it. */
  host: string;
  /** The name in `known_hosts`, for example `[127.0.0.1]:2222`. */
  knownAs: string;
  /** The keys that would be added. */
  learned: KeyFingerprint[];
  /** The keys that would be removed: the server has them no more. */
  outdated: KeyFingerprint[];
}

/** A key, as a question shows it. */
export interface KeyFingerprint {
  /** For example `ssh-ed25519`. */
  algorithm: string;
  /** As OpenSSH prints it: `SHA256:` and unpadded base64. */
  fingerprint: string;
}

/** A step in a session's life. The address is as `127.0.0.1:22`. A banner is the server's text as it is: not safe for a terminal. */
export type SessionEvent =
  | { type: 'connecting'; host: Host }
  | { type: 'connected'; address: string }
  | { type: 'banner'; text: string }
  | { type: 'authenticated'; user: string; method: string }
  | { type: 'ready' }
  | { type: 'lost'; reason: RmuxError }
  | { type: 'closed' };

/**
 * How a session ended: closed from here, or the connection was lost. `released` is the end of a handle
 * from a pool that was given back: others may go on.
 */
export type CloseReason =
  | { reason: 'closed' }
  | { reason: 'released' }
  | { reason: 'lost'; error: RmuxError };

/** What a destination resolved to. */
export interface Host {
  /** The host as the caller named it. */
  readonly name: string;
  /** The name or address that was connected to. */
  readonly hostname: string;
  readonly user: string;
  readonly port: number;
}

/**
 * A command: a string is a line for the remote account's own shell, an array is a program and its
 * arguments, which reach it word for word whatever that shell is. A subsystem is a program that the
 * server knows by a name, such as `sftp`.
 */
export type Command = string | readonly string[] | { readonly subsystem: string };

/**
 * The sessions of a program, one a host, shared by all who ask for it.
 *
 * Two destinations share a session when their settings are the same in everything but the name that was
 * given; hosts on the way (`ProxyJump`) are shared likewise. Who asks while a session is being connected
 * waits for that one: one connect, one question and one failure serve all.
 *
 * A session is in use while somebody has a `Session` of it that was not given back, or a command runs on
 * it. After the last use it stays for `linger`, and no longer than the pool. One that was lost or closed
 * is connected anew by the next who asks.
 *
 * A pool belongs to the thread that made it, and so do its callbacks. It does not keep the process alive.
 */
export class Pool {
  /**
   * @throws {RmuxError} `CONFIG_INVALID`.
   */
  constructor(options?: PoolOptions);

  /**
   * The session of a host; connects where there is none. Each call gives an object of its own, to be given
   * back: by `await using`, by `release`, or by letting go of it.
   *
   * @param host as for `connect`.
   * @throws {RmuxError} as `connect`.
   * @throws {AbortError} where `options.signal` was aborted: others who wait for the session still get it,
   *   and when nobody waits any more, the connection is given up.
   */
  session(host: string, options?: { signal?: AbortSignal }): Promise<Session>;

  /**
   * Runs a command on many hosts, `options.limit` of them at a time, and tells what came of each: in the
   * order of `hosts`, or as they come where `options.ordered` is false. A host may be named several times.
   *
   * A host fails if it cannot be reached, if its command cannot be run, or if that ends with another exit
   * code than 0. With `options.failFast` the first one that fails ends all, and the others are told as
   * `CANCELLED`. The command begins with the first result that is waited for; as many hosts as the limit
   * are at work or wait for their result to be taken. Leaving the loop, and an aborted `options.signal`,
   * end all: what runs is killed, and what was not begun is not.
   *
   * @throws {RmuxError} `INVALID_INPUT`.
   */
  runMany(
    hosts: string[],
    command: Command,
    options: RunManyOptions & { encoding: 'buffer' },
  ): HostResults<Buffer>;
  runMany(
    hosts: string[],
    command: Command,
    options?: RunManyOptions & { encoding?: BufferEncoding },
  ): HostResults<string>;
  runMany(hosts: string[], command: Command, options?: RunManyOptions): HostResults<string | Buffer>;

  /**
   * The sessions that are connected now, those of hosts on the way among them, in no order: objects to be
   * given back, like those of `session`.
   */
  sessions(): Session[];

  /** Closes all sessions that are connected now, whoever uses them. The pool can be used again. */
  close(): Promise<void>;
  /**
   * Ends the pool: from now on it gives no session, and its sessions take no new work; both reject with
   * `CLOSED`. What runs may finish, for `timeout` milliseconds; then all is closed. Resolves with what had
   * to be cut off.
   */
  shutdown(timeout: number): Promise<CutOff[]>;
  /** What the pool does at the moment and has done so far. */
  stats(): PoolStats;
  /** As `close`, for `await using`. There where Node knows the symbol (18.18, 20.4 or newer). */
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * One host, connected to once, for any number of commands at a time.
 *
 * An open session does not keep the process alive unless `ref` was called; a command that runs
 * does. Once the connection is lost, every operation rejects with that reason, at once and for
 * good. It is closed by `close`, and when nothing holds the session and its children any more; one from
 * a pool only if nobody else uses the connection then, and it does not linger.
 */
export class Session {
  private constructor();
  /** What the destination resolved to. */
  readonly host: Host;
  /** Whether nothing can be run by it any more: it was closed, lost, or given back. */
  readonly isClosed: boolean;
  /**
   * Resolves when the session has ended or, if it is from a pool, was given back; never rejects. Does not
   * keep the process alive.
   */
  readonly closed: Promise<CloseReason>;
  /** The files of the host. */
  readonly files: Files;

  /**
   * Puts a file of this machine, or with `recursive` a directory with all that is in it, at a path of the
   * host. A file gets its name in one step, when it is whole; a directory that is there already is added to.
   * What fails with single files of a tree is in the report, and the rest goes on.
   *
   * @throws {RmuxError} what ended the whole: `NOT_FOUND` and the like of the source itself,
   *   `IS_A_DIRECTORY` for a directory without `recursive`, `INVALID_INPUT`, and those of the session.
   * @throws {AbortError} where `options.signal` was aborted.
   */
  put(local: string | Uint8Array, remote: RemotePath, options?: TransferOptions): Promise<TransferReport>;
  /**
   * Gets a file or directory of the host to a path of this machine, as `put` does the other way. Whatever
   * names the server sends, nothing is written outside of that path.
   */
  get(remote: RemotePath, local: string | Uint8Array, options?: TransferOptions): Promise<TransferReport>;
  /** Brings a file or directory of the host to a path of another session's, without a file of this machine. */
  send(remote: RemotePath, to: Session, target: RemotePath, options?: TransferOptions): Promise<TransferReport>;
  /**
   * Puts files of this machine into a new private folder of the host, all or none, as terminals do with files
   * that are dropped on them. Their names are those of the files as far as they can be typed and shown; no two
   * are alike, and none begins with a dash. Aborting it removes what was put there.
   */
  drop(paths: readonly (string | Uint8Array)[], options: NameOptions & { encoding: 'buffer' }): Promise<Dropped<Buffer>>;
  drop(paths: readonly (string | Uint8Array)[], options?: NameOptions & { encoding?: BufferEncoding }): Promise<Dropped>;

  /**
   * Runs a command to its end and collects what it writes. An exit code other than 0 is no error
   * unless `check` is set.
   *
   * @throws {RmuxError} `TIMED_OUT`, `DISCONNECTED`, `CLOSED`, `CHANNEL_REFUSED`, `INVALID_INPUT`,
   *   `OUTCOME_UNKNOWN`, or `NON_ZERO_EXIT`, which has the result's fields too.
   * @throws {AbortError} where `options.signal` was aborted; the command's process group has been
   *   ended by then.
   */
  run(command: Command, options: RunOptions & { encoding: 'buffer' }): Promise<RunResult<Buffer>>;
  run(
    command: Command,
    options?: RunOptions & { encoding?: BufferEncoding },
  ): Promise<RunResult<string>>;
  run(command: Command, options?: RunOptions): Promise<RunResult<string | Buffer>>;

  /**
   * Starts a command. That it does not exist is no error: the remote shell reports it by exit code
   * 127.
   *
   * @throws {RmuxError} as `run`, where it could not be started.
   */
  spawn(command: Command, options: SpawnOptions & PipedStreams): Promise<PipedChild>;
  spawn(command: Command, options?: Omit<SpawnOptions, 'stdin' | 'stdout' | 'stderr'>): Promise<PipedChild>;
  spawn(command: Command, options: SpawnOptions): Promise<Child>;

  /**
   * What a shell would keep from one command to the next. It begins as any command does, but for what
   * `options` say.
   *
   * @throws {RmuxError} `CLOSED`, where this handle was given back.
   */
  context(options?: ContextOptions): ShellContext;

  /**
   * Closes the connection, for all who share it, and cuts off what still runs. Closing a closed session
   * does nothing.
   */
  close(): Promise<void>;
  /**
   * Refuses new work with `CLOSED` from now on, waits for what runs, but not longer than `timeout`
   * milliseconds, and closes the connection then. Resolves with what was cut off.
   */
  shutdown(timeout: number): Promise<CutOff[]>;
  /**
   * What the host can do. By what files are reached is found out at the first use of them or here, and
   * stays for as long as the session.
   *
   * @throws {RmuxError} `CLOSED`, where this handle was given back; `DISCONNECTED`.
   */
  capabilities(): Promise<Capabilities>;
  /**
   * What the session does at the moment and has done so far.
   *
   * @throws {RmuxError} `CLOSED`, where this handle was given back.
   */
  stats(): SessionStats;
  /**
   * Gives the session back: nothing new can be run by this object, and commands that were started run on.
   * When nobody else uses the connection, its pool keeps it for `linger`; then, or without a pool at once,
   * it is closed. Does not wait. Giving back twice does nothing.
   */
  release(): void;
  /**
   * The end of `await using`: gives a session from a pool back, and closes one from `connect`. There where
   * Node knows the symbol (18.18, 20.4 or newer).
   */
  [Symbol.asyncDispose](): Promise<void>;

  /**
   * Connects from the host to a port: of the host itself, or of another that it reaches. The name is
   * resolved there. Such connections do not count among the commands that a server allows at a time.
   *
   * @throws {RmuxError} `CHANNEL_REFUSED` where the host cannot, in the words of the server.
   */
  connectTcp(host: string, port: number, options?: { signal?: AbortSignal }): Promise<Connection>;
  /** Connects to a unix socket of the host. */
  connectUnix(path: string, options?: { signal?: AbortSignal }): Promise<Connection>;
  /** Connects from the host to a port or a unix socket. */
  connect(to: Endpoint, options?: { signal?: AbortSignal }): Promise<Connection>;
  /**
   * Has the host listen on a port or a unix socket, and takes the connections that come in there.
   * Default: a port that the server chooses, on its loopback addresses.
   *
   * @throws {RmuxError} `CHANNEL_REFUSED` where the server refuses; it does not tell why.
   */
  listen(at?: Endpoint, options?: { signal?: AbortSignal }): Promise<RemoteListener>;
  /**
   * Listens on this machine, and connects from the host to the target for each connection that comes
   * in.
   *
   * @throws {RmuxError} `ALREADY_EXISTS` where the port or socket is taken.
   */
  forwardLocal(options: ForwardOptions & { target: Endpoint }): Promise<Forward>;
  /**
   * Has the host listen, and connects from this machine to the target for each connection that comes in
   * there; without a target to wherever SOCKS clients ask for.
   *
   * @throws {RmuxError} `CHANNEL_REFUSED` where the server refuses; it does not tell why.
   */
  forwardRemote(options?: ForwardOptions & { target?: Endpoint }): Promise<Forward>;
  /** Listens on this machine as a SOCKS proxy (4, 4a and 5) whose connections the host makes. */
  forwardDynamic(options?: ForwardOptions): Promise<Forward>;
  /** The forwards of the session that listen or have connections open, whoever made them. */
  forwards(): ForwardStats[];

  /** Keeps the process alive until the session ends or `unref` is called. */
  ref(): this;
  /** Lets the process end while the session is idle, as from the start. */
  unref(): this;
}

/** Where a stream goes: to the child's Node stream, nowhere, or to that of this process. */
export type Stdio = 'pipe' | 'ignore' | 'inherit';

/** How to start a command. */
export interface SpawnOptions {
  /** Environment variables, added to the remote account's. */
  env?: Readonly<Record<string, string | undefined>>;
  /** The remote directory to run it in; a relative one begins at the account's home. */
  cwd?: string;
  /** Runs it in a terminal, where standard error is part of standard output. */
  pty?: boolean | PtyOptions;
  /** Default: `pipe`. */
  stdin?: Stdio;
  /** Default: `pipe`. */
  stdout?: Stdio;
  /** Default: `pipe`. */
  stderr?: Stdio;
  /**
   * Whether rmux learns the command's process group, so that killing works on servers that ignore
   * signals, as OpenSSH does for root before 9.8. With a terminal it never does. Default: true.
   */
  killOnDrop?: boolean;
  /** Milliseconds from SIGTERM to SIGKILL, where the command is let go of, and of `stop`. Default: 2000. */
  killGrace?: number;
  /**
   * `bulk` is for a command that moves much data: it gets a connection of its own where one is allowed
   * (`furtherLogins`, `maxLinks`) and worth it, so that others do not wait behind it. Default:
   * `interactive`.
   */
  lane?: 'interactive' | 'bulk';
  /** About how many bytes a command of the lane `bulk` moves. Default: unknown, which counts as very many. */
  expectedSize?: number;
  /** Kills the command; `exited` then rejects with an AbortError. */
  signal?: AbortSignal;
  /** As for `run`. */
  verbatim?: boolean;
}

export type PipedStreams = { stdin?: 'pipe'; stdout?: 'pipe'; stderr?: 'pipe' };

/** How a command ended. */
export interface Exit {
  /** Null where a signal ended it. */
  exitCode: number | null;
  /** For example `SIGTERM`; null where it exited. */
  signal: string | null;
}

/** How a command ended that was stopped. */
export interface Stopped extends Exit {
  /** Whether the remote has confirmed that nothing of its process group is left. */
  confirmed: boolean;
}

/**
 * A running remote command.
 *
 * Differences from `ChildProcess`: it has started when it is there; what is not read is kept, in
 * bounds (8 MiB in memory, 1 GiB in a file; beyond that reading fails with `LIMIT_EXCEEDED`), and never
 * holds up the command; there is no `error` event, `exited` rejects instead.
 * While it runs, it keeps the process alive.
 *
 * Events: `exit(exitCode, signal)` when its end is known; `close(exitCode, signal)` when besides the
 * outputs that were begun to be read are read to their ends, or destroyed. `close` comes also when
 * how it ended cannot be known, with two nulls.
 */
export class Child extends EventEmitter {
  private constructor();
  /** Null unless piped. */
  readonly stdin: Writable | null;
  /** Null unless piped. */
  readonly stdout: Readable | null;
  /** Null unless piped. Empty with a terminal. */
  readonly stderr: Readable | null;
  /** Whether it has the terminal that was asked for. */
  readonly hasPty: boolean;
  /** Null while it runs, and where a signal ended it. */
  readonly exitCode: number | null;
  /** The signal that ended it, for example `SIGTERM`. */
  readonly signalCode: string | null;
  /**
   * Resolves when the command has ended. Rejects with an RmuxError (`DISCONNECTED`, `CLOSED`,
   * `OUTCOME_UNKNOWN`) where its end cannot be known, or with an AbortError.
   */
  readonly exited: Promise<Exit>;

  /** Ends standard input, so that a command that reads to the end does not wait, then as `exited`. */
  wait(): Promise<Exit>;
  /**
   * Sends a signal to the command's process group, with or without `SIG`; by default `SIGTERM`.
   * Returns whether the command was still running. Without `killOnDrop` it is a request that the
   * server may ignore.
   */
  kill(signal?: string): boolean;
  /**
   * Ends the command and waits for that: its process group gets SIGTERM, and SIGKILL if some of it is left
   * after `grace` milliseconds, which are its `killGrace` unless given. `confirmed` says whether the remote
   * has confirmed that nothing of the group is left, which it cannot without `killOnDrop` or for one with
   * a terminal. Processes that left the group, as with `setsid`, are out of reach.
   */
  stop(options?: { grace?: number }): Promise<Stopped>;
  /** Tells the command's terminal its new size, in characters. */
  resize(columns: number, rows: number): void;
  /**
   * Standard output and standard input as one stream, for what takes a connection: what is written
   * to it the command reads. As with a socket, the end of the one ends the other. To be called once;
   * throws unless both are piped.
   */
  duplex(): Duplex;
  /** The lines of standard output, as UTF-8 and without their ends. */
  [Symbol.asyncIterator](): AsyncGenerator<string, void, undefined>;
  /** Kills the command and waits for its end, for `await using`. */
  [Symbol.asyncDispose](): Promise<void>;

  on(event: 'exit' | 'close', listener: (exitCode: number | null, signal: string | null) => void): this;
  on(event: string | symbol, listener: (...args: any[]) => void): this;
  once(event: 'exit' | 'close', listener: (exitCode: number | null, signal: string | null) => void): this;
  once(event: string | symbol, listener: (...args: any[]) => void): this;
}

/** A child whose three streams are piped, as they are by default. */
export interface PipedChild extends Child {
  readonly stdin: Writable;
  readonly stdout: Readable;
  readonly stderr: Readable;
}

/** What went wrong, as far as a program would act differently. */
export type ErrorCode =
  | 'CONFIG_INVALID'
  | 'HOST_KEY_UNKNOWN'
  | 'HOST_KEY_CHANGED'
  | 'HOST_KEY_REVOKED'
  | 'AUTH_FAILED'
  | 'CONNECT_FAILED'
  | 'TIMED_OUT'
  | 'DISCONNECTED'
  | 'CHANNEL_REFUSED'
  | 'NOT_FOUND'
  | 'PERMISSION_DENIED'
  | 'ALREADY_EXISTS'
  | 'IS_A_DIRECTORY'
  | 'NOT_A_DIRECTORY'
  | 'CHANGED'
  | 'LIMIT_EXCEEDED'
  | 'PROTOCOL_VIOLATION'
  | 'UNSUPPORTED'
  | 'CLOSED'
  | 'OUTCOME_UNKNOWN'
  | 'CANCELLED'
  | 'NON_ZERO_EXIT'
  | 'INVALID_INPUT'
  | 'IO'
  /** A command's standard input takes nothing more. */
  | 'EPIPE';

/** An operation failed. The message is one clear line with the host in it. */
export class RmuxError extends Error {
  private constructor();
  /** New codes may be added. */
  readonly code: ErrorCode;
  /** The verb of what failed: `connect`, `authenticate`, `run`. */
  readonly operation: string;
  /** The host as the caller named it, where the failure was about one. */
  readonly host: string | undefined;
  /** With an operation on files: the path, as the caller gave it, and the second one where there are two. */
  readonly path?: RemotePath;
  readonly dest?: RemotePath;
  /**
   * Where a command was ended because of this failure: whether the remote has confirmed that nothing of
   * its process group is left.
   */
  readonly confirmed?: boolean;
  /** With `NON_ZERO_EXIT`: the command's result. Where it was ended: what it had written. */
  readonly stdout?: string | Buffer;
  readonly stderr?: string | Buffer;
  readonly exitCode?: number | null;
  readonly signal?: string | null;
}

/** The caller's AbortSignal ended the operation; its reason is the `cause`. */
export class AbortError extends Error {
  private constructor();
  readonly name: 'AbortError';
  readonly code: 'ABORT_ERR';
  /** Where a command was ended: whether nothing of its process group is left, and what it had written. */
  readonly confirmed?: boolean;
  readonly stdout?: string | Buffer;
  readonly stderr?: string | Buffer;
}
