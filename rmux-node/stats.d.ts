// Figures of sessions and pools, what a host can do, and what a shutdown cut off.

/** What a session's host can do. */
export interface Capabilities {
  /**
   * By what its files are reached: the server's SFTP, the POSIX tools of a host without it, or nothing,
   * where each use of them fails with `UNSUPPORTED`.
   */
  files: 'sftp' | 'shell' | 'none';
  /** Why it is not SFTP; null where it is. */
  filesWhy: string | null;
  /** The extensions of SFTP that its server offers, by their names; none without SFTP. */
  sftpExtensions: string[];
  /**
   * How many channels the server grants over one connection (OpenSSH: `MaxSessions`); null until it has
   * refused one more.
   */
  channels: number | null;
}

/**
 * What a session does at the moment and has done so far.
 *
 * Each figure is right by itself; they are read one after the other while the session goes on. Reading
 * them takes no time, waits for nothing and is no use of the session. Bytes are those of channels, without
 * what the SSH protocol adds. Times are in milliseconds.
 */
export interface SessionStats {
  /** The host as the caller named it. */
  host: string;
  /** Authenticated connections that are open; 0 when the session has ended. */
  links: number;
  /**
   * Channels that are open: one for each command, for each connection to a host behind this one, and for
   * each user of a forwarded agent, and those that are ready.
   */
  channels: number;
  /** Channels kept open ahead, on which nothing runs yet. */
  channelsReady: number;
  /** Callers who wait for a channel at the moment. */
  waiting: number;
  /** Commands that the server has begun to run. */
  commandsStarted: number;
  /** Output that came in, read or not, and what hosts behind this one sent. */
  bytesReceived: number;
  /** Input that was handed to the connection, and what went to hosts behind this one. */
  bytesSent: number;
  /** How long an answer of the server takes, at best of the last times; null before the first. */
  roundTrip: number | null;
  /** How long the session has been connected, or was when it ended. */
  connectedFor: number;
  /** How long nothing has run on it and nobody has waited; null while it is in use. */
  idleFor: number | null;
}

/** What a pool does at the moment and has done so far, as `SessionStats`. */
export interface PoolStats {
  /** Each session that is connected, used or not, hosts on the way among them; in no order. */
  sessions: SessionStats[];
  /** Sessions that are being connected, or wait for a host on the way to be. */
  connecting: number;
  /** Callers who wait for room, because the pool's connections are limited. */
  waitingForRoom: number;
  /** Authenticated connections of all sessions. */
  links: number;
  /** Open channels of all sessions, those that are ready among them. */
  channels: number;
  /** Channels kept open ahead by all sessions. */
  channelsReady: number;
  /** Callers who wait for a channel of a session. */
  waiting: number;
  /** Commands that were started since the pool was made, on sessions that have ended, too. */
  commandsStarted: number;
  /** Bytes that came in on channels, likewise. */
  bytesReceived: number;
  /** Bytes that were handed to connections, likewise. */
  bytesSent: number;
}

/** What a shutdown had to cut off on one host when its time was over. */
export interface CutOff {
  /** The host as the caller named it. */
  host: string;
  /** How many channels were in use: one for each command, and for each connection to a host behind this one. */
  channels: number;
}
