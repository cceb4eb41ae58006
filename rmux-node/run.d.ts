// How a command is run to its end, and what comes of it.

/** How to run a command. */
export interface RunOptions {
  /** Environment variables, added to the remote account's. */
  env?: Readonly<Record<string, string | undefined>>;
  /** The remote directory to run it in; a relative one begins at the account's home. */
  cwd?: string;
  /** What it reads on standard input. Default: nothing. */
  input?: string | NodeJS.ArrayBufferView;
  /**
   * Milliseconds after which its process group is ended and `run` rejects with `TIMED_OUT`. Default and 0:
   * never. The error says whether the remote has `confirmed` that nothing of the group is left, and has
   * what the command had written.
   */
  timeout?: number;
  /**
   * `bulk` is for a command that moves much data: it gets a connection of its own where one is allowed
   * (`furtherLogins`, `maxLinks`) and worth it, so that others do not wait behind it. Default:
   * `interactive`.
   */
  lane?: 'interactive' | 'bulk';
  /** About how many bytes a command of the lane `bulk` moves. Default: unknown, which counts as very many. */
  expectedSize?: number;
  /** Ends it: its process group is ended, and then `run` rejects with an AbortError, which says the same. */
  signal?: AbortSignal;
  /**
   * Milliseconds that its process group has from SIGTERM to SIGKILL, where it is ended from here. Default:
   * 2000. Processes that left the group, as with `setsid`, are out of reach.
   */
  killGrace?: number;
  /** How many bytes of each output to keep. Default: 1 GiB. */
  maxOutput?: number;
  /**
   * What becomes of more: `error` ends the command and rejects with `LIMIT_EXCEEDED`; `truncate` keeps the
   * beginning and counts the rest; `spill` keeps the beginning and puts all into a file that only this
   * account can read. Default: `error`.
   */
  onExcess?: 'error' | 'truncate' | 'spill';
  /** How the outputs become strings; `buffer` leaves them as Buffers. Default: `utf8`. */
  encoding?: BufferEncoding | 'buffer';
  /** Whether an exit code other than 0 rejects, with `NON_ZERO_EXIT`. Default: false. */
  check?: boolean;
  /**
   * Whether only the command is sent and all that comes is output, start-up noise too, as with `ssh`: for
   * servers without a shell. Killing it is then a request that may be ignored. Default: false.
   */
  verbatim?: boolean;
}

/** What a command wrote and how it ended. */
export interface RunResult<Data = string> {
  stdout: Data;
  stderr: Data;
  /** Null where a signal ended it. */
  exitCode: number | null;
  /** For example `SIGTERM`; null where it exited. */
  signal: string | null;
  /** How many bytes were dropped, where some were. */
  stdoutDropped?: number;
  stderrDropped?: number;
  /** The file with all of the output, where it was too much; the caller's to remove. */
  stdoutFile?: string;
  stderrFile?: string;
}
