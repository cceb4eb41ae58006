// How a command is run on many hosts, and what comes of it.

import type { RmuxError } from './index.js';
import type { RunResult } from './run.js';

/** How to run a command on many hosts. */
export interface RunManyOptions {
  /** Environment variables, added to the remote account's. */
  env?: Record<string, string | undefined>;
  /** Working directory on the remote. */
  cwd?: string;
  /** What each command reads. Default: nothing. */
  input?: string | Uint8Array;
  /** `buffer`, or how bytes become text. Default: `utf8`. */
  encoding?: BufferEncoding | 'buffer';
  /** These are as for `Session.run`, for each host. An error has what its command had written. */
  killGrace?: number;
  maxOutput?: number;
  onExcess?: 'error' | 'truncate' | 'spill';
  verbatim?: boolean;
  /** How many hosts are at work at a time. Default: 32. */
  limit?: number;
  /** Whether results come in the order of the hosts. Default: true. */
  ordered?: boolean;
  /** Whether the first host that fails ends all. Default: false. */
  failFast?: boolean;
  /**
   * Milliseconds that each host may take, connecting included; then its command is killed, and it is told
   * as `TIMED_OUT`. The time that callbacks take is not counted. 0 is no limit, which is the default.
   */
  timeout?: number;
  /** Milliseconds that all may take together, likewise. */
  deadline?: number;
  /** Ends all: the iterator then throws an `AbortError`. */
  signal?: AbortSignal;
}

/** What came of one host: `result` or `error`. */
export type HostResult<Data = string> = {
  /** Which of the hosts it is, counted from 0. */
  index: number;
  /** The host as it was named. */
  host: string;
} & ({ result: RunResult<Data>; error?: undefined } | { result?: undefined; error: RmuxError });

/** What `Pool.runMany` gives, once. Leaving a `for await` loop ends all, as does `return`. */
export interface HostResults<Data = string> extends AsyncIterableIterator<HostResult<Data>> {
  next(): Promise<IteratorResult<HostResult<Data>, undefined>>;
  /** Ends all, and waits until nothing runs any more that the hosts can still be told of. */
  return(value?: undefined): Promise<IteratorResult<HostResult<Data>, undefined>>;
  [Symbol.asyncIterator](): HostResults<Data>;
  /** As `return`, for `await using`. There where Node knows the symbol (18.18, 20.4 or newer). */
  [Symbol.asyncDispose](): Promise<void>;
}
