// Starts the test server of rmux-testkit: a real sshd with its own keys, stopped with its parent.

import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(path.dirname(fileURLToPath(import.meta.url))));

/** Starts a server; what it offers, and `options` to connect to it with. */
export async function startServer(args = []) {
  const [program, ...before] = process.env.RMUX_TESTD
    ? [process.env.RMUX_TESTD]
    : ['cargo', 'run', '--quiet', '--package=rmux-testkit', '--bin=rmux-testd', '--'];
  const child = spawn(program, [...before, ...args], { cwd: root, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = new Promise((resolve) => child.once('close', resolve));
  const answers = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  child.once('error', (error) => {
    throw new Error(`cannot start ${program}`, { cause: error });
  });
  const next = async () => {
    const { value, done } = await answers.next();
    if (done) throw new Error('rmux-testd ended: its errors are above');
    return JSON.parse(value);
  };
  const facts = await next();
  const folder = mkdtempSync(path.join(tmpdir(), 'rmux-node-'));
  return {
    ...facts,
    /** A folder for what a test needs; removed with the server. */
    folder,
    options: connectOptions(facts),
    /** Gives the server a command; its answer. */
    async tell(command) {
      child.stdin.write(`${command}\n`);
      return next();
    },
    /** Writes a file into the folder and returns its path. */
    file(name, content) {
      const file = path.join(folder, name);
      writeFileSync(file, content, { mode: 0o600 });
      return file;
    },
    async stop() {
      child.stdin.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

function connectOptions(facts) {
  return {
    port: facts.port,
    user: facts.user,
    identityFiles: [facts.client_key],
    configFile: false,
    options: { UserKnownHostsFile: facts.known_hosts, IdentitiesOnly: 'yes' },
  };
}

/** Starts an ssh-agent that holds nothing yet. */
export async function startAgent() {
  const folder = mkdtempSync(path.join(tmpdir(), 'rmux-agent-'));
  const socket = path.join(folder, 'agent');
  // Given a command, the agent lives as long as it does.
  const life = spawn('ssh-agent', ['-a', socket, 'cat'], { stdio: ['pipe', 'ignore', 'inherit'] });
  const ended = new Promise((resolve) => life.once('close', resolve));
  life.once('error', (error) => {
    throw new Error('cannot run ssh-agent (Debian: openssh-client)', { cause: error });
  });
  await until('the agent listens', () => existsSync(socket));
  return {
    socket,
    /** The public keys it holds, each as type and base64. */
    keys() {
      const env = { ...process.env, SSH_AUTH_SOCK: socket };
      const { status, stdout } = spawnSync('ssh-add', ['-L'], { env, encoding: 'utf8' });
      return status === 0 ? stdout.trim().split('\n').map(typeAndKey) : [];
    },
    async stop() {
      life.stdin.end();
      await ended;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** The public half of a private key file, as type and base64. */
export function publicKey(file) {
  return typeAndKey(readFileSync(`${file}.pub`, 'utf8'));
}

function typeAndKey(line) {
  return line.trim().split(' ').slice(0, 2).join(' ');
}

/** A key's fingerprint, as ssh-keygen prints it. */
export function fingerprint(file) {
  return execFileSync('ssh-keygen', ['-l', '-f', file], { encoding: 'utf8' }).split(' ')[1];
}

/** Lines of an ssh_config that name servers, and nothing of the user's. */
export function hostBlocks(hosts) {
  const blocks = hosts.map(
    ([name, { port, user, client_key, known_hosts }]) =>
      `Host ${name}\n HostName 127.0.0.1\n Port ${port}\n User ${user}\n IdentityFile ${client_key}\n UserKnownHostsFile ${known_hosts}\n`,
  );
  const rest = ['GlobalKnownHostsFile none', 'IdentityAgent none', 'StrictHostKeyChecking yes'];
  return `${blocks.join('')}Host *\n${rest.map((line) => ` ${line}\n`).join('')}`;
}

/** A TCP relay to a server whose connections can be cut. */
export async function startRelay(port) {
  const sockets = new Set();
  const server = net.createServer((near) => {
    const far = net.connect(port, '127.0.0.1');
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        other.destroy();
      });
      socket.pipe(other);
    }
  });
  await listen(server);
  const cut = () => {
    // Not resetAndDestroy: with a shutdown under way, Node 20 never gets rid of such a handle.
    for (const socket of sockets) socket.destroy();
  };
  return {
    port: server.address().port,
    cut,
    connections: () => sockets.size / 2,
    stop() {
      cut();
      server.close();
    },
  };
}

/** A TCP server that answers each connection with `answer` and says nothing else. */
export async function startImpostor(answer = '') {
  const server = net.createServer((socket) => {
    socket.on('error', () => {});
    socket.write(answer);
    socket.resume();
  });
  await listen(server);
  return { port: server.address().port, stop: () => server.close() };
}

function listen(server) {
  return new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
}

/** Waits until `condition` holds, and says `what` did not come where it never does. */
export async function until(what, condition, limit = 10_000) {
  const deadline = performance.now() + limit;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`never: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Runs one of the programs in programs/ in a Node of its own; what it wrote and how it ended. */
export function runProgram(name, server, { flags = [], args = [], env = {}, limit = 30_000 } = {}) {
  const file = fileURLToPath(new URL(`programs/${name}`, import.meta.url));
  return new Promise((resolve, reject) => {
    const started = performance.now();
    const child = spawn(process.execPath, [...flags, file, ...args], {
      env: { ...process.env, ...env, RMUX_TEST_OPTIONS: JSON.stringify(server.options) },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (data) => (stdout += data));
    child.stderr.on('data', (data) => (stderr += data));
    const timer = setTimeout(() => child.kill('SIGKILL'), limit);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      clearTimeout(timer);
      resolve({ code, signal, stdout, stderr, time: performance.now() - started });
    });
  });
}
