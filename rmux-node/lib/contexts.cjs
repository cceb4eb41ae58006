// What a shell keeps from one command of a session to the next.
'use strict';

const check = require('./arguments.cjs');
const commands = require('./commands.cjs');
const { fromFailure, givenBack } = require('./errors.cjs');
const { stayHere } = require('./threads.cjs');

const UPDATE = ['cwd', 'env', 'interpreter'];
/** The state travels with the input and the errors, for which a terminal has no room. */
const RUN = commands.RUN.filter((name) => name !== 'verbatim');
const SPAWN = commands.SPAWN.filter((name) => !['pty', 'verbatim'].includes(name));

/** Only sessions make contexts. */
const key = Symbol('context');

/** A persistent shell context; see index.d.ts. */
class ShellContext {
  #native;
  #session;
  #nativeOf;

  /**
   * A new one of a session, whose native half `nativeOf` gives. Not part of the public interface.
   */
  static adopt(native, session, nativeOf, options) {
    const context = new ShellContext(key, native, session, nativeOf);
    context.#update(options, 'context');
    return context;
  }

  constructor(secret, native, session, nativeOf) {
    if (secret !== key) throw new TypeError('a ShellContext comes from session.context()');
    this.#native = native;
    this.#session = session;
    this.#nativeOf = nativeOf;
    stayHere(this);
  }

  get cwd() {
    return this.#native.cwd ?? null;
  }

  get env() {
    return { ...this.#native.env };
  }

  update(options) {
    this.#update(options, 'update');
  }

  fork(session = this.#session) {
    const on = this.#nativeOf(session);
    const native = this.#native.fork(on);
    if (native === null) throw fromFailure(givenBack(on, 'fork'));
    return new ShellContext(key, native, session, this.#nativeOf);
  }

  run(command, options) {
    const on = this.#nativeOf(this.#session);
    return commands.run(command, options, RUN, (operation, spec) => this.#native.run(operation, on, spec));
  }

  spawn(command, options) {
    const on = this.#nativeOf(this.#session);
    return commands.spawn(command, options, SPAWN, (operation, spec) => this.#native.spawn(operation, on, spec));
  }

  #update(options, of) {
    const given = check.options(options, UPDATE, of);
    this.#native.update({
      cwd: check.text(given.cwd, 'cwd'),
      env: check.changes(given.env),
      interpreter: check.text(given.interpreter, 'interpreter'),
    });
  }
}

module.exports = { ShellContext };
