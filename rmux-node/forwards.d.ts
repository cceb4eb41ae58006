// Connections through a host, and forwards.

import { Duplex } from 'node:stream';

import { RmuxError } from './index.js';

/**
 * An end of a connection: a port of the loopback addresses, `"host:port"` or its parts, or the path of
 * a unix socket, which as a string holds a `/`.
 */
export type Endpoint = number | string | { host?: string; port: number } | { path: string };

/** What `forwardLocal`, `forwardRemote` and `forwardDynamic` take. */
export interface ForwardOptions {
  /**
   * Where connections come in. Default: a port that is chosen, on the loopback addresses. Any program
   * of the machine may connect there, whoever runs it; a unix socket lets only the user.
   */
  listen?: Endpoint;
  /** Listens on all addresses where `listen` names none. Default: false. */
  gatewayPorts?: boolean;
  /** Replaces a unix socket that is there. Default: false. */
  unlink?: boolean;
  /** How many connections may be open at a time; more wait. Default: 4,096. */
  maxConnections?: number;
  /** Gives up making it. */
  signal?: AbortSignal;
}

/** A connection of a forward. */
export interface ForwardConnection {
  /** Who made it, where that is known: an address and a port. */
  from: string | null;
  /** Where it goes. */
  target: string;
  /** Bytes that went to the remote host. */
  bytesSent: number;
  /** Bytes that came from it. */
  bytesReceived: number;
}

/** What a forward does at the moment and has done so far. */
export interface ForwardStats {
  /** On which side it listens. */
  kind: 'local' | 'remote';
  /** Where it listens, with the port that was chosen. */
  listen: string;
  /** Where connections go; null for wherever a SOCKS client asks for. */
  target: string | null;
  /** Whether it still listens. */
  listening: boolean;
  /** Connections that are open. */
  open: number;
  /** Connections that came in. */
  total: number;
  /** Those of them that came to nothing. */
  failed: number;
  /** Bytes that went to the remote host. */
  bytesSent: number;
  /** Bytes that came from it. */
  bytesReceived: number;
  /** Why the last of those that failed did. */
  lastError: RmuxError | null;
  /** Those that are open, in the order in which they came. */
  connections: ForwardConnection[];
}

/**
 * A connection between this program and something that the host reaches, or that reaches it. Each
 * direction has its own end: `end()` tells the other side that no more comes, and reading goes on.
 */
export class Connection extends Duplex {
  private constructor();
  /** Who made it, where it came in on the host and the server says so. */
  get remoteAddress(): string | undefined;
  /** For those who take it for a socket; does nothing. */
  setKeepAlive(): this;
  /** For those who take it for a socket; does nothing. */
  setNoDelay(): this;
  /** For those who take it for a socket; does nothing. */
  setTimeout(): this;
  /** For those who take it for a socket; does nothing. */
  ref(): this;
  /** For those who take it for a socket; does nothing. */
  unref(): this;
}

/**
 * A listener whose connections come out on the other side. Letting go of it closes it; it ends with
 * its session, and does not keep the process alive.
 */
export class Forward {
  private constructor();
  /** Where it listens, with the port that was chosen. */
  get listen(): string;
  /** The port that it listens on, where it is one. */
  get port(): number | null;
  /** What it does now and has done. Never waits. */
  stats(): ForwardStats;
  /** Listens no more. Connections that are open go on. */
  close(): Promise<void>;
  /** Listens no more and cuts the connections that are open. */
  cut(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A port or unix socket of the host on which it listens for this program. */
export class RemoteListener {
  private constructor();
  /** Where the host listens, with the port that it chose. */
  get listen(): string;
  /** The port that it listens on, where it is one. */
  get port(): number | null;
  /** The next connection; null once it is closed. One at a time. */
  accept(): Promise<Connection | null>;
  /** Has the host listen no more. Connections that were accepted go on. */
  close(): Promise<void>;
  /** The connections, until it is closed. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Connection>;
  [Symbol.asyncDispose](): Promise<void>;
}
