// What Chromium makes of answers to sites: the policy of the page holds for the whole chain of redirects after its form.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { issuer, listen, register } from "./lib/gatehouse.mjs";
import { launch, signIn, watch } from "./lib/chromium.mjs";

let chromium, site, elsewhere, shop;

before(async () => {
  chromium = await launch();
  elsewhere = await listen((request, response) => {
    response.setHeader("Content-Type", "text/html").end("<link rel=icon href=data:,><p id=landed>landed");
  }, "127.0.0.2");
  const callback = (request, response, body) => {
    const url = new URL(request.url, "http://site");
    if (url.pathname === "/on") {
      response.writeHead(303, { Location: `${elsewhere}/${url.search}` }).end();
    } else {
      response.setHeader("Content-Type", "text/html").end(`<link rel=icon href=data:,><p id=landed>${request.method} ${new URLSearchParams(body).has("code")}`);
    }
  };
  site = (await listen(callback)).replace("127.0.0.1", "localhost");
  shop = await register({
    name: "Shop",
    application_type: "WEB",
    require_pkce: false,
    redirect_uris: [`${site}/on`, `${site}/here`],
    post_logout_redirect_uris: [`${site}/on`],
  });
});
after(() => chromium.close());

const address = (redirect_uri, more = {}) =>
  `${issuer}/oauth/authorize?${new URLSearchParams({ client_id: shop.client_id, response_type: "code", scope: "openid", state: "s", redirect_uri, ...more })}`;

for (const javaScriptEnabled of [true, false]) {
  const how = javaScriptEnabled ? "with JavaScript" : "without JavaScript";

  test(`a callback that redirects on to another host, ${how}`, async () => {
    const context = await chromium.newContext({ javaScriptEnabled });
    const complaints = watch(context);
    const page = await context.newPage();
    await page.goto(address(`${site}/on`, { prompt: "consent" }));
    await signIn(page);
    // The page of consent is answered, which leads there as well.
    await page.waitForSelector("button[value=allow]");
    await page.click("button[value=allow]");
    await page.waitForURL(`${elsewhere}/**`);
    assert.equal(await page.textContent("#landed"), "landed");
    assert.match(page.url(), /code=gha_.*state=s|state=s.*code=gha_/);
    // From the session, without a page.
    await page.goto(address(`${site}/on`));
    assert.ok(page.url().startsWith(elsewhere));
    await page.goto(`${issuer}/oauth/logout?${new URLSearchParams({ client_id: shop.client_id, post_logout_redirect_uri: `${site}/on` })}`);
    await page.click("button.primary");
    await page.waitForURL(`${elsewhere}/**`);
    assert.deepEqual(complaints, []);
    await context.close();
  });

  test(`the answer as a form, ${how}`, async () => {
    const context = await chromium.newContext({ javaScriptEnabled });
    const complaints = watch(context);
    const page = await context.newPage();
    await page.goto(address(`${site}/here`, { response_mode: "form_post", prompt: "consent" }));
    await signIn(page);
    await page.waitForSelector("button[value=allow]");
    await page.click("button[value=allow]");
    if (!javaScriptEnabled) await page.click("button.primary");
    await page.waitForURL(`${site}/here`);
    assert.equal(await page.textContent("#landed"), "POST true");
    assert.deepEqual(complaints, []);
    await context.close();
  });
}
