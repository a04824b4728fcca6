// The way through the pages of the platform's issuer: the address first, then the password, accounts of several tenants.

import { api, base, PLATFORM } from "./lib/gatehouse.mjs";
import { LANDED, PASSWORD, ways } from "./walk.mjs";

const ISSUER = `${base}/api/v1/platform/oauth`;

// An application of the platform.
export async function platform(site) {
  const callback = `${site}/callback`;
  const body = { name: "Alder Mail", application_type: "WEB", scope_level: "GLOBAL", require_pkce: false, redirect_uris: [callback] };
  const { client_id } = await api("POST", "/admin/applications", body, PLATFORM);
  const asks = { client_id, response_type: "code", scope: "openid profile email", state: "s", redirect_uri: callback };
  return (more = {}) => `${ISSUER}/authorize?${new URLSearchParams({ ...asks, ...more })}`;
}

// Goes that way as Ada, who has an account in each of two tenants under one address.
export async function walkPlatform(authorize, [first, second], page, hands, look) {
  const { go, press, anyway, untilTooMany } = ways(page, hands);
  const nameAddress = async (address) => {
    await hands.type("#username", address);
    await press("button.primary", "#password");
  };
  const signIn = async (tenant, password, what) => {
    await hands.type("#password", password);
    await hands.type("#tenant", tenant.slug);
    await press("button.primary", what);
  };

  await go(authorize({ client_id: "app_unknown" }));
  await look("platform-error");
  await go(authorize());
  await look("platform-address");
  if (hands.sendAnyway) {
    await anyway("button.primary");
    await look("platform-address-missing");
  }
  // Nobody has this address, and the page does not tell.
  await nameAddress("nobody@example.com");
  await look("platform-password-nobody");
  await press("button[value=another]", "#username");
  await nameAddress("ada@example.com");
  await look("platform-password");
  if (hands.sendAnyway) {
    await anyway("button.primary");
    await look("platform-password-missing");
  }
  await signIn(first, "surely another password");
  await look("platform-wrong");
  await signIn(first, PASSWORD, LANDED);

  // The session of this browser is offered; another account comes beside it.
  await go(authorize({ prompt: "select_account" }));
  await look("platform-select-account");
  await press("button[value=another]", "#username");
  await look("platform-address-signed-in");
  await nameAddress("ada@example.com");
  await signIn(second, PASSWORD, LANDED);
  await go(authorize({ prompt: "select_account" }));
  await look("platform-select-account-of-two");
  await press("button[value^=ses_]", LANDED);
  await go(authorize({ prompt: "consent" }));
  await look("platform-consent");
  await press("button[value=refuse]", LANDED);

  await go(`${ISSUER}/logout`);
  await look("platform-sign-out");
  await press("button.primary");
  await look("platform-signed-out");

  await page.context().clearCookies();
  await go(authorize());
  await nameAddress("late@example.com");
  await untilTooMany(() => signIn(first, "surely another password"));
  await look("platform-wait");
}
