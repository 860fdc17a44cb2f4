// The pages of Berth in a real browser: they work under their content security policy, and nothing in them is refused by it.
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { program, start } from './browser.mjs';
import { BASE as BERTH } from './journey.mjs';

const skip = program() ? false : 'NO BROWSER: the pages were opened in none (install chromium)';
// BERTH_PICTURES names a folder for pictures of the pages.
const keep = async (page, name) => process.env.BERTH_PICTURES && writeFile(join(process.env.BERTH_PICTURES, `${name}.png`), await page.picture());
let browser;

before(async () => {
  if (!skip) browser = await start();
});
after(() => browser?.close());

test('the explorer runs a query, and its editor knows the schema', { skip }, async () => {
  const page = await browser.open(`${BERTH}/graphiql`);
  await page.until('document.querySelector(".graphiql-execute-button") !== null');
  await page.until('document.querySelectorAll(".monaco-editor .mtk1, .monaco-editor span[class^=mtk]").length > 10');
  // The first tab holds three operations: the button asks which one.
  await page.value('document.querySelector(".graphiql-execute-button").dispatchEvent(new PointerEvent("pointerdown", { bubbles: true, button: 0 }))');
  await page.until('[...document.querySelectorAll("[role=menuitem]")].some((item) => item.innerText.includes("Stations"))');
  await page.value('[...document.querySelectorAll("[role=menuitem]")].find((item) => item.innerText.includes("Stations")).click()');
  await page.until('document.querySelector(".result-window")?.innerText.includes("data")');
  const socket = 'new Promise((told) => { const socket = new WebSocket(`ws://${location.host}/graphql`, "graphql-transport-ws"); socket.onopen = () => told(true); socket.onerror = () => told(false); })';
  assert.ok(await page.value(socket), 'live seats need a socket');
  const painted = await page.value('getComputedStyle(document.querySelector(".monaco-editor")).fontFamily.length > 0');
  assert.ok(painted);
  await keep(page, 'graphiql');
  assert.deepEqual(page.complaints, []);
  await page.close();
});

for (const path of ['/', '/dev/mail', '/dev/sms', '/stop-change']) {
  test(`${path} is painted as it was written`, { skip }, async () => {
    const page = await browser.open(`${BERTH}${path}`);
    await page.until('document.readyState === "complete" && document.querySelector("h1")');
    assert.match(await page.value('getComputedStyle(document.body).fontFamily'), /system-ui/, 'its styles are refused');
    await keep(page, path.replaceAll('/', '-'));
    assert.deepEqual(page.complaints, []);
    await page.close();
  });
}

test('the page of a link runs its script and reaches the graph', { skip }, async () => {
  const page = await browser.open(`${BERTH}/reset-password#token=nobodys`);
  await page.until('document.querySelector("form") !== null');
  assert.equal(await page.value('location.hash'), '', 'the script did not run');
  await page.value('document.querySelector("input").value = "correct horse battery 9"; document.querySelector("button").click()');
  const told = await page.until('(text => text.length > 20 && text)(document.querySelector("[role=status]").textContent)');
  assert.match(told, /link/i);
  assert.deepEqual(page.complaints, []);
  await page.close();
});

test('letters are shown in frames with their own styles', { skip }, async () => {
  const page = await browser.open(`${BERTH}/dev/letters`);
  await page.until('document.readyState === "complete" && document.querySelectorAll("iframe").length > 5');
  await keep(page, 'letters');
  // A letter names pictures of the installation that it comes from: here they are not fetched.
  assert.deepEqual(page.complaints.filter((text) => !text.includes('img-src')), []);
  await page.close();
});

test('a policy that is broken is noticed', { skip }, async () => {
  const page = await browser.open(`${BERTH}/`);
  await page.until('document.readyState === "complete"');
  await page.value('document.body.append(Object.assign(document.createElement("script"), { textContent: "window.broken = 1" }))');
  assert.equal(await page.value('window.broken'), undefined);
  assert.ok(page.complaints.length > 0, 'the browser said nothing');
  await page.close();
});
