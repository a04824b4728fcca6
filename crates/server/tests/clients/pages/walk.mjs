// The way through every hosted page and every state of one that a person can bring about.

import { api, base, listen, PLATFORM, register, setting, tenant, user } from "./lib/gatehouse.mjs";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
export const PASSWORD = setting("GATEHOUSE_PASSWORD");
const SCOPES = "openid profile email phone roles attributes offline_access account:read account:write stock:read";

// Where applications are: nothing but a page that says so.
export const LANDED = "#landed";
export const landing = () =>
  listen((request, response) => {
    response.setHeader("Content-Type", "text/html").end("<!doctype html><html lang=en><title>Landed</title><link rel=icon href=data:,><h1 id=landed>Landed</h1>");
  });

// A tenant with everything that the way needs.
export async function world(name, more, site) {
  const made = await tenant({ name, ...more });
  const callback = `${site}/callback`;
  const common = { application_type: "WEB", require_pkce: false, redirect_uris: [callback], post_logout_redirect_uris: [callback] };
  const known = { client_uri: "https://shop.example/", policy_uri: "https://shop.example/privacy", tos_uri: "https://shop.example/terms" };
  const scopes = [{ name: "stock:read", description: "See what is in the warehouse" }];
  await register({ name: "Stock", application_type: "SERVICE", resource_uris: ["https://stock.example/"], resource_scopes: scopes }, made.id);
  const shop = await register({ name: "Alder Shop", ...common, ...known, allowed_scopes: SCOPES.split(" "), allowed_resources: ["https://stock.example/"] }, made.id);
  const closed = await register({ name: "Closed Shop", ...common }, made.id);
  await api("PATCH", `/tenants/${made.id}/applications/${closed.id}`, { status: "SUSPENDED" }, PLATFORM);
  const television = await register({ name: "Living room television", application_type: "NATIVE", grant_types: [DEVICE, "refresh_token"] }, made.id);
  for (const username of ["ada", "lost", "late"]) await user(made, username, { display_name: { ada: "Ada Lovelace" }[username] });
  const at = (path, parameters = {}) => `${made.issuer}${path}?${new URLSearchParams(parameters)}`;
  const asks = { client_id: shop.client_id, response_type: "code", scope: "openid profile email", state: "s", redirect_uri: callback };
  const authorize = (more = {}) => at("/oauth/authorize", { ...asks, ...more });
  return { ...made, site, shop, closed, television, at, asks, authorize };
}

export async function waitingDevice(world) {
  const form = new URLSearchParams({ client_id: world.television.client_id, scope: "openid profile email" });
  return await (await fetch(`${world.issuer}/oauth/device_authorization`, { method: "POST", body: form })).json();
}

// Who acts on a page: with a mouse, which also sends what a browser would hold back, or with the keyboard alone.
export function mouse(page) {
  return {
    type: (selector, text) => page.fill(selector, text),
    press: (selector) => page.locator(selector).first().click(),
    sendAnyway: async (selector) => {
      await page.locator(selector).first().evaluate((button) => { button.form.noValidate = true; });
      await page.locator(selector).first().click();
    },
  };
}

export function keyboard(page) {
  const reach = async (selector) => {
    const target = page.locator(selector).first();
    for (let tabs = 0; tabs < 40; tabs += 1) {
      const { isThere, isSeen, isMarked } = await target.evaluate((element) => {
        const { top, bottom } = element.getBoundingClientRect();
        const { outlineStyle, outlineWidth } = getComputedStyle(element);
        return {
          isThere: element === document.activeElement,
          isSeen: bottom > 0 && top < innerHeight,
          isMarked: outlineStyle !== "none" && parseFloat(outlineWidth) >= 2,
        };
      });
      if (isThere) {
        if (!isSeen) throw new Error(`${selector} has the focus and cannot be seen`);
        if (!isMarked) throw new Error(`${selector} has the focus and does not show it`);
        return;
      }
      await page.keyboard.press("Tab");
    }
    throw new Error(`${selector} cannot be reached with the keyboard on ${page.url()}`);
  };
  return {
    hasNoScript: true,
    type: async (selector, text) => {
      await reach(selector);
      await page.keyboard.press("Control+A");
      await page.keyboard.type(text);
    },
    press: async (selector) => {
      await reach(selector);
      await page.keyboard.press("Enter");
    },
  };
}

// How one comes from page to page: each has come before anything is done on it.
export function ways(page, hands) {
  const arrives = async (doing, what = "main h1") => {
    const came = page.waitForEvent("domcontentloaded");
    await doing;
    await came;
    await page.locator(what).first().waitFor();
  };
  return {
    go: async (url, what = "main h1") => {
      await page.goto(url, { waitUntil: "domcontentloaded" });
      await page.locator(what).first().waitFor();
    },
    press: (selector, what) => arrives(hands.press(selector), what),
    anyway: (selector) => arrives(hands.sendAnyway(selector)),
    untilTooMany: async (attempt) => {
      for (let number = 0; number < 12; number += 1) {
        const answered = page.waitForResponse((response) => response.request().method() === "POST");
        await attempt();
        if ((await answered).status() === 429) return;
      }
      throw new Error("twelve attempts were taken");
    },
  };
}

// Goes all the way, and says where it ended if it ended too soon. `look(name)` is called on each page; `hands` act on it. What takes a browser that does not check
// forms, or a script, is left out where `hands` cannot.
export async function walk(world, page, hands, look) {
  let last = "the beginning";
  const noted = async (name) => { last = name; await look(name); };
  try {
    await goAllTheWay(world, page, hands, noted);
  } catch (error) {
    throw new Error(`after ${last}, at ${page.url()}: ${error.stack}`);
  }
}

async function goAllTheWay(world, page, hands, look) {
  const { authorize, at, asks, site } = world;
  const { sendAnyway, hasNoScript } = hands;
  const { go, press, anyway, untilTooMany } = ways(page, hands);
  const signIn = async (username, password, what) => {
    await hands.type("#username", username);
    await hands.type("#password", password);
    await press("button.primary", what);
  };
  // Errors that are no way of the application's.
  for (const [name, url] of Object.entries({
    "error-application": authorize({ client_id: "app_unknown" }),
    "error-redirect": authorize({ redirect_uri: "https://evil.example/" }),
    "error-no-redirect": at("/oauth/authorize", { client_id: asks.client_id, response_type: "code" }),
    "error-repeated": `${authorize()}&client_id=again`,
    "error-suspended-application": authorize({ client_id: world.closed.client_id }),
    "error-too-large": authorize({ state: "s".repeat(17_000) }),
    "error-not-found": `${base}/nothing-here`,
    "error-method": `${world.issuer}/oauth/sign-in`,
  })) {
    await go(url);
    await look(name);
  }

  // Signing in, and what can go wrong.
  await go(authorize());
  await look("sign-in");
  if (sendAnyway) {
    await anyway("button.primary");
    await look("sign-in-no-username");
    await hands.type("#username", "ada");
    await anyway("button.primary");
    await look("sign-in-no-password");
  }
  await signIn("ada", "surely another password");
  await look("sign-in-wrong");
  await untilTooMany(() => signIn("late", "surely another password"));
  await look("sign-in-wait");
  await go(authorize({ login_hint: "ada@example.com" }));
  await look("sign-in-hint");
  await page.context().clearCookies();
  await signIn("ada", PASSWORD);
  await look("sign-in-other-browser");
  if (sendAnyway) {
    await page.locator("input[name=request]").first().evaluate((field) => { field.value = "torn"; });
    await signIn("ada", PASSWORD);
    await look("error-lost");
  }

  // Forgotten password.
  await go(authorize());
  await press("form[action*=forgot] button");
  await look("forgot");
  if (sendAnyway) {
    await anyway("button.primary");
    await look("forgot-missing");
    await hands.type("#email", "nobody");
    await anyway("button.primary");
    await look("forgot-no-address");
  }
  await hands.type("#email", "nobody@example.com");
  await press("button.primary");
  await look("forgot-sent");
  await press("button[value=another]");

  // A new account, and what can go wrong.
  await press("form[action*=sign-up] button");
  await look("sign-up");
  if (sendAnyway) {
    await anyway("button.primary");
    await look("sign-up-missing");
    await hands.type("#username", "not a name");
    await hands.type("#email", "nobody");
    await hands.type("#password", "short");
    await anyway("button.primary");
    await look("sign-up-invalid");
  }
  const fill = async (username, email, password) => {
    await hands.type("#username", username);
    await hands.type("#email", email);
    await hands.type("#password", password);
  };
  await fill("ada", "ada@example.com", PASSWORD);
  await press("button.primary");
  await look("sign-up-taken");
  await fill("new", "new@example.com", "aaaaaaaaaaaaaaaaaaaaaa");
  await press("button.primary");
  await look("sign-up-weak");

  // Consent, with little and with everything.
  await go(authorize({ prompt: "consent" }));
  await signIn("ada", PASSWORD);
  await look("consent");
  await press("button[value=refuse]", LANDED);
  await go(authorize({ prompt: "consent", scope: SCOPES, resource: "https://stock.example/" }));
  await look("consent-resource");
  await go(authorize({ prompt: "consent", scope: SCOPES }));
  await look("consent-everything");
  await go(authorize({ prompt: "consent", scope: "openid" }));
  await look("consent-nothing");
  await press("button[value=allow]", LANDED);
  // The page of an answer as a form sends it by itself; to be looked at it comes without its script.
  const isFormPost = (url) => url.searchParams.get("response_mode") === "form_post";
  const withoutScript = async (route) => {
    const response = await route.fetch();
    await route.fulfill({ response, body: (await response.text()).replace(/<script>.*?<\/script>/s, "") });
  };
  if (!hasNoScript) await page.route(isFormPost, withoutScript);
  await go(authorize({ response_mode: "form_post" }));
  await look("form-post");
  await press("button.primary", LANDED);
  if (!hasNoScript) await page.unroute(isFormPost);

  // Who is signed in already.
  await go(authorize({ prompt: "select_account" }));
  await look("select-account");
  await press("button[value=another]");
  await look("sign-in-signed-in");
  await go(authorize({ prompt: "select_account" }));
  await press("button[value^=ses_]", LANDED);

  // Devices.
  await go(`${base}/device`);
  await look("device-code");
  await hands.type("#user_code", "bcdf-ghjk");
  await press("button.primary");
  await look("device-wrong");
  if (sendAnyway) {
    await page.fill("#user_code", "");
    await anyway("button.primary");
    await look("device-missing");
  }
  let device = await waitingDevice(world);
  await go(device.verification_uri_complete);
  await look("device-filled");
  await press("button.primary");
  await look("device");
  await press("button[value=allow]");
  await look("device-done");
  device = await waitingDevice(world);
  await go(device.verification_uri);
  await hands.type("#user_code", device.user_code.toLowerCase().replace("-", " "));
  await press("button.primary");
  await press("button[value=refuse]");
  await look("device-refused");
  if (sendAnyway) {
    await go(`${base}/device`);
    await untilTooMany(async () => {
      await hands.type("#user_code", "bcdf-ghjk");
      await press("button.primary");
    });
    await look("device-wait");
  }

  // Signing out.
  await go(at("/oauth/logout"));
  await look("sign-out");
  await press("button.primary");
  await look("signed-out");
  await go(at("/oauth/logout", { client_id: asks.client_id, post_logout_redirect_uri: `${site}/callback` }), LANDED);
  await go(device.verification_uri_complete);

  // The pages of accounts that nobody came to from an application.
  await go(`${world.issuer}/forgot`);
  await look("forgot-alone");
  await hands.type("#email", "nobody@example.com");
  await press("button.primary");
  await look("forgot-sent-alone");
  await go(`${world.issuer}/sign-up`);
  await look("sign-up-alone");
  if (hasNoScript) {
    await go(`${world.issuer}/password-reset`);
    await look("password-reset-no-script");
  }
}
