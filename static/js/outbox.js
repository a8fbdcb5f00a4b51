/*
 * Answers on their way. An answer is kept in this browser until the server has confirmed it, and is
 * sent again with the same submission key after any failure, a reload included: it counts once.
 * The next question is leased while one works on this one, so that it appears at the press of a key.
 */

const BOX = "tiebreak:outbox";
const LONGEST_WAIT = 30; // seconds between two tries
const UNSAID = new Set(["csrfmiddlewaretoken"]);
const PAGE = `${performance.timeOrigin}-${Math.random()}`; // tabs share the box

const { cookie, notice, notify, renewToken } = globalThis.Tiebreak;
const workspace = () => document.getElementById("workspace");
const form = () => document.getElementById("question");
const words = (name) => workspace().dataset[name] ?? "";

let tries = 0;
let timer = null;
let busy = false;
let ahead = null; // { id, html } of the next question, leased and not shown yet
let renewed = false; // the security token, for the answer that is being sent

/* The box ---------------------------------------------------------------------------------- */

let memory = []; // where storage is refused: lost with the page, like the page itself

function box() {
  try {
    return JSON.parse(localStorage.getItem(BOX)) ?? [];
  } catch {
    return memory;
  }
}

function keep(entries) {
  memory = entries;
  try {
    if (entries.length) localStorage.setItem(BOX, JSON.stringify(entries));
    else localStorage.removeItem(BOX);
  } catch {
    /* private window or full: memory has it */
  }
  document.body.dataset.unsent = String(entries.length);
}

const mine = (entry) => entry.person === document.body.dataset.person;
const first = () => box().find(mine);
/** Another tab may say something else under the same key: the server tells them apart. */
const others = (entry) => box().filter((other) => other.key !== entry.key || other.page !== entry.page);
const without = (entry) => keep(others(entry));

/* Showing ---------------------------------------------------------------------------------- */

function show(html) {
  workspace().innerHTML = html;
  window.htmx?.process(workspace());
  const shown = new CustomEvent("htmx:afterSwap", { bubbles: true, detail: { target: workspace() } });
  workspace().dispatchEvent(shown);
}

/** While an answer may have reached the server, another one under the same key would be ignored. */
function lock(locked) {
  if (!form()) return;
  form().inert = locked;
  form().toggleAttribute("aria-busy", locked);
}

/** Lease the next question and keep its page; nothing is shown. */
async function fetchAhead() {
  const current = form()?.dataset.draftUrl && form().dataset.answer; // a correction has none after it
  // While an answer is on its way its question is still open, and would be leased once more.
  if (!current || first() || !workspace().dataset.ahead || ahead || !navigator.onLine || document.hidden) return;
  ahead = { id: "", html: "" }; // under way
  const found = await post(workspace().dataset.ahead, [["after", current]]);
  ahead = null;
  if (found.status !== 200 || form()?.dataset.answer !== current) return;
  const html = await found.text();
  const id = /data-answer="([0-9a-f-]{36})"/.exec(html)?.[1];
  if (id && id !== current) ahead = { id, html };
}

/* Sending ---------------------------------------------------------------------------------- */

async function post(url, entries, headers = {}) {
  try {
    return await fetch(url, {
      method: "POST",
      body: new URLSearchParams(entries),
      credentials: "same-origin",
      redirect: "manual",
      signal: AbortSignal.timeout(20_000),
      headers: { "X-CSRFToken": cookie("csrftoken") ?? "", "HX-Request": "true", ...headers },
    });
  } catch {
    return new Response(null, { status: 599 }); // nothing came back
  }
}

async function flush() {
  clearTimeout(timer);
  timer = null;
  if (busy) return;
  if (!first()) return sentElsewhere();
  busy = true;
  // Two tabs share the box: one sends at a time.
  const send = () => sendOne(first());
  const again = await (navigator.locks ? navigator.locks.request(BOX, send) : send());
  busy = false;
  if (again && first()) flush();
  else if (!first()) fetchAhead();
}

/** Send one answer; true when the next one can follow at once. */
async function sendOne(entry) {
  if (!entry) {
    sentElsewhere();
    return false;
  }
  const shown = form()?.dataset.answer ?? "";
  const headers = shown && shown !== entry.assignment ? { "X-Tiebreak-Ahead": shown } : {};
  const reply = await post(entry.url, entry.fields, headers);
  if (reply.ok) return confirmed(entry, reply);
  const ours = reply.headers.has("HX-Retarget"); // a refusal in words, such as a test not passed
  if ([404, 409, 422].includes(reply.status) || (reply.status === 403 && ours)) return refused(entry, reply);
  if (reply.status === 401) return signIn(await reply.text());
  if (reply.status === 403 && !renewed) {
    renewed = true;
    if (await renewToken()) return true;
  }
  later(entry);
  return false;
}

/** Another tab has sent what this one was waiting to send: what comes next is with the server. */
function sentElsewhere() {
  if (form()?.inert) location.reload();
  else if (tries && !notice().querySelector(".signin-here")) notice().replaceChildren();
  tries = 0;
}

async function confirmed(entry, reply) {
  without(entry);
  tries = 0;
  renewed = false;
  if (!notice().querySelector(".signin-here")) notice().replaceChildren();
  const elsewhere = reply.headers.get("HX-Redirect");
  if (elsewhere) location.assign(elsewhere); // new guidelines, for example
  const html = reply.status === 200 ? await reply.text() : "";
  const shown = form()?.dataset.answer;
  // What is on the page was leased ahead; the server agrees (204), or the person has begun with it.
  if (html && (!shown || shown === entry.assignment || document.body.dataset.begun !== shown)) {
    ahead = null;
    show(html);
  }
  document.dispatchEvent(new CustomEvent("tiebreak:answered", { detail: { assignment: entry.assignment } }));
  return true;
}

/** The server will not take it as it is: back to the person, who loses nothing of it. */
async function refused(entry, reply) {
  const html = await reply.text();
  without(entry);
  renewed = false;
  if (reply.headers.get("HX-Retarget")) {
    document.dispatchEvent(new CustomEvent("tiebreak:refused", { detail: entry }));
    notice().innerHTML = html;
    window.htmx?.process(notice());
    if (form()?.dataset.answer === entry.assignment) lock(false);
  } else {
    ahead = null;
    show(html);
  }
  return true;
}

function signIn(html) {
  lock(false);
  if (notice().querySelector(".signin-here")) return false;
  notice().innerHTML = html;
  window.htmx?.process(notice());
  const name = notice().querySelector("[name=username]");
  (name?.value ? notice().querySelector("[name=password]") : name)?.focus();
  return false;
}

function later(entry) {
  tries += 1;
  timer = setTimeout(flush, Math.min(LONGEST_WAIT, 2 ** tries) * 1000);
  if (form()?.dataset.answer === entry.assignment) lock(true);
  const why = navigator.onLine ? words("silent") : words("offline");
  notify(`${words("unsent").replace("%s", entry.label)} ${why} ${words("kept")}`, {
    action: flush,
    label: words("now"),
  });
}

/* Answering -------------------------------------------------------------------------------- */

/** Whether the server is bound to take it, as far as the page can tell. */
function complete(choice) {
  if (choice === "flag") return false; // needs a reason; nobody wants the question to flicker
  const reason = form().elements.rationale;
  if (reason && !reason.value.trim() && (reason.required || reason.dataset.maybe)) return false;
  if (choice !== "submit") return true;
  return [...form().querySelectorAll("[data-group]:not([data-optional])")].every((group) =>
    group.querySelector("input:checked, input[type=number]"),
  );
}

document.addEventListener("submit", (event) => {
  const asked = event.target;
  if (asked !== form() || !asked.dataset.answer || event.defaultPrevented) return;
  event.preventDefault();
  const pressed = event.submitter ?? asked.querySelector("button[name=choice]");
  const fields = [...new FormData(asked, pressed)].filter(([name]) => !UNSAID.has(name));
  const label = (pressed.querySelector(".long, span")?.textContent ?? pressed.value).trim();
  const entry = {
    key: asked.elements.submission_key.value,
    assignment: asked.dataset.answer,
    page: PAGE,
    person: document.body.dataset.person,
    url: asked.action,
    fields,
    label,
  };
  keep([...others(entry), entry]);
  document.dispatchEvent(new CustomEvent("tiebreak:sending"));
  if (ahead?.html && complete(pressed.value) && box().filter(mine).length === 1) {
    const { html } = ahead;
    ahead = null;
    show(html);
  } else lock(true);
  flush();
});

// An undo is about an answer that has arrived.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (event.detail.elt.id !== "undo-form") return;
  if (first()) {
    event.preventDefault();
    notify(words("wait"), { action: flush, label: words("now") });
  }
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target !== workspace()) return;
  if (event.detail.requestConfig) ahead = null; // not by us: an undo, or a look for new questions
  if (form() && first()?.assignment === form().dataset.answer) lock(true);
  if (!busy) setTimeout(fetchAhead, 0);
});
document.addEventListener("signed-in", () => {
  renewed = false;
  setTimeout(() => {
    if (!first()) return;
    notify(words("signedIn").replace("%s", first().label), { tone: "good" });
    flush();
  }, 0);
});
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && !first()) fetchAhead();
});
window.addEventListener("online", flush);
window.addEventListener("beforeunload", (event) => {
  if (first()) event.preventDefault();
});

keep(box());
if (first()) {
  lock(form()?.dataset.answer === first().assignment);
  flush();
} else fetchAhead();
