"use strict";
// The link is /invitation#TENANT/TOKEN: what follows # stays in the browser.
const [tenant, token] = location.hash.slice(1).split("/");
const form = document.getElementById("form");
const message = document.getElementById("message");
const say = (text) => { message.textContent = text; };

if (!/^[a-z0-9-]{1,63}$/.test(tenant ?? "") || !/^ghi_[A-Za-z0-9_-]+$/.test(token ?? "")) {
  form.hidden = true;
  say("This link is not complete. Open it exactly as you were given it.");
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const password = document.getElementById("password").value;
  if (password !== document.getElementById("again").value) {
    say("The two passwords differ.");
    return;
  }
  say("One moment…");
  try {
    const answer = await fetch(`/api/v1/auth/tenants/${tenant}/invitations/accept`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify({ token, password }),
    });
    const body = await answer.json();
    if (answer.ok) {
      form.hidden = true;
      history.replaceState(null, "", location.pathname);
      say(`Done. You can sign in as ${body.data.username}.`);
    } else if (answer.status === 422) {
      say(`The password ${body.detail.map((fault) => fault.msg).join("; ")}.`);
    } else {
      say(body.detail);
    }
  } catch {
    say("The server cannot be reached. Try again.");
  }
});
