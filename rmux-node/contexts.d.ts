// What a shell keeps from one command of a session to the next.

import type { Child, Command, PipedChild, PipedStreams, Session, SpawnOptions } from './index.js';
import type { RunOptions, RunResult } from './run.js';

/** How a context begins, or goes on. */
export interface ContextOptions {
  /** The directory of the next command; a relative one begins at the account's home. */
  cwd?: string;
  /** Variables to set for the next command, or with null to unset. */
  env?: Readonly<Record<string, string | null | undefined>>;
  /** Which of the host's programs runs lines: a shell that takes `-c`, such as `bash`. Default: `sh`. */
  interpreter?: string;
}

/**
 * A persistent shell context: the working directory, the exported variables and the `umask`, kept from one
 * command to the next as a shell would keep them.
 *
 * A string is a line for the host's `sh`, or the context's `interpreter`, whatever the account's shell is.
 * What it leaves is kept however it ends: by a failure, by `exit`, by `set -e` or a syntax error. An array is
 * a program that begins with the state and changes nothing of it. Other variables, functions, aliases and
 * options end with their line.
 *
 * The state stays as it was where a command was ended by a timeout, a limit, a signal, an AbortSignal or a
 * lost connection, where its child was let go of, and where the line's shell cannot tell: it was replaced by
 * `exec PROGRAM`, or calls `exit` behind a `trap ... EXIT` of its own.
 *
 * Commands run one at a time; those that are begun together, in no certain order. While a child of `spawn` runs, any
 * other command rejects with `INVALID_INPUT`; a `fork` can run it.
 *
 * Nothing of it lives on the host in between, and its values are in no list of processes. Bytes that are not
 * UTF-8 are kept, but shown here as U+FFFD. It keeps its session's connection open.
 */
export class ShellContext {
  private constructor();
  /** The directory of the next command: an absolute path once a line has run; null for the account's home. */
  readonly cwd: string | null;
  /** What the next command finds changed in its environment; null for what is unset. */
  readonly env: Record<string, string | null>;

  /**
   * Changes what the commands begin with that are started from now on. A directory that cannot be entered is
   * found out by the next command, which then does not run: it says so on standard error, and its exit
   * code is not 0.
   */
  update(options: ContextOptions): void;
  /**
   * Another context that begins with the state as it is now; from then on neither sees what the other changes.
   *
   * @param session on which to run it, such as one that was made anew after this one's was lost.
   * @throws {RmuxError} `CLOSED`, where that session was given back.
   */
  fork(session?: Session): ShellContext;

  /**
   * Runs a command in the context, as `Session.run` runs one. `cwd`, which may be relative to the context's,
   * and `env` hold for this command alone.
   *
   * @throws {RmuxError} as there; `PROTOCOL_VIOLATION` and `LIMIT_EXCEEDED` also where the command ended and
   *   the state that it left cannot be kept.
   */
  run(
    command: Command,
    options: Omit<RunOptions, 'verbatim'> & { encoding: 'buffer' },
  ): Promise<RunResult<Buffer>>;
  run(
    command: Command,
    options?: Omit<RunOptions, 'verbatim'> & { encoding?: BufferEncoding },
  ): Promise<RunResult<string>>;
  run(command: Command, options?: Omit<RunOptions, 'verbatim'>): Promise<RunResult<string | Buffer>>;

  /**
   * Starts a command in the context, as `Session.spawn` starts one, without a terminal. What it leaves is kept
   * when it has ended by itself.
   */
  spawn(
    command: Command,
    options: Omit<SpawnOptions, 'pty' | 'verbatim'> & PipedStreams,
  ): Promise<PipedChild>;
  spawn(
    command: Command,
    options?: Omit<SpawnOptions, 'pty' | 'verbatim' | 'stdin' | 'stdout' | 'stderr'>,
  ): Promise<PipedChild>;
  spawn(command: Command, options: Omit<SpawnOptions, 'pty' | 'verbatim'>): Promise<Child>;
}
