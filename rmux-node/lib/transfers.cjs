// Files and trees on their way between two sides.
'use strict';

const check = require('./arguments.cjs');
const { RmuxError, fromFailure, fromSignal } = require('./errors.cjs');
const { start } = require('./operations.cjs');
const paths = require('./paths.cjs');

const FLAGS = ['recursive', 'times', 'modes', 'resume', 'checksum', 'sync'];
const LINKS = ['keep', 'follow', 'skip'];
const CONFLICT = ['overwrite', 'skip', 'error'];
const UPDATE = ['always', 'newer', 'different', 'contents'];
const OPTIONS = [
  ...FLAGS,
  'links',
  'conflict',
  'update',
  'include',
  'exclude',
  'check',
  'encoding',
  'signal',
  'onProgress',
  'onEvent',
];

/**
 * Transfers something; see index.d.ts.
 *
 * @param of the method that is called
 * @param begin begins it with what the addon takes
 */
async function transfer(of, from, to, options, begin) {
  const given = check.options(options, OPTIONS, of);
  const spec = {
    ...Object.fromEntries(FLAGS.map((name) => [name, check.flag(given[name], name) ?? false])),
    links: check.choice(given.links, 'links', LINKS),
    conflict: check.choice(given.conflict, 'conflict', CONFLICT),
    update: check.choice(given.update, 'update', UPDATE),
    include: patterns(given.include, 'include'),
    exclude: patterns(given.exclude, 'exclude'),
  };
  const checks = check.flag(given.check, 'check') ?? false;
  const encoding = check.encoding(given.encoding, 'utf8');
  const signal = check.abortSignal(given.signal);
  const onProgress = check.callback(given.onProgress, 'onProgress');
  const onEvent = check.callback(given.onEvent, 'onEvent');
  const [source, target] = [paths.encoded(from, 'the source'), paths.encoded(to, 'the target')];
  if (signal?.aborted) throw fromSignal(signal);
  return paths.about(from, to, async () => {
    const begun = begin(source, target, spec);
    if (begun.code !== undefined) throw fromFailure(begun);
    const summary = await carried(begun, signal, (step) => tell(step, encoding, onProgress, onEvent), onProgress ?? onEvent);
    const report = toReport(summary, encoding);
    if (checks && report.failures.length > 0) throw Object.assign(report.failures[0].error, { report });
    return report;
  });
}

/** Waits for the end. Where that fails here, the transfer is ended first. */
async function carried(native, signal, told, watched) {
  const wait = (begin) => start(begin, { signal, orderly: true });
  try {
    if (watched !== undefined) {
      const next = (operation) => native.next(operation);
      for (let step = await wait(next); step !== null; step = await wait(next)) told(step);
    }
    return await wait((operation) => native.finish(operation));
  } catch (error) {
    await start((operation) => native.cancel(operation));
    if (error instanceof RmuxError && error.code === 'CANCELLED' && signal?.aborted) throw fromSignal(signal);
    throw error;
  }
}

function tell({ progress, skipped, failed }, encoding, onProgress, onEvent) {
  if (progress !== undefined) {
    const figures = { ...progress, remaining: progress.remaining ?? null };
    onProgress?.(figures);
    onEvent?.({ type: 'progress', ...figures });
  }
  if (skipped !== undefined) onEvent?.({ type: 'skipped', ...leftOut(skipped, encoding) });
  if (failed !== undefined) onEvent?.({ type: 'failed', ...notTransferred(failed, encoding) });
}

function toReport({ skipped, failures, ...figures }, encoding) {
  return {
    ...figures,
    skipped: skipped.map((one) => leftOut(one, encoding)),
    failures: failures.map((one) => notTransferred(one, encoding)),
  };
}

function leftOut({ path, reason, message }, encoding) {
  return { path: paths.decoded(path, encoding), reason, message };
}

function notTransferred({ path, failure }, encoding) {
  const decoded = paths.decoded(path, encoding);
  return { path: decoded, error: Object.assign(fromFailure(failure), { path: decoded }) };
}

/** One pattern or several. */
function patterns(value, name) {
  return check.texts(typeof value === 'string' ? [value] : value, name) ?? [];
}

module.exports = { transfer };
