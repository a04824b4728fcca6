// Debian's Chromium, and what it complains of.

import { chromium } from "playwright-core";
import { setting } from "./gatehouse.mjs";

export const launch = () =>
  chromium.launch({ executablePath: "/usr/bin/chromium", args: process.getuid?.() === 0 ? ["--no-sandbox"] : [] });

// Collects what must not happen on any page of a context: dialogs, and whatever the console shows as an error, reports of
// the content security policy among them. An answer with a status of 400 or more is an error to the console, too; those
// that a check brings about are counted by the check itself.
export function watch(context) {
  context.setDefaultTimeout(15_000);
  const complaints = [];
  context.on("dialog", async (dialog) => {
    complaints.push(`dialog: ${dialog.message()}`);
    await dialog.dismiss();
  });
  context.on("weberror", (error) => complaints.push(`exception: ${error.error()}`));
  context.on("console", (message) => {
    const isStatus = message.text().startsWith("Failed to load resource: the server responded with a status of");
    if (message.type() === "error" && !isStatus) complaints.push(`${message.text()} at ${message.location().url}`);
  });
  return complaints;
}

// Fills in the page of signing in, with the keyboard alone.
export async function signIn(page, username = setting("GATEHOUSE_USERNAME")) {
  await page.waitForSelector("#password");
  await page.fill("#username", username);
  await page.fill("#password", setting("GATEHOUSE_PASSWORD"));
  await page.press("#password", "Enter");
}
