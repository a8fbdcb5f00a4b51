/*
 * What is typed, chosen or moved is on the server within a second. Until the server has confirmed
 * it, a copy stays in this browser, per assignment; afterwards none does.
 */

const PAUSE = 500; // milliseconds without a change before saving
const PREFIX = "tiebreak:draft:";
const KEEP_DAYS = 30;
const SKIPPED = new Set(["csrfmiddlewaretoken", "submission_key", "first_action_ms", "active_ms"]);

const form = () => document.getElementById("question");
const cookie = (name) =>
  document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
const clock = () =>
  new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).format(new Date());

/** The words of the page, in its language. */
const words = (name) => document.getElementById("saved")?.dataset[name] ?? "";

const local = {
  get(id) {
    try {
      return JSON.parse(localStorage.getItem(PREFIX + id))?.entries ?? null;
    } catch {
      return null;
    }
  },
  set(id, entries) {
    try {
      localStorage.setItem(PREFIX + id, JSON.stringify({ entries, at: Date.now() }));
    } catch {
      /* private window or full: the server's copy has to do */
    }
  },
  remove(id) {
    try {
      localStorage.removeItem(PREFIX + id);
    } catch {
      /* nothing was kept */
    }
  },
  prune() {
    try {
      for (const key of Object.keys(localStorage).filter((name) => name.startsWith(PREFIX))) {
        const { at } = JSON.parse(localStorage.getItem(key)) ?? {};
        if (!at || Date.now() - at > KEEP_DAYS * 86_400_000) localStorage.removeItem(key);
      }
    } catch {
      /* unreadable: leave it */
    }
  },
};

let timer = null;
let confirmed = ""; // what the server is known to have, for the question on the page
let tries = 0;

function mark(text, tone = "") {
  const place = document.getElementById("saved");
  if (!place) return;
  place.textContent = text;
  place.className = `saved ${tone}`;
}

const saying = (fields) => fields.filter(([name, value]) => !SKIPPED.has(name) && value !== "");

/** Everything the person said so far, as [name, value]; empty fields say nothing. */
function read() {
  return saying([...new FormData(form())]);
}

/** Put a kept copy into the fields. Two versions of a text are both kept. */
function write(entries) {
  const given = new Map();
  for (const [name, value] of entries) given.set(name, [...(given.get(name) ?? []), value]);
  for (const field of form().elements) {
    if (!field.name || SKIPPED.has(field.name) || field.type === "submit") continue;
    const values = given.get(field.name);
    if (field.type === "radio" || field.type === "checkbox") {
      if (values) field.checked = values.includes(field.value);
    } else if (values) {
      field.value = field.name === "rationale" ? merge(values[0], field.value) : values[0];
    }
  }
  document.dispatchEvent(new CustomEvent("tiebreak:restored"));
}

function fit(textarea) {
  // Rows, not a style attribute: grows with the text up to a few lines, then scrolls.
  textarea.rows = 1;
  while (textarea.value && textarea.scrollHeight > textarea.clientHeight + 1 && textarea.rows < 6) textarea.rows += 1;
}

async function save({ leaving = false, renewing = false } = {}) {
  clearTimeout(timer);
  if (!form()?.dataset.draftUrl || form().inert) return;
  const { answer: assignment, draftUrl } = form().dataset;
  const entries = read();
  const text = JSON.stringify(entries);
  if (text === confirmed && !renewing) return;
  try {
    const response = await fetch(draftUrl, {
      method: "POST",
      body: new URLSearchParams(entries),
      credentials: "same-origin",
      keepalive: leaving && text.length < 60_000, // more than that browsers refuse to keep alive
      headers: { "X-CSRFToken": cookie("csrftoken") ?? "", "HX-Request": "true" },
    });
    if (response.status === 401) {
      const html = await response.text();
      document.dispatchEvent(new CustomEvent("tiebreak:signed-out", { detail: { html } }));
      mark(words("signedOut"), "bad");
      return;
    }
    if (!response.ok) throw new Error(String(response.status));
    const { saved } = await response.json();
    if (form()?.dataset.answer !== assignment) return;
    tries = 0;
    if (!saved) {
      mark(words("answered"), "bad");
      return;
    }
    const known = text === confirmed;
    confirmed = text;
    if (JSON.stringify(local.get(assignment)) === text) local.remove(assignment);
    if (known) return; // only the lease was renewed
    if (JSON.stringify(read()) === text) mark(`${words("draft")} ${clock()}`, "good");
    else timer = setTimeout(save, PAUSE);
  } catch {
    mark(words("away"), "bad");
    tries += 1;
    clearTimeout(timer);
    timer = setTimeout(save, Math.min(30, 2 ** tries) * 1000);
  }
}

/** Both copies, when this browser and the server know different ones: nothing typed is dropped. */
function merge(here, there) {
  if (!there || here.includes(there)) return here;
  return there.includes(here) ? there : `${here}\n\n${there}`;
}

function begin() {
  clearTimeout(timer);
  if (!form()) return;
  const { answer: assignment } = form().dataset;
  const there = JSON.stringify(read());
  // A form that came back with errors shows what was sent, which is not a saved draft.
  const refused = Boolean(document.getElementById("errors"));
  confirmed = refused ? "" : there;
  const kept = local.get(assignment);
  if (kept && JSON.stringify(kept) !== there) {
    write(kept);
    mark(words("restored"));
    save();
  } else {
    if (there !== confirmed) save();
    else if (form().dataset.draftUrl && read().length) mark(words("continued"), "good");
    // A correction has no draft on the server: what was refused of it stays here.
    if (refused && !form().dataset.draftUrl) local.set(assignment, read());
    else if (kept) local.remove(assignment);
  }
  for (const textarea of form().querySelectorAll("[data-grows]")) fit(textarea);
}

function changed(event) {
  if (event.target.form !== form() || !form() || SKIPPED.has(event.target.name)) return;
  document.body.dataset.begun = form().dataset.answer;
  local.set(form().dataset.answer, read());
  mark(words(form().dataset.draftUrl ? "saving" : "away"));
  if (event.target.matches("[data-grows]")) fit(event.target);
  clearTimeout(timer);
  timer = setTimeout(save, PAUSE);
}

document.addEventListener("input", changed);

document.addEventListener("tiebreak:sending", () => {
  clearTimeout(timer); // the answer carries everything itself
  mark("");
});
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id === "undo-form") save({ leaving: true }); // another question comes in between
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "workspace") begin();
});
document.addEventListener("tiebreak:answered", (event) => {
  local.remove(event.detail.assignment);
  if (document.getElementById("saved")?.textContent === "") mark(`${words("sent")} ${clock()}`, "good");
});
// What the server refused in words is here when its question comes back.
document.addEventListener("tiebreak:refused", ({ detail }) => local.set(detail.assignment, saying(detail.fields)));
document.addEventListener("signed-in", () => save());
window.addEventListener("online", () => save());
window.addEventListener("pagehide", () => save({ leaving: true }));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) save({ leaving: true });
});

/* Whoever reads for long keeps the question: its lease is renewed while they are at it. */
let seen = Date.now();
let renewedAt = Date.now();
for (const sign of ["pointermove", "keydown", "scroll"]) {
  document.addEventListener(sign, () => (seen = Date.now()), { capture: true, passive: true });
}
setInterval(() => {
  const lease = Number(form()?.dataset.lease ?? 0) * 1000;
  if (!lease || document.hidden || Date.now() - renewedAt < lease / 3 || Date.now() - seen > lease / 3) return;
  renewedAt = Date.now();
  save({ renewing: true });
}, 1000);

local.prune();
begin();
