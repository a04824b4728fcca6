// All pages: axe-core in every language, theme and width and with a colour of poor contrast, nothing loaded that is not
// ours, no complaint of the browser, sizes; then all of it again without JavaScript, by keyboard, at 400 % zoom.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { gzipSync } from "node:zlib";
import { after, before, describe, test } from "node:test";
import { base } from "./lib/gatehouse.mjs";
import { launch, watch } from "./lib/chromium.mjs";
import { walkLinks, walkMore, worlds as others } from "./more.mjs";
import { platform, walkPlatform } from "./platform.mjs";
import { keyboard, landing, mouse, walk, world } from "./walk.mjs";

const axe = readFileSync(new URL(import.meta.resolve("axe-core/axe.min.js")), "utf8");
const RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22a", "wcag22aa"];
// Those that look at colours. All others look at the document and where things are, which no theme changes.
const OF_COLOUR = { runOnly: { type: "rule", values: ["color-contrast", "link-in-text-block"] }, preload: false };
const KIB = 1024;
const logo = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 40 40"><rect width="40" height="40" rx="8" fill="#246"/></svg>`;

let chromium, worlds, more, mail;

before(async () => {
  chromium = await launch();
  const site = (await landing()).replace("127.0.0.1", "localhost");
  const settings = { registration: "open" };
  worlds = {
    plain: await world("Alder Works", { settings }, site),
    bright: await world("Bright", { settings, branding: { primary_color: "#ffe94d", logo_url: "https://logo.example/logo.svg" } }, site),
  };
  more = await others(site);
  mail = await platform(site);
});
after(() => chromium.close());

let visitors = 0;

// A browser of somebody at an address of its own.
async function open(world, options) {
  visitors += 1;
  const context = await chromium.newContext({ ...options, extraHTTPHeaders: { "X-Forwarded-For": `192.0.2.${visitors}` } });
  const complaints = watch(context);
  await context.route("https://logo.example/**", (route) => route.fulfill({ contentType: "image/svg+xml", body: logo }));
  // What pages load, beside themselves.
  context.on("request", (request) => {
    const { pathname, origin } = new URL(request.url());
    const isOurs = origin === base && (request.isNavigationRequest() || pathname === "/hosted.css" || pathname.endsWith("/oauth/brand.css") || pathname === "/favicon.ico" || pathname === "/link.js" || request.resourceType() === "fetch");
    if (!isOurs && origin !== world.site && origin !== "https://logo.example") complaints.push(`loaded ${request.url()}`);
  });
  return { context, complaints, page: await context.newPage() };
}

// How much each page and stylesheet is; the figures are those of the largest of each.
function weigh(context, found) {
  const largest = { html: [0, 0], css: [0, 0] };
  context.on("response", async (response) => {
    const type = response.headers()["content-type"] ?? "";
    if (!response.url().startsWith(base) || response.status() === 303 || !/^text\/(html|css)/.test(type)) return;
    const body = await response.body().catch(() => undefined);
    if (!body) return;
    const kind = type.startsWith("text/html") ? "html" : "css";
    const [most, mostPacked] = { html: [20, 3], css: [20, 12] }[kind];
    const packed = gzipSync(body).length;
    largest[kind] = [Math.max(largest[kind][0], body.length), Math.max(largest[kind][1], packed)];
    if (body.length > most * KIB || packed > mostPacked * KIB) found.push(`${response.url()}: ${body.length} bytes, ${packed} packed`);
  });
  return largest;
}

const THEMES = ["light", "dark"];
const SIZES = [{ width: 320, height: 640 }, { width: 1280, height: 900 }];

const isWide = () => document.documentElement.scrollWidth > document.documentElement.clientWidth;

// Screenshots are of English, in both colours, with light in a wide window and dark in a narrow one, and of German where
// there is least room.
const isShot = (locale, colorScheme, { width }) =>
  (locale === "en" && (colorScheme === "light") === (width > 320)) || (locale === "de" && colorScheme === "light" && width === 320);

async function judge(page, how, complaints, more) {
  if (await page.evaluate(() => typeof axe === "undefined")) await page.evaluate(axe);
  const options = { runOnly: { type: "tag", values: RULES }, resultTypes: ["violations"], ...more };
  const violations = await page.evaluate((options) => axe.run(options).then(({ violations }) => violations), options);
  for (const { id, nodes } of violations) complaints.push(`${how}: ${id} at ${nodes.map((node) => node.target).join(" ")}`);
}

// The colours of the other tenant on the same page: what they can break is contrast.
async function judgeInColour(page, how, complaints) {
  const url = `${worlds.bright.issuer}/oauth/brand.css`;
  const style = await page.addStyleTag({ url });
  await judge(page, `${how}, in a colour of poor contrast`, complaints, OF_COLOUR);
  await style.evaluate((node) => node.remove());
}

async function inspect(which, locale) {
  const world = worlds[which];
  const { context, page, complaints } = await open(world, { locale, viewport: SIZES[1] });
  const largest = weigh(context, complaints);
  const seen = new Set();
  const look = async (name) => {
    assert.ok(!seen.has(name), name);
    seen.add(name);
    if ((await page.getAttribute("html", "lang")) !== locale) complaints.push(`${name} is not in ${locale}`);
    for (const colorScheme of THEMES) {
      await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
      for (const size of SIZES) {
        await page.setViewportSize(size);
        const how = `${name}, ${colorScheme}, ${size.width}`;
        // Stylesheets are the same on all pages: the rules that read them do so once.
        await judge(page, how, complaints, colorScheme === "light" ? { preload: seen.size === 1 } : OF_COLOUR);
        if (which === "plain" && locale !== "en" && size === SIZES[0]) await judgeInColour(page, how, complaints);
        if (await page.evaluate(isWide)) complaints.push(`${how}: wider than the window`);
        if (!isShot(locale, colorScheme, size)) continue;
        const folder = `${process.env.SCREENS}/${which}-${locale}-${colorScheme}-${size.width}`;
        mkdirSync(folder, { recursive: true });
        await page.screenshot({ path: `${folder}/${name}.png`, fullPage: true });
      }
    }
  };
  await walk(world, page, mouse(page), look);
  if (which === "plain") {
    await walkMore(more, page, look);
    await walkPlatform(mail, [worlds.plain, worlds.bright], page, mouse(page), look);
  }
  await walkLinks(world, page, look);
  assert.deepEqual(complaints, []);
  assert.ok(seen.size >= 54, `${seen.size} pages`);
  assert.ok(largest.html[0] > 0 && largest.css[0] > 0, "nothing was weighed");
  console.log(`${which}, ${locale}: ${seen.size} pages; bytes, packed: HTML ${largest.html.join(", ")}, stylesheet ${largest.css.join(", ")}`);
  await context.close();
}

describe("axe-core, both themes, both widths", { concurrency: 2 }, () => {
  for (const locale of ["en", "es", "de"]) test(`plain, ${locale}`, () => inspect("plain", locale));
  test("bright, en", () => inspect("bright", "en"));
});

test("all of it without JavaScript, by keyboard, at 400 % zoom", async () => {
  const options = { locale: "de", javaScriptEnabled: false, viewport: { width: 320, height: 256 }, deviceScaleFactor: 4 };
  const { context, page, complaints } = await open(worlds.plain, options);
  const look = async (name) => {
    if (await page.evaluate(isWide)) complaints.push(`${name}: wider than the window`);
  };
  await walk(worlds.plain, page, keyboard(page), look);
  await walkPlatform(mail, [worlds.plain, worlds.bright], page, keyboard(page), look);
  assert.deepEqual(complaints, []);
  await context.close();
});

const NEEDS_SCRIPT = "the page says that it needs JavaScript; OAUTH.md 5 wants none to";
test("an invitation is accepted without JavaScript", { todo: NEEDS_SCRIPT }, async () => {
  const { context, page } = await open(worlds.plain, { javaScriptEnabled: false });
  await page.goto(`${worlds.plain.issuer}/invitation`);
  const usable = await page.locator("form input:visible").count();
  await context.close();
  assert.ok(usable > 0, "there is nothing to fill in");
});
