// How files and trees are transferred, and what is told of it.

import type { RmuxError } from './index.js';

/** How files are transferred. Default: one file, which replaces what is there. */
export interface TransferOptions {
  /** Takes directories, with all that is in them. Default: false. */
  recursive?: boolean;
  /** Keeps the times of reading and writing, in whole seconds: SFTP has no others. Default: false. */
  times?: boolean;
  /** Keeps the permission bits, whatever the umask; set-id bits are not taken over. Default: false. */
  modes?: boolean;
  /**
   * What becomes of symbolic links in a tree: they stay links, what they point to is taken in their place,
   * or they are skipped. Default: `keep`.
   */
  links?: 'keep' | 'follow' | 'skip';
  /** What happens where a file is there. Default: `overwrite`, in one step. */
  conflict?: 'overwrite' | 'skip' | 'error';
  /**
   * Which files that are there are replaced: all, those that are older, those of another length or time of
   * writing, or those of another length or with other contents. Default: `always`.
   */
  update?: 'always' | 'newer' | 'different' | 'contents';
  /**
   * Goes on where an earlier transfer was cut, once what is there was verified. What is not whole when the
   * transfer ends stays beside the target, as `.rmux-….part`. Default: false.
   */
  resume?: boolean;
  /** Compares the SHA-256 of both sides before a file gets its name. Default: false. */
  checksum?: boolean;
  /** Waits for each file until it is on the disk. Default: false. */
  sync?: boolean;
  /**
   * Patterns: what matches is left out, with all that is in it. One without `/` is for names, wherever they
   * are; one with `/` for the path below the source; one that ends with `/` for directories only. All else is
   * as in patterns of `Files.glob`.
   */
  exclude?: string | readonly string[];
  /** Patterns: what matches is taken, whatever `exclude` says. */
  include?: string | readonly string[];
  /** Rejects in the end with the first failure, which has the `report`. Default: false. */
  check?: boolean;
  /** How the paths of the report and of events are given. Default: `utf8`. */
  encoding?: BufferEncoding | 'buffer';
  /**
   * Ends the transfer, which rejects with an AbortError when nothing more is done: what is not whole by then
   * is not under its name.
   */
  signal?: AbortSignal;
  /** Called with how far it is, ten times a second at most. What it throws ends the transfer. */
  onProgress?: (progress: TransferProgress) => void;
  /** Called with everything that happens. What it throws ends the transfer. */
  onEvent?: (event: TransferEvent) => void;
}

/** How far a transfer is. */
export interface TransferProgress {
  /** Contents that have been dealt with, in bytes: sent, or found to be there already. */
  bytes: number;
  /** All that are known of so far. */
  totalBytes: number;
  /** Files, links included, that are done. */
  files: number;
  /** All that are known of so far. */
  totalFiles: number;
  /** Whether the whole tree has been looked through, so that the totals stay. */
  isComplete: boolean;
  /** Bytes in a second, over the last seconds. */
  rate: number;
  /** How long the rest takes at that rate, in milliseconds; null where it cannot be known. */
  remaining: number | null;
}

/** Something that was not taken, where that was no failure. */
export interface TransferSkipped {
  /** Of the source. */
  path: string | Buffer;
  reason: 'special' | 'link' | 'directory' | 'exists' | 'up-to-date';
  /** The reason as a text. */
  message: string;
}

/** Something that could not be transferred. */
export interface TransferFailure {
  /** Of the source. */
  path: string | Buffer;
  error: RmuxError;
}

/** What happens in a transfer. */
export type TransferEvent =
  | ({ type: 'progress' } & TransferProgress)
  | ({ type: 'skipped' } & TransferSkipped)
  | ({ type: 'failed' } & TransferFailure);

/** How a transfer was. */
export interface TransferReport {
  /** Files and links that are now at their target. */
  files: number;
  /** Directories that were made. */
  directories: number;
  /** The lengths of those files, in bytes. */
  bytes: number;
  /** How many of these bytes were there already, of an earlier transfer. */
  resumedBytes: number;
  /** What was not taken. */
  skipped: TransferSkipped[];
  /** What could not be transferred, while the rest went on. */
  failures: TransferFailure[];
}

/**
 * Files that `Session.drop` has put on the host. They are removed by `remove`, at the end of `await using`, when
 * this is let go of, and with the session, also where the connection is cut. It keeps the connection open, and
 * takes one of the channels that the server grants.
 */
export class Dropped<Path = string> {
  private constructor();
  /** The folder, which only this account can look into. */
  readonly folder: Path;
  /** The files, each where that of its place in the list now is. */
  readonly paths: Path[];
  /** The same as words for any shell, with spaces between them. */
  readonly quoted: Path;
  /** Removes the folder with all that is in it, and waits for that. May be called again. */
  remove(): Promise<void>;
  /** As `remove`, for `await using`. There where Node knows the symbol (18.18, 20.4 or newer). */
  [Symbol.asyncDispose](): Promise<void>;
}
