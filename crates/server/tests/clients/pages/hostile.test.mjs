// Texts of attackers in everything that a page shows or takes: nothing of them becomes a node, a script, or a request.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { api, PLATFORM, setting } from "./lib/gatehouse.mjs";
import { launch, watch } from "./lib/chromium.mjs";
import { landing, mouse, walk, world } from "./walk.mjs";

const PAYLOADS = [
  `"><img src=x onerror=alert(1)><i data-hostile>`,
  `</title></style></script><script data-hostile>alert(2)</script>`,
  `' onfocus=alert(3) autofocus data-hostile='`,
  `{{7*7}}\${7*7}<svg data-hostile onload=alert(4)>`,
  `&lt;b data-hostile&gt;&#x3c;script&#x3e;`,
  `javascript:alert(5)//<a data-hostile href=javascript:alert(5)>`,
];
// Addresses of logos that the API takes; the policy of a page must not be widened by them.
const LOGOS = [`https://logo.example/a'b;script-src*.svg`, `https://logo.example/$&'()*+,;=:@%22%3E%3Cimg%20src=x%3E`];

let chromium, site;

before(async () => {
  chromium = await launch();
  site = (await landing()).replace("127.0.0.1", "localhost");
});
after(() => chromium.close());

const isClean = () => ({
  nodes: document.querySelectorAll("[data-hostile], script, iframe, object, embed, base, [onerror], [onload], [onfocus]").length,
  links: [...document.querySelectorAll("a, form, img, link")].map((node) => node.href || node.src || node.getAttribute("action")).filter((url) => /^(javascript|data):/i.test(url)),
});

// Each payload once as a name of something; what a request carries is all of them.
const everything = PAYLOADS.join(" ");
for (const number of [0, 1]) {
  const [ofTenant, ofApplication, ofUser] = PAYLOADS.slice(3 * number).map((payload) => payload.slice(0, 100));
  test(`as names, state, login_hint, ui_locales and User-Agent: ${ofTenant} ${ofApplication} ${ofUser}`, async () => {
    const branding = { logo_url: LOGOS[number], primary_color: "#246810" };
    const hostile = await world(`Hostile ${number}`, { settings: { registration: "open" }, branding }, site);
    await api("PATCH", `/admin/tenants/${hostile.id}`, { name: ofTenant }, PLATFORM);
    for (const application of [hostile.shop, hostile.television, hostile.closed]) {
      await api("PATCH", `/tenants/${hostile.id}/applications/${application.id}`, { name: ofApplication, description: everything }, PLATFORM);
    }
    const [ada] = await api("GET", `/tenants/${hostile.id}/users?search=ada`, undefined, PLATFORM);
    await api("PATCH", `/tenants/${hostile.id}/users/${ada.id}`, { display_name: ofUser }, PLATFORM);
    const { authorize } = hostile;
    hostile.authorize = (more = {}) => authorize({ state: everything, nonce: everything, login_hint: everything, ui_locales: everything, ...more });

    const context = await chromium.newContext({ userAgent: `Mozilla/5.0 ${everything}`, extraHTTPHeaders: { "X-Forwarded-For": `198.51.100.${number + 1}` } });
    const complaints = watch(context);
    await context.route("https://logo.example/**", (route) => route.fulfill({ contentType: "image/svg+xml", body: "<svg xmlns='http://www.w3.org/2000/svg'/>" }));
    const page = await context.newPage();
    await walk(hostile, page, mouse(page), async (where) => {
      const { nodes, links } = await page.evaluate(isClean);
      if (nodes > 0 || links.length > 0) complaints.push(`${where}: ${nodes} nodes, ${links}`);
    });
    // What was sent as `state` comes back as it was.
    await page.goto(hostile.authorize());
    await page.fill("#username", "ada");
    await page.fill("#password", setting("GATEHOUSE_PASSWORD"));
    await page.press("#password", "Enter");
    await page.waitForSelector("#landed");
    assert.equal(new URL(page.url()).searchParams.get("state"), everything);
    assert.deepEqual(complaints, []);
    await context.close();
  });
}

test("a logo that never comes holds up no page", async () => {
  const hanging = await world("Hanging", { branding: { logo_url: "https://logo.example/never.svg" } }, site);
  const context = await chromium.newContext();
  const complaints = watch(context);
  // The request is not answered.
  let asked = 0;
  await context.route("https://logo.example/**", () => { asked += 1; });
  const page = await context.newPage();
  await page.goto(hanging.authorize(), { waitUntil: "domcontentloaded" });
  await page.waitForSelector("#password");
  const painted = await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
  assert.ok((await painted.jsonValue()) < 2_000);
  assert.ok(asked > 0, "the logo was not asked for");
  await page.fill("#username", "ada");
  await page.fill("#password", setting("GATEHOUSE_PASSWORD"));
  await page.press("#password", "Enter");
  await page.waitForSelector("#landed");
  assert.deepEqual(complaints, []);
  await context.close();
});
