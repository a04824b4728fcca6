"use strict";
// The link is /PAGE#TENANT/TOKEN: what follows # stays in the browser. The page says in its form what to do with it, and
// has a text for what may come of it.
const [tenant, token] = location.hash.slice(1).split("/");
const isWhole = /^[a-z0-9-]{1,63}$/.test(tenant ?? "") && /^gh[a-z]_[A-Za-z0-9_-]+$/.test(token ?? "");
const issuer = `/api/v1/auth/tenants/${tenant}`;
const own = `${issuer}/${location.pathname.match(/([a-z-]+)\/?$/)[1]}`;

if (isWhole && location.pathname !== own) {
  // The tenant has a page with its name and in its colours. Until that is there nothing is shown.
  document.documentElement.hidden = true;
  location.replace(own + location.hash);
} else {
  addEventListener("DOMContentLoaded", begin);
}

function begin() {
  const find = (id) => document.getElementById(id);
  const [form, message, title] = [find("form"), find("message"), document.title];
  const fields = [...form.querySelectorAll("input")];
  const word = (code) => [...find("words").children].find((item) => item.dataset.code === code)?.textContent;

  const say = (text, isBad, field) => {
    const note = document.createElement("p");
    note.className = isBad ? "note bad" : "note";
    note.textContent = text;
    message.replaceChildren(note);
    for (const each of fields) each.removeAttribute("aria-invalid");
    field?.setAttribute("aria-invalid", "true");
    field?.setAttribute("aria-describedby", "message hint");
    field?.focus();
    document.title = isBad ? `${text} ${title}` : title;
  };
  const end = (text, isBad) => {
    form.hidden = true;
    find("lead").hidden = true;
    say(text, isBad);
  };

  if (!isWhole) {
    end(word("incomplete"), true);
    return;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { action, field, done } = form.dataset;
    const sent = { token };
    const [password, again] = fields;
    if (field) {
      if (password.value !== again.value) {
        say(word("differ"), true, again);
        return;
      }
      sent[field] = password.value;
    }
    say(word("moment"), false);
    try {
      const answer = await fetch(`${issuer}/${action}`, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(sent),
      });
      if (answer.ok) {
        const name = answer.status === 204 ? "" : (await answer.json()).data.username;
        history.replaceState(null, "", location.pathname);
        end(name ? word("may_sign_in").replace("{}", () => name) : done, false);
        find("next").hidden = false;
        return;
      }
      const body = await answer.json();
      if (answer.status === 422) {
        const texts = body.detail.map((fault) => word(fault.type) ?? word("unreadable"));
        say([...new Set(texts)].join(" "), true, password);
      } else if (answer.status === 401) {
        // No other try with this link will do.
        end(word("stale"), true);
        find("another")?.removeAttribute("hidden");
      } else {
        say(word(body.code) ?? word("internal"), true);
      }
    } catch {
      say(word("unreachable"), true);
    }
  });
}
