// The types as a CommonJS program sees them; compiled, never run.
import rmux = require('rmux');

const session: Promise<rmux.Session> = rmux.connect('dev', { port: 22 });
void session;
