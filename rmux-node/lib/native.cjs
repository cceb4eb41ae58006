// Finds and loads the native addon.
'use strict';

const path = require('node:path');

const file = `rmux.${process.platform}-${process.arch}.node`;

function load() {
  try {
    return require(path.join(__dirname, '..', file));
  } catch (cause) {
    throw new Error(
      `rmux: cannot load ${file}: it is built by "npm run build" in the package's folder, for this platform`,
      { cause },
    );
  }
}

module.exports = load();
