// A headless Chromium, spoken to in its own protocol: no package is needed for the few words that we say.
import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { accessSync, constants } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome'];

/** The browser's program, or undefined. */
export function program() {
  const folders = (process.env.PATH ?? '').split(':');
  return NAMES.flatMap((name) => folders.map((folder) => join(folder, name))).find((file) => {
    try {
      accessSync(file, constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** Starts a browser; `open` gives a page, `close` ends it. */
export async function start() {
  const folder = await mkdtemp(join(tmpdir(), 'berth-browser-'));
  // The sandbox of the browser needs rights that a container's root has not; only our own pages are opened.
  const flags = ['--headless=new', '--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage', '--remote-debugging-port=0'];
  const child = spawn(program(), [...flags, `--user-data-dir=${folder}`, 'about:blank'], { stdio: ['ignore', 'ignore', 'pipe'] });
  const address = await new Promise((resolve, reject) => {
    let text = '';
    child.stderr.on('data', (data) => {
      text += data;
      const found = text.match(/ws:\/\/\S+/);
      if (found) resolve(found[0]);
    });
    child.on('exit', () => reject(new Error(`no browser: ${text}`)));
  });
  const line = await connect(address);
  return {
    open: (url) => open(line, url),
    async close() {
      line.socket.close();
      child.kill();
      await new Promise((resolve) => (child.exitCode === null && child.signalCode === null ? child.on('exit', resolve) : resolve()));
      await rm(folder, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** One connection; commands by number, events by session. */
async function connect(address) {
  const socket = new WebSocket(address, { perMessageDeflate: false });
  await new Promise((resolve, reject) => socket.on('open', resolve).on('error', reject));
  const waiting = new Map();
  const listeners = [];
  let count = 0;
  socket.on('message', (data) => {
    const message = JSON.parse(data);
    if (message.id === undefined) return listeners.forEach((listener) => listener(message));
    const { resolve, reject } = waiting.get(message.id);
    waiting.delete(message.id);
    return message.error ? reject(new Error(message.error.message)) : resolve(message.result);
  });
  const send = (method, params = {}, sessionId = undefined) =>
    new Promise((resolve, reject) => {
      waiting.set((count += 1), { resolve, reject });
      socket.send(JSON.stringify({ id: count, method, params, sessionId }));
    });
  return { socket, send, listen: (listener) => listeners.push(listener) };
}

/** Opens an address in a page of its own. `complaints` is what a developer would read in red, violations of the policy included. */
async function open(line, url) {
  const { targetId } = await line.send('Target.createTarget', { url: 'about:blank' });
  const { sessionId } = await line.send('Target.attachToTarget', { targetId, flatten: true });
  const send = (method, params) => line.send(method, params, sessionId);
  const complaints = [];
  line.listen(({ method, params, sessionId: from }) => {
    if (from !== sessionId) return;
    if (method === 'Log.entryAdded' && params.entry.level === 'error') complaints.push(`${params.entry.text} ${params.entry.url ?? ''}`);
    if (method === 'Runtime.exceptionThrown') complaints.push(params.exceptionDetails.exception?.description ?? params.exceptionDetails.text);
    if (method === 'Audits.issueAdded' && params.issue.code === 'ContentSecurityPolicyIssue') complaints.push(JSON.stringify(params.issue.details));
  });
  for (const domain of ['Page', 'Runtime', 'Log', 'Audits']) await send(`${domain}.enable`);
  await send('Page.navigate', { url });
  const page = {
    complaints,
    /** The value of an expression in the page. */
    async value(expression) {
      const { result, exceptionDetails } = await send('Runtime.evaluate', { expression, awaitPromise: true, returnByValue: true, userGesture: true });
      if (exceptionDetails) throw new Error(exceptionDetails.exception?.description ?? exceptionDetails.text);
      return result.value;
    },
    /** Waits until an expression is true, and answers its value. */
    async until(expression, withinMs = 20_000) {
      for (const end = Date.now() + withinMs; ; await new Promise((resolve) => setTimeout(resolve, 100))) {
        const value = await page.value(expression).catch(() => undefined);
        if (value) return value;
        if (Date.now() > end) throw new Error(`${expression} at ${url}: ${await page.value('document.body?.innerText')}\n${complaints.join('\n')}`);
      }
    },
    /** A picture of the page, as PNG. */
    picture: async () => Buffer.from((await send('Page.captureScreenshot')).data, 'base64'),
    close: () => line.send('Target.closeTarget', { targetId }),
  };
  return page;
}
