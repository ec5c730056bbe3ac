// What the page of the market does in a browser. Called by `run` with the server's program and the
// folder for the screenshots.
"use strict";

const assert = require("node:assert/strict");
const { spawn } = require("node:child_process");
const path = require("node:path");
const readline = require("node:readline");
const { chromium } = require("playwright-core");

const [, , program, folder] = process.argv;
const RATE = 3000;
// How long anything may take, on a machine that is busy.
const PATIENCE = 20_000;
// What lies between the server and a slow client takes seconds to fill, and as many to empty.
const SLOW_PATIENCE = 45_000;

async function main() {
  const options = ["--listen", "127.0.0.1:0", "--instruments", "1000", "--rate", String(RATE)];
  const server = spawn(program, options, { stdio: ["ignore", "pipe", "inherit"] });
  let browser;
  try {
    const address = await listens(server);
    browser = await chromium.launch({
      executablePath: process.env.CHROMIUM,
      // Its sandbox does not take root.
      args: process.getuid() === 0 ? ["--no-sandbox"] : [],
    });
    await check(browser, `http://${address}/`, server);
  } finally {
    await browser?.close();
    server.kill();
  }
}

async function listens(server) {
  for await (const line of readline.createInterface({ input: server.stdout })) {
    const found = line.match(/ws:\/\/(\S+)/);
    if (found) return found[1];
  }
  throw new Error("the server says nowhere where it listens");
}

async function check(browser, address, server) {
  const page = await browser.newPage({ viewport: { width: 1440, height: 900 } });
  page.setDefaultTimeout(PATIENCE);
  const complaints = [];
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => {
    if (["error", "warning"].includes(message.type())) complaints.push(message.text());
  });
  await page.goto(address);
  await step("the page connects", () => connects(page));
  await step("prices move", () => pricesMove(page));
  await step("the chart is drawn", () => chartIsDrawn(page));
  await step("messages and latency are measured", () => isMeasured(page, 100));
  await step("a bad pattern is answered", () => badPattern(page));
  await screenshot(page, "fast");
  await step("a slow client is sent the newest", () => slowIsConflated(page));
  await step("a narrow window shows it all", () => narrow(page));
  await step("the binary encoding says the same in less", async () => {
    await page.getByText("Binary", { exact: true }).click();
    await connects(page);
    await pricesMove(page);
    await isMeasured(page, 30);
  });
  await step("what is unsubscribed goes", async () => {
    await page.locator("#patterns button").first().click();
    await page.waitForFunction(() => document.querySelectorAll("#rows tr").length === 0);
  });
  await step("the end of the server is told", async () => {
    server.kill();
    await page.waitForFunction(() => document.getElementById("state").dataset.state === "closed");
    assert.equal(await text(page, "state"), "closed, 1001");
    assert.ok(await page.locator("#connect").isVisible());
  });
  assert.deepEqual(complaints, [], "the browser complains of nothing");
}

async function step(name, action) {
  const begun = Date.now();
  await action();
  console.log(`${name}: ok, ${Date.now() - begun} ms`);
}

async function connects(page) {
  await page.waitForFunction(() => document.getElementById("state").textContent === "open");
  await page.waitForFunction(() => document.querySelectorAll("#rows tr").length === 60);
  await page.waitForFunction(() => document.querySelector("#patterns li"));
}

const text = (page, id) => page.locator(`#${id}`).textContent();
const lastPrices = (page) =>
  page.$$eval("#rows td:nth-child(4)", (cells) => cells.map((cell) => cell.textContent));

async function pricesMove(page) {
  const before = await lastPrices(page);
  assert.ok(before.every((price) => /^\d+\.\d{2,4}$/.test(price)), before.join(" "));
  await page.waitForFunction((before) => {
    const cells = [...document.querySelectorAll("#rows td:nth-child(4)")];
    return cells.filter((cell, index) => cell.textContent !== before[index]).length > 30;
  }, before);
}

async function chartIsDrawn(page) {
  await page.waitForFunction(() => {
    const canvas = document.getElementById("canvas");
    const { width, height } = canvas;
    // A copy, because the browser complains of a canvas that is drawn to and read by turns.
    const copy = new OffscreenCanvas(width, height).getContext("2d", { willReadFrequently: true });
    copy.drawImage(canvas, 0, 0);
    const { data } = copy.getImageData(0, 0, width, height);
    return data.filter((value, index) => index % 4 === 3 && value > 0).length > 1000;
  });
}

// The rate is the server's, a message has more bytes than `bytesMin`, and the latency is one.
async function isMeasured(page, bytesMin) {
  await page.waitForFunction(([rate, bytesMin]) => {
    const [messages, bytes, unit] = [
      ...[document.getElementById("rate").textContent.replaceAll(",", "")],
      ...document.getElementById("bytes").textContent.split(" "),
    ];
    const size = bytes * (unit === "MiB/s" ? 1024 ** 2 : 1024) / messages;
    return messages > rate * 0.7 && messages < rate * 1.3
      && size > bytesMin && size < bytesMin * 2;
  }, [RATE, bytesMin]);
  for (const id of ["p50", "p99", "p999"]) {
    assert.match(await text(page, id), /^[\d.]+ (µs|ms|s)$/);
  }
}

async function badPattern(page) {
  await page.locator("#pattern").fill("prices..*");
  await page.locator("#pattern").press("Enter");
  await page.waitForFunction(() => document.getElementById("error").textContent);
  assert.match(await text(page, "error"), /empty token at byte 7/);
  assert.equal(await page.locator("#patterns li").count(), 1, "what was subscribed stays");
  assert.equal(await text(page, "state"), "open");
}

const skipped = async (page) => Number((await text(page, "skipped")).replaceAll(",", ""));

async function slowIsConflated(page) {
  // Not zero, where the machine was so busy that the last values were waited for.
  const before = await skipped(page);
  await page.locator("#slow").click();
  assert.equal(await text(page, "state"), "slow");
  await page.waitForFunction((before) => (
    Number(document.getElementById("skipped").textContent.replaceAll(",", "")) > before + 1000
  ), before, { timeout: SLOW_PATIENCE });
  await screenshot(page, "slow");
  // What another client is told of an instrument now, the slow one shows when it has read on.
  const { topic, sequence } = await lastValue(page);
  await page.waitForFunction(([topic, sequence]) => (
    Number(document.querySelector(`tr[data-topic="${topic}"]`).dataset.sequence) >= sequence
  ), [topic, sequence], { timeout: SLOW_PATIENCE });
  await page.locator("#slow").click();
  assert.equal(await text(page, "state"), "open");
  await pricesMove(page);
  // It misses nothing any more, once it has read what was left.
  await page.waitForFunction(async () => {
    const before = document.getElementById("skipped").textContent;
    await new Promise((resolve) => { setTimeout(resolve, 1000); });
    return document.getElementById("skipped").textContent === before;
  });
}

// The last value of the busiest instrument, asked for by a connection of its own.
const lastValue = (page) => page.evaluate(() => new Promise((resolve, reject) => {
  const { topic } = document.querySelector("#rows tr").dataset;
  const socket = new WebSocket(`ws://${location.host}/`, "market.json.v1");
  socket.onopen = () => socket.send(JSON.stringify({ type: "subscribe", topics: [topic] }));
  socket.onerror = () => reject(new Error("it does not open"));
  socket.onmessage = ({ data }) => {
    resolve(JSON.parse(data));
    socket.close();
  };
}));

async function narrow(page) {
  await page.setViewportSize({ width: 400, height: 860 });
  await page.emulateMedia({ colorScheme: "dark" });
  await chartIsDrawn(page);
  const overflow = () => document.documentElement.scrollWidth > innerWidth;
  assert.equal(await page.evaluate(overflow), false, "nothing stands out at the side");
  await screenshot(page, "narrow", true);
  await page.setViewportSize({ width: 1440, height: 900 });
}

const screenshot = (page, name, fullPage = false) =>
  page.screenshot({ path: path.join(folder, `${name}.png`), fullPage });

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
