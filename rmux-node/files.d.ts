// The types of the files of a host: part of index.d.ts, which gives their names.

import { Readable, Writable } from 'node:stream';

export {};

/**
 * A path on the host: text, or the bytes of a name that need not be text. Relative ones begin where the
 * account's SFTP server does, which is the home directory unless the server's administrator chose
 * otherwise. `~` and `~/…` are the home directory, and `~user` another account's where the server can
 * tell it; `./~` is a file of that name.
 */
export type RemotePath = string | Uint8Array;

/** What every operation on files takes. */
export interface Abortable {
  /** Stops the operation, which rejects with an AbortError. What a change had begun may be done or not. */
  signal?: AbortSignal;
}

/** How names and paths are given: as text, in which bytes that are not UTF-8 become U+FFFD, or as Buffers. */
export interface NameOptions extends Abortable {
  /** Default: `utf8`. */
  encoding?: BufferEncoding | 'buffer';
}

type AsBuffers = 'buffer' | (NameOptions & { encoding: 'buffer' });
type AsText = BufferEncoding | (NameOptions & { encoding?: BufferEncoding });

/**
 * The files of a session's host, in the shape of `fs/promises`, over one SFTP channel that is opened at the
 * first use and given up after half a minute without. Where the server has no SFTP, all reject with
 * `UNSUPPORTED`.
 *
 * Everything rejects with an RmuxError that has the `path`, and the `dest` where there are two: `NOT_FOUND`,
 * `PERMISSION_DENIED`, `ALREADY_EXISTS`, `IS_A_DIRECTORY`, `NOT_A_DIRECTORY`, `LIMIT_EXCEEDED` for a full file
 * system, `UNSUPPORTED`, `INVALID_INPUT`, `IO`, and those of the session.
 */
export class Files {
  private constructor();

  /** The contents of a file, or a part of them: as a Buffer or, with an encoding, as a string. */
  readFile(path: RemotePath, options?: ReadFileOptions & { encoding?: 'buffer' | null }): Promise<Buffer>;
  readFile(path: RemotePath, options: BufferEncoding | (ReadFileOptions & { encoding: BufferEncoding })): Promise<string>;
  readFile(path: RemotePath, options?: BufferEncoding | ReadFileOptions): Promise<string | Buffer>;

  /**
   * Writes a whole file in one step: whoever opens it sees the old contents or the new. Mode and, where the
   * server allows it, owner stay those of the file that was there; a symbolic link stays one. Aborting it
   * leaves the old file or the new one.
   *
   * @throws {RmuxError} also `CHANGED`, where a condition does not hold.
   */
  writeFile(path: RemotePath, data: string | NodeJS.ArrayBufferView, options?: BufferEncoding | WriteFileOptions): Promise<void>;
  /** Writes at the end of a file, which is made where there is none. */
  appendFile(
    path: RemotePath,
    data: string | NodeJS.ArrayBufferView,
    options?: BufferEncoding | (Abortable & { encoding?: BufferEncoding }),
  ): Promise<void>;
  /**
   * Replaces the one place where `before` stands in a file. The file is written as by `writeFile`, and only if
   * it is still the one that was read.
   *
   * @throws {RmuxError} `CHANGED` where `before` is not in the file, or more than once, or where somebody else
   *   writes the file meanwhile.
   */
  replaceText(
    path: RemotePath,
    before: string | NodeJS.ArrayBufferView,
    after: string | NodeJS.ArrayBufferView,
    options?: Abortable,
  ): Promise<void>;

  /** What is known of a file, behind symbolic links. */
  stat(path: RemotePath, options?: Abortable): Promise<Stats>;
  /** What is known of a file, or of a symbolic link itself. */
  lstat(path: RemotePath, options?: Abortable): Promise<Stats>;
  /** Rejects where there is nothing, behind symbolic links. What the account may do with it is not asked. */
  access(path: RemotePath, options?: Abortable): Promise<void>;
  /** Whether there is something, behind symbolic links: a dangling one is nothing. */
  exists(path: RemotePath, options?: Abortable): Promise<boolean>;

  /** The names in a directory, in the server's order. */
  readdir(path: RemotePath, options: 'buffer' | (NameOptions & { encoding: 'buffer'; withFileTypes?: false })): Promise<Buffer[]>;
  readdir(
    path: RemotePath,
    options?: BufferEncoding | (NameOptions & { encoding?: BufferEncoding; withFileTypes?: false }),
  ): Promise<string[]>;
  readdir(path: RemotePath, options: NameOptions & { encoding: 'buffer'; withFileTypes: true }): Promise<Dirent<Buffer>[]>;
  readdir(path: RemotePath, options: NameOptions & { encoding?: BufferEncoding; withFileTypes: true }): Promise<Dirent[]>;
  /** Lists a directory as the names come: `for await (const entry of await files.opendir(path))`. */
  opendir(path: RemotePath, options: NameOptions & { encoding: 'buffer' }): Promise<Dir<Buffer>>;
  opendir(path: RemotePath, options?: NameOptions & { encoding?: BufferEncoding }): Promise<Dir>;

  /**
   * The paths of what is below a directory and matches a pattern, as they are found, in no order. In a pattern
   * `*` is any part of a name, a dot in front of it included, `?` any byte and `[…]` one of some; a backslash
   * takes their meaning away. `**` between slashes is any number of directories, through which links are not
   * followed, and at the end all below. A slash at the end finds directories only.
   *
   * @throws {RmuxError} when it is begun, `INVALID_INPUT` for a pattern that is empty, absolute, or has `..`
   *   in it.
   */
  glob(directory: RemotePath, pattern: RemotePath, options: AsBuffers): AsyncGenerator<Buffer, void, undefined>;
  glob(directory: RemotePath, pattern: RemotePath, options?: AsText): AsyncGenerator<string, void, undefined>;

  /** Makes a directory; with `recursive` also those it is in, and it may be there already. */
  mkdir(path: RemotePath, options?: Abortable & { recursive?: boolean }): Promise<void>;
  /** Makes a new directory of mode 0700, whose name is `prefix` and what makes it unique; its path. */
  mkdtemp(prefix: RemotePath, options: AsBuffers): Promise<Buffer>;
  mkdtemp(prefix: RemotePath, options?: AsText): Promise<string>;
  /** Makes a new file of mode 0600 in a directory, for reading and writing. It is the caller's to remove. */
  tempFile(directory: RemotePath, options?: BufferEncoding | 'buffer' | NameOptions): Promise<FileHandle>;

  /** Removes an empty directory. */
  rmdir(path: RemotePath, options?: Abortable): Promise<void>;
  /** Removes a file, or a symbolic link itself. */
  unlink(path: RemotePath, options?: Abortable): Promise<void>;
  /**
   * Removes a file; with `recursive` also a directory and all that is in it, and links in there are not
   * followed. With `force` it may be missing.
   */
  rm(path: RemotePath, options?: Abortable & { recursive?: boolean; force?: boolean }): Promise<void>;

  /** Renames a file or directory, in one step over a file that is there. */
  rename(from: RemotePath, to: RemotePath, options?: Abortable): Promise<void>;
  /** Copies a file with its mode, in one step over what is there; on the server, where that can. */
  copyFile(from: RemotePath, to: RemotePath, options?: Abortable): Promise<void>;
  /** Gives a file a second name. */
  link(file: RemotePath, path: RemotePath, options?: Abortable): Promise<void>;
  /** Makes a symbolic link that points to `target`, which is taken as it is. */
  symlink(target: RemotePath, path: RemotePath, options?: Abortable): Promise<void>;
  /** Where a symbolic link points to, as it says it. */
  readlink(path: RemotePath, options: AsBuffers): Promise<Buffer>;
  readlink(path: RemotePath, options?: AsText): Promise<string>;
  /** The absolute path, without links, of a file that need not exist. */
  realpath(path: RemotePath, options: AsBuffers): Promise<Buffer>;
  realpath(path: RemotePath, options?: AsText): Promise<string>;

  /** Sets the permission bits: a number, or octal digits. */
  chmod(path: RemotePath, mode: number | string, options?: Abortable): Promise<void>;
  /** Sets user and group, behind symbolic links. */
  chown(path: RemotePath, uid: number, gid: number, options?: Abortable): Promise<void>;
  /** Sets user and group of a symbolic link itself. */
  lchown(path: RemotePath, uid: number, gid: number, options?: Abortable): Promise<void>;
  /** Sets when it was last read and written, in whole seconds: a Date, or seconds since 1970. */
  utimes(path: RemotePath, atime: Date | number | string, mtime: Date | number | string, options?: Abortable): Promise<void>;
  /** The room of the file system that a file is on. */
  statfs(path: RemotePath, options?: Abortable): Promise<StatFs>;

  /**
   * Opens a file.
   *
   * @param flags as in `fs`. Default: `r`.
   * @param mode the permission bits of a new file. Default: 0o666.
   */
  open(path: RemotePath, flags?: OpenFlags, mode?: number | string | null, options?: Abortable): Promise<FileHandle>;
  /** The contents of a file as a stream, read ahead in bounds. `end` is the position of the last byte. */
  createReadStream(path: RemotePath, options?: BufferEncoding | ReadStreamOptions): FileReadStream;
  /**
   * Writes a file from a stream. It is written into as it is, and not in one step as by `writeFile`: a stream
   * that is destroyed leaves a part of it. `finish` comes when the server has it all, and has closed it.
   */
  createWriteStream(path: RemotePath, options?: BufferEncoding | WriteStreamOptions): FileWriteStream;
}

/** How a file is opened, as in `fs`. */
export type OpenFlags = 'r' | 'r+' | 'w' | 'wx' | 'w+' | 'wx+' | 'a' | 'ax' | 'a+' | 'ax+';

/** What to read of a file. */
export interface ReadFileOptions extends Abortable {
  encoding?: BufferEncoding | 'buffer' | null;
  /** The position of the first byte. */
  start?: number;
  /** The position of the last byte. */
  end?: number;
}

/** How to write a whole file. */
export interface WriteFileOptions extends Abortable {
  /** Of `data`, if that is a string. Default: `utf8`. */
  encoding?: BufferEncoding;
  /** The permission bits. Default: those of the file that was there, or what the umask leaves of 0o666. */
  mode?: number | string;
  /** `wx` fails where there is one; `a` writes at its end, and goes with no other option here. Default: `w`. */
  flag?: 'w' | 'wx' | 'a';
  /** Whether to wait until the server has written it to its disk. Default: true. */
  flush?: boolean;
  /** Writes into the file itself, which keeps its hard links: whoever reads it may see half of it. Default: false. */
  inPlace?: boolean;
  /** Rejects with `CHANGED` where the file's length or time of writing are others, or it is gone. */
  ifUnchanged?: Pick<Stats, 'size' | 'mtimeMs'>;
  /** Rejects with `CHANGED` where the SHA-256 of the file's contents is another (hexadecimal, or 32 bytes). */
  ifSha256?: string | Uint8Array;
}

/** What to read, and how. */
export interface ReadStreamOptions extends Abortable {
  encoding?: BufferEncoding | 'buffer' | null;
  /** The position of the first byte. Default: 0. */
  start?: number;
  /** The position of the last byte. Default: that of the file. */
  end?: number;
  /** How many bytes the stream holds. Default: 262,144. */
  highWaterMark?: number;
  /** Hears, whenever bytes have moved, how many have so far. What it throws ends the stream. */
  onProgress?: (bytes: number) => void;
}

/** What to write, and how. */
export interface WriteStreamOptions extends Abortable {
  /** Default: `w`. */
  flags?: Exclude<OpenFlags, 'r'>;
  /** The permission bits. Default: those of the file that is replaced, or 0o666 as the umask leaves it. */
  mode?: number | string;
  /**
   * Whether to write into the file itself, as it is opened by `flags`. Default: false with the flags `w` and
   * without `start`: then the file has its name, in one step, when the stream has ended, and a stream that is
   * destroyed leaves what was there before.
   */
  inPlace?: boolean;
  /** The position of the first byte, with `r+`. Default: 0. */
  start?: number;
  /** Of strings. Default: `utf8`. */
  encoding?: BufferEncoding;
  /** How many bytes the stream holds. Default: 262,144. */
  highWaterMark?: number;
  /** Hears, whenever bytes have moved, how many have so far. What it throws ends the stream. */
  onProgress?: (bytes: number) => void;
}

/** The contents of a file. Event: `ready`, when the file is open. */
export interface FileReadStream extends Readable {
  readonly path: RemotePath;
  /** How many bytes have come. */
  readonly bytesRead: number;
}

/** A file that is written. Event: `ready`, when the file is open. */
export interface FileWriteStream extends Writable {
  readonly path: RemotePath;
  /** How many bytes were accepted. */
  readonly bytesWritten: number;
}

/**
 * An open file. Its operations are done one after the other. Letting go of it closes it, and so does the end
 * of `await using`. It keeps its session open.
 */
export class FileHandle {
  private constructor();
  readonly path: RemotePath;

  /**
   * Reads into a buffer: `length` bytes, fewer only at the end. Without a `position` it reads where the last
   * operation has ended.
   */
  read<Into extends NodeJS.ArrayBufferView>(
    buffer: Into,
    offset?: number | null,
    length?: number | null,
    position?: number | bigint | null,
  ): Promise<{ bytesRead: number; buffer: Into }>;
  read<Into extends NodeJS.ArrayBufferView>(buffer: Into, options: FilePart): Promise<{ bytesRead: number; buffer: Into }>;
  read<Into extends NodeJS.ArrayBufferView = Buffer>(
    options?: FilePart & { buffer?: Into },
  ): Promise<{ bytesRead: number; buffer: Into }>;
  /** All from where the last operation has ended. */
  readFile(options?: 'buffer' | { encoding?: 'buffer' }): Promise<Buffer>;
  readFile(options: BufferEncoding | { encoding: BufferEncoding }): Promise<string>;
  /** Writes all of it; resolves when the server has it. */
  write<Data extends NodeJS.ArrayBufferView>(
    data: Data,
    offset?: number | null,
    length?: number | null,
    position?: number | null,
  ): Promise<{ bytesWritten: number; buffer: Data }>;
  write<Data extends NodeJS.ArrayBufferView>(data: Data, options: FilePart): Promise<{ bytesWritten: number; buffer: Data }>;
  write(
    text: string,
    position?: number | null,
    encoding?: BufferEncoding,
  ): Promise<{ bytesWritten: number; buffer: string }>;
  /** Writes all of it where the last operation has ended. */
  writeFile(
    data: string | NodeJS.ArrayBufferView,
    options?: BufferEncoding | { encoding?: BufferEncoding },
  ): Promise<void>;
  /** Cuts the file off behind this length (default 0), or fills it up with zeros. */
  truncate(length?: number): Promise<void>;
  /** Waits until all that was written is on the server's disk. */
  sync(): Promise<void>;
  /** As `sync`. */
  datasync(): Promise<void>;
  stat(): Promise<Stats>;
  /** Waits for what was begun, and closes the file. */
  close(): Promise<void>;
  /** As `close`, for `await using`. There where Node knows the symbol (18.18, 20.4 or newer). */
  [Symbol.asyncDispose](): Promise<void>;
}

/** A part of a buffer, and a place in a file. */
export interface FilePart {
  offset?: number | null;
  length?: number | null;
  position?: number | bigint | null;
}

/** What SFTP knows of a file: of `fs.Stats`, these. A server may leave out what may be undefined. */
export class Stats {
  private constructor();
  /** Type and permission bits. */
  readonly mode: number | undefined;
  /** In bytes; 0 where it is unknown. Files of `/proc` have 0 and yet contents. */
  readonly size: number;
  readonly uid: number | undefined;
  readonly gid: number | undefined;
  /** Whole seconds, in milliseconds. */
  readonly atimeMs: number | undefined;
  readonly mtimeMs: number | undefined;
  readonly atime: Date | undefined;
  readonly mtime: Date | undefined;
  isFile(): boolean;
  isDirectory(): boolean;
  /** Only what does not look behind links can tell. */
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isBlockDevice(): boolean;
  isCharacterDevice(): boolean;
}

/** A name in a directory. */
export class Dirent<Name extends string | Buffer = string> {
  private constructor();
  readonly name: Name;
  /** The directory, as it was asked for. */
  readonly parentPath: RemotePath;
  /** What is known of it: of a symbolic link itself. Came with the listing. */
  readonly stats: Stats;
  isFile(): boolean;
  isDirectory(): boolean;
  isSymbolicLink(): boolean;
  isFIFO(): boolean;
  isSocket(): boolean;
  isBlockDevice(): boolean;
  isCharacterDevice(): boolean;
}

/** A directory that is being listed. Letting go of it, or leaving the loop over it, ends the listing. */
export class Dir<Name extends string | Buffer = string> {
  private constructor();
  readonly path: RemotePath;
  /** The next name; null at the end. */
  read(): Promise<Dirent<Name> | null>;
  close(): Promise<void>;
  [Symbol.asyncIterator](): AsyncGenerator<Dirent<Name>, void, undefined>;
  /** As `close`, for `await using`. There where Node knows the symbol (18.18, 20.4 or newer). */
  [Symbol.asyncDispose](): Promise<void>;
}

/** The room of a file system. It is counted in bytes: `bsize` is 1. */
export interface StatFs {
  readonly bsize: 1;
  /** All of it. */
  readonly blocks: number;
  /** What is free. */
  readonly bfree: number;
  /** What is free for this account. */
  readonly bavail: number;
  /** How many files there can be; 0 where that has no limit. */
  readonly files: number;
  /** How many more this account can make. */
  readonly ffree: number;
  /** In bytes. */
  readonly longestName: number;
  readonly readOnly: boolean;
}
