// What other settings of a tenant bring about, and the pages of mailed links.

import { api, base, PLATFORM, tenant, user } from "./lib/gatehouse.mjs";
import { PASSWORD, world } from "./walk.mjs";

// A tenant that wants confirmed addresses and allows one session, one where nobody opens an account, one that is suspended.
export async function worlds(site) {
  const settings = { registration: "open", require_verified_email: true, max_sessions_per_user: 1, session_limit_action: "refuse" };
  const strict = await world("Strict", { settings }, site);
  const full = await user(strict, "full");
  await api("PATCH", `/tenants/${strict.id}/users/${full.id}`, { email_verified: true }, PLATFORM);
  const form = new URLSearchParams({ username: "full", password: PASSWORD });
  const signedIn = await fetch(`${strict.issuer}/login`, { method: "POST", body: form });
  if (!signedIn.ok) throw new Error(`login: ${signedIn.status} ${await signedIn.text()}`);
  const closed = await tenant({ name: "Closed", settings: { registration: "closed" } });
  const suspended = await world("Suspended", {}, site);
  await api("PATCH", `/admin/tenants/${suspended.id}`, { status: "SUSPENDED" }, PLATFORM);
  return { strict, closed, suspended };
}

let accounts = 0;

export async function walkMore({ strict, closed, suspended }, page, look) {
  const arrives = async (doing) => {
    const came = page.waitForEvent("domcontentloaded");
    await doing;
    await came;
  };
  const send = () => arrives(page.click("main button.primary"));
  accounts += 1;

  await page.goto(suspended.authorize());
  await look("error-suspended-tenant");
  await page.goto(`${closed.issuer}/sign-up`);
  await look("sign-up-closed");

  for (const [username, name] of [["ada", "sign-in-not-confirmed"], ["full", "sign-in-no-more-sessions"]]) {
    await page.goto(strict.authorize());
    await page.fill("#username", username);
    await page.fill("#password", PASSWORD);
    await send();
    await look(name);
  }
  await arrives(page.click("form[action*=sign-up] button"));
  await page.fill("#username", `fresh${accounts}`);
  await page.fill("#email", `fresh${accounts}@example.com`);
  await page.fill("#password", PASSWORD);
  await send();
  await look("signed-up");

  // A form of another site.
  await page.goto("about:blank");
  await page.setContent(`<form method="post" action="${strict.issuer}/oauth/sign-in"><input name="request" value="x"><button>Go</button></form>`);
  await arrives(page.click("button"));
  await look("error-cross-site");
}

// The pages of mailed links; they have a script, which keeps the secret out of logs.
export async function walkLinks(world, page, look) {
  accounts += 1;
  const { invitation } = await api("POST", `/tenants/${world.id}/users`, { username: `guest${accounts}`, email: `guest${accounts}@example.com`, delivery: "link" }, PLATFORM);
  const said = (text) => page.waitForFunction((text) => document.querySelector("#message")?.textContent && !document.querySelector("#message").textContent.includes(text), text);
  const moment = { en: "One moment", es: "Un momento", de: "Einen Moment" }[await page.evaluate(() => navigator.language)];
  const open = async (path, secret) => {
    // Another fragment alone loads nothing.
    await page.goto("about:blank");
    await page.goto(`${base}/${path}#${world.slug}/${secret}`);
    await page.waitForURL(`${world.issuer}/${path}**`);
  };
  const fill = async (password, again = password) => {
    await page.fill("#password", password);
    await page.fill("#again", again);
    await page.click("button.primary");
    await said(moment);
  };

  await open("invitation", invitation.token);
  await look("invitation");
  await fill("one thing or the other", "another thing or the one");
  await look("invitation-differ");
  await fill("aaaaaaaaaaaaaaaaaaaaaaa");
  await look("invitation-weak");
  await fill(PASSWORD);
  await look("invitation-done");
  await open("invitation", invitation.token);
  await fill(PASSWORD);
  await look("invitation-stale");
  await page.goto(`${base}/invitation`);
  await look("invitation-incomplete");
  await open("password-reset", "ghr_nothing");
  await look("password-reset");
  await fill(PASSWORD);
  await look("password-reset-stale");
  await open("email", "ghe_nothing");
  await look("email");
  await page.click("button.primary");
  await said(moment);
  await look("email-stale");
}
