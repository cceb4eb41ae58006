// The ES module entry of rmux. The code behind it is CommonJS, so that a program that mixes both
// has each class once.
import rmux from './index.cjs';

export const {
  AbortError,
  Child,
  Connection,
  Dir,
  Dirent,
  Dropped,
  FileHandle,
  Files,
  Forward,
  Pool,
  RemoteListener,
  RmuxError,
  Session,
  ShellContext,
  Stats,
  connect,
  resolve,
} = rmux;
