/*
 * What is typed is on the server within a second. Until the server has confirmed it, a copy stays
 * in this browser, per assignment; afterwards none does.
 */

const PAUSE = 500; // milliseconds without typing before saving
const LONGEST = 20_000; // characters the server keeps
const PREFIX = "tiebreak:draft:";
const KEEP_DAYS = 30;

const field = () => document.querySelector("textarea[data-draft-url]");
const cookie = (name) =>
  document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);
const clock = () =>
  new Intl.DateTimeFormat(document.documentElement.lang || undefined, {
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
  }).format(new Date());

const local = {
  get(id) {
    try {
      return JSON.parse(localStorage.getItem(PREFIX + id))?.text ?? null;
    } catch {
      return null;
    }
  },
  set(id, text) {
    try {
      localStorage.setItem(PREFIX + id, JSON.stringify({ text, at: Date.now() }));
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
let confirmed = ""; // what the server is known to have, for the field on the page
let tries = 0;

function mark(text, tone = "") {
  const place = document.getElementById("saved");
  if (!place) return;
  place.textContent = text;
  place.className = `saved ${tone}`;
}

function fit(textarea) {
  // Rows, not a style attribute: grows with the text up to a few lines, then scrolls.
  textarea.rows = 1;
  while (textarea.value && textarea.scrollHeight > textarea.clientHeight + 1 && textarea.rows < 6) textarea.rows += 1;
}

async function save({ leaving = false } = {}) {
  clearTimeout(timer);
  const textarea = field();
  if (!textarea || textarea.value === confirmed || textarea.readOnly) return;
  const { assignment } = textarea.dataset;
  const text = textarea.value;
  if (text.length > LONGEST) {
    mark(`${text.length.toLocaleString()} characters; at most ${LONGEST.toLocaleString()} can be sent`, "bad");
    return;
  }
  const body = new URLSearchParams({ rationale: text });
  try {
    const response = await fetch(textarea.dataset.draftUrl, {
      method: "POST",
      body,
      credentials: "same-origin",
      keepalive: leaving,
      headers: { "X-CSRFToken": cookie("csrftoken") ?? "", "HX-Request": "true" },
    });
    if (response.status === 401) {
      const html = await response.text();
      document.dispatchEvent(new CustomEvent("tiebreak:signed-out", { detail: { html } }));
      mark("Kept in this browser until you sign in", "bad");
      return;
    }
    if (!response.ok) throw new Error(String(response.status));
    const { saved } = await response.json();
    if (field()?.dataset.assignment !== assignment) return;
    tries = 0;
    if (!saved) {
      mark("This question has been answered already", "bad");
      return;
    }
    confirmed = text;
    if (local.get(assignment) === text) local.remove(assignment);
    if (field().value === text) mark(`Draft saved ${clock()}`, "good");
    else timer = setTimeout(save, PAUSE);
  } catch {
    mark("Kept in this browser; not on the server yet", "bad");
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
  const textarea = field();
  clearTimeout(timer);
  if (!textarea) return;
  // A form that came back with errors shows what was sent, which is not a saved draft.
  confirmed = textarea.getAttribute("aria-invalid") ? "" : textarea.value;
  const kept = local.get(textarea.dataset.assignment);
  if (kept !== null && kept !== textarea.value) {
    textarea.value = merge(kept, textarea.value);
    mark("Restored from this browser");
    save();
  } else if (textarea.value !== confirmed) save();
  else if (textarea.value) mark("Draft restored", "good");
  if (kept === confirmed) local.remove(textarea.dataset.assignment);
  fit(textarea);
}

document.addEventListener("input", (event) => {
  if (!event.target.matches?.("textarea[data-draft-url]")) return;
  const textarea = event.target;
  local.set(textarea.dataset.assignment, textarea.value);
  mark("Saving …");
  fit(textarea);
  clearTimeout(timer);
  timer = setTimeout(save, PAUSE);
});

document.addEventListener("htmx:beforeRequest", (event) => {
  const { elt } = event.detail;
  if (elt.dataset?.answer) {
    clearTimeout(timer); // the answer carries the text itself
    mark("");
  } else if (elt.id === "undo-form") save({ leaving: true }); // another question comes in between
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "workspace") begin();
});
document.addEventListener("tiebreak:answered", (event) => {
  local.remove(event.detail.assignment);
  if (document.getElementById("saved")?.textContent === "") mark(`Answer saved ${clock()}`, "good");
});
document.addEventListener("signed-in", () => save());
window.addEventListener("online", () => save());
window.addEventListener("pagehide", () => save({ leaving: true }));
document.addEventListener("visibilitychange", () => {
  if (document.hidden) save({ leaving: true });
});

local.prune();
begin();
