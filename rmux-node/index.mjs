// The ES module entry of rmux. The code behind it is CommonJS, so that a program that mixes both
// has each class once.
import rmux from './index.cjs';

export const {
  AbortError,
  Child,
  Dir,
  Dirent,
  FileHandle,
  Files,
  Pool,
  RmuxError,
  Session,
  Stats,
  connect,
  resolve,
} = rmux;
