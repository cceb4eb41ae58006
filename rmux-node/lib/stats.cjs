// Figures of sessions, as programs see them.
'use strict';

/** With null for what there is not, so that every figure has its place. */
function plain(figures) {
  return { ...figures, roundTrip: figures.roundTrip ?? null, idleFor: figures.idleFor ?? null };
}

module.exports = { plain };
