// What the page of the chat does in a browser, with two users. Called by `run` with the server's
// program and the folder for the screenshots.
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const [, , program, folder] = process.argv;
// How long anything may take, on a machine that is busy.
const PATIENCE = 20_000;
// What would run if it were taken for markup.
const MARKUP = "<img src=x onerror=\"document.title='taken'\"><b>bold</b>";

async function main() {
  const server = spawn(program, ["127.0.0.1:0"], { stdio: ["ignore", "inherit", "pipe"] });
  let browser;
  try {
    const address = await listens(server);
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      // Its sandbox does not take root.
      args: process.getuid() === 0 ? ["--no-sandbox"] : [],
    });
    await check(browser, address, server);
  } finally {
    await browser?.close();
    server.kill();
  }
}

function listens(server) {
  const lines = readline.createInterface({ input: server.stderr });
  return new Promise((resolve, reject) => {
    lines.on("line", (line) => {
      const found = line.match(/^listening on (http:\S+)$/);
      if (found) resolve(found[1]);
    });
    lines.on("close", () => reject(new Error("the server says nowhere where it listens")));
  });
}

const complaints = [];

// A user has a browser of its own, and so its own cookies.
async function visit(browser, address, colorScheme) {
  const context = await browser.newContext({
    viewport: { width: 1200, height: 760 }, colorScheme, locale: "en-GB",
  });
  const page = await context.newPage();
  page.setDefaultTimeout(PATIENCE);
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(address);
  return page;
}

async function check(browser, address, server) {
  const ada = await visit(browser, address, "light");
  const bob = await visit(browser, address, "dark");
  await step("who comes is asked for a name", async () => {
    await screenshot(ada, "door");
    await logIn(ada, "Ada");
    await logIn(bob, "Bob");
  });
  await step("each sees who is there", () => Promise.all([ada, bob].map((page) => (
    page.waitForFunction(() => document.getElementById("names").children.length === 2)
  ))));
  await step("what one says the other reads", async () => {
    const words = ["Hello, Bob!", "The page and the login are axum's.", "This went by the engine."];
    for (const word of words) await say(ada, word);
    await reads(bob, words.at(-1));
    await say(bob, "And this came back the same way.");
    await reads(ada, "And this came back the same way.");
    assert.deepEqual(await said(ada), await said(bob));
  });
  await step("markup stays text", async () => {
    await say(bob, MARKUP);
    await reads(ada, MARKUP);
    assert.equal(await ada.locator("#said img, #said li b b").count(), 0);
    assert.equal(await ada.title(), "Ringwire chat");
  });
  await step("another room has other words", async () => {
    await bob.getByRole("button", { name: "music" }).click();
    await say(bob, "Is anybody here?");
    await ada.locator("#rooms .unread").waitFor();
    assert.ok(!(await said(ada)).includes("Is anybody here?"));
    await ada.getByRole("button", { name: "music" }).click();
    await reads(ada, "Is anybody here?");
    await ada.getByRole("button", { name: "lobby" }).click();
    await bob.getByRole("button", { name: "lobby" }).click();
  });
  await screenshot(ada, "light");
  await screenshot(bob, "dark");
  await step("who comes back reads what was said", async () => {
    const before = await said(ada);
    await ada.reload();
    await reads(ada, MARKUP);
    assert.deepEqual(await said(ada), before);
  });
  await step("a narrow window shows it all", async () => {
    await bob.setViewportSize({ width: 390, height: 780 });
    const overflow = () => document.documentElement.scrollWidth > innerWidth;
    assert.equal(await bob.evaluate(overflow), false, "nothing stands out at the side");
    await screenshot(bob, "narrow");
  });
  await step("who logs out has gone", async () => {
    await bob.getByRole("button", { name: "Log out" }).click();
    await bob.locator("#door").waitFor();
    await ada.waitForFunction(() => document.getElementById("names").children.length === 1);
  });
  await step("the end of the server is told", async () => {
    server.kill();
    await ada.waitForFunction(() => (
      document.getElementById("state").dataset.state === "closed, 1001"
    ));
  });
  assert.deepEqual(complaints, [], "the browser complains of nothing");
}

async function step(name, action) {
  const begun = Date.now();
  await action();
  console.log(`${name}: ok, ${Date.now() - begun} ms`);
}

async function logIn(page, name) {
  await page.locator("#name").fill(name);
  await page.getByRole("button", { name: "Come in" }).click();
  await page.waitForFunction(() => document.getElementById("state").dataset.state === "open");
  assert.equal(await page.locator("#me").textContent(), name);
}

async function say(page, text) {
  await page.locator("#text").fill(text);
  await page.locator("#text").press("Enter");
  await reads(page, text);
}

// Without the name before it and the time behind it.
const said = (page) => page.$$eval("#said li", (items) => items.map((item) => (
  [...item.childNodes].filter(({ nodeType }) => nodeType === 3).map((it) => it.data).join("")
)));

const reads = (page, text) => page.waitForFunction((text) => (
  [...document.querySelectorAll("#said li")].at(-1)?.textContent.includes(text)
), text);

const screenshot = (page, name) => page.screenshot({ path: path.join(folder, `${name}.png`) });

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
