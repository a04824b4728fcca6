"use strict";
// The link is /PAGE#TENANT/TOKEN: what follows # stays in the browser. The page says in its form what to do with it.
const [tenant, token] = location.hash.slice(1).split("/");
const form = document.getElementById("form");
const message = document.getElementById("message");
const say = (text) => { message.textContent = text; };

if (!/^[a-z0-9-]{1,63}$/.test(tenant ?? "") || !/^gh[a-z]_[A-Za-z0-9_-]+$/.test(token ?? "")) {
  form.hidden = true;
  say("This link is not complete. Open it exactly as you were given it.");
} else {
  document.getElementById("tenant").textContent = `For your account at ${tenant}.`;
}

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { action, field, done } = form.dataset;
  const sent = { token };
  if (field) {
    const password = document.getElementById("password").value;
    if (password !== document.getElementById("again").value) {
      say("The two passwords differ.");
      return;
    }
    sent[field] = password;
  }
  say("One moment…");
  try {
    const answer = await fetch(`/api/v1/auth/tenants/${tenant}/${action}`, {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body: JSON.stringify(sent),
    });
    if (answer.ok) {
      const name = answer.status === 204 ? "" : (await answer.json()).data.username;
      form.hidden = true;
      history.replaceState(null, "", location.pathname);
      say(name ? `Done. You can sign in as ${name}.` : done);
      return;
    }
    const body = await answer.json();
    say(answer.status === 422 ? `The password ${body.detail.map((fault) => fault.msg).join("; ")}.` : body.detail);
  } catch {
    say("The server cannot be reached. Try again.");
  }
});
