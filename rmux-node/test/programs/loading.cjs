// Loads the package as CommonJS and as an ES module in one program.
const assert = require('node:assert/strict');

const required = require('rmux');

import('rmux').then(async (imported) => {
  for (const [name, value] of Object.entries(required)) assert.equal(imported[name], value, name);
  const session = await required.connect('127.0.0.1', JSON.parse(process.env.RMUX_TEST_OPTIONS));
  assert.ok(session instanceof imported.Session);
  console.log((await session.run('echo both')).stdout.trim());
});
