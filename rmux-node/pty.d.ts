// The terminal that a command may have.

/** A terminal. */
export interface PtyOptions {
  /** What `TERM` names. Default: `xterm`. */
  term?: string;
  /** Default: 80. */
  columns?: number;
  /** Default: 24. */
  rows?: number;
  /**
   * Whether to run the command without a terminal where the server refuses one, as `ssh` does;
   * `child.hasPty` tells. Default: false; then it fails to start.
   */
  optional?: boolean;
  /** Modes by opcode (RFC 4254, section 8): `{ 53: 0 }` turns echo off. */
  modes?: Readonly<Record<number, number>>;
}
