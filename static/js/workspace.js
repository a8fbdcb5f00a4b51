/* The workspace: keys, timing, focus after a swap, the guidelines drawer. By event delegation. */

const CALM = 200; // milliseconds after a swap in which a key is taken for a slip
const TYPING = "input, textarea, select, [contenteditable]:not([contenteditable=false])";

const byId = (id) => document.getElementById(id);
const view = () => byId("workspace").querySelector("[data-view]")?.dataset.view ?? "";
const drawer = () => byId("drawer");

let shown = view();
let swappedAt = 0;

/* Keys ------------------------------------------------------------------------------------- */

/** What the key says; where the layout gives no Latin letter or digit, what its place says. */
function names(event) {
  const said = event.key.toLowerCase();
  const place = /^(?:Digit|Numpad|Key)([0-9A-Z])$/.exec(event.code)?.[1].toLowerCase();
  const digitRow = /^(?:Digit|Numpad)/.test(event.code);
  return /^[a-z0-9]$/.test(said) && !digitRow ? [said] : [said, place];
}

function buttonFor(event, root) {
  const wanted = names(event);
  return [...root.querySelectorAll("[data-key]")].find((button) =>
    button.dataset.key.split(" ").some((key) => wanted.includes(key)),
  );
}

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
  const typing = event.target.closest?.(TYPING);
  if (event.key === "Escape" && typing?.id === "rationale") {
    typing.blur();
    return;
  }
  if (typing || event.repeat) return;
  if (drawer().open) {
    const close = buttonFor(event, drawer());
    if (close) {
      event.preventDefault();
      close.click();
    }
    return;
  }
  if (event.target.closest?.("dialog")) return;
  if (moveAlongScale(event)) return;
  const wanted = names(event);
  const field = byId("workspace").querySelector("[data-focus-key]");
  if (field && wanted.includes(field.dataset.focusKey)) {
    event.preventDefault();
    field.focus({ preventScroll: inStickyBar(field) });
    field.setSelectionRange(field.value.length, field.value.length);
    return;
  }
  const button = buttonFor(event, byId("workspace"));
  if (!button) return;
  event.preventDefault();
  if (performance.now() - swappedAt > CALM) button.click();
});

/** Arrow keys walk along the row of strengths once the focus is in it. */
function moveAlongScale(event) {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const row = step && event.target.closest?.(".scale");
  if (!row) return false;
  const buttons = [...row.querySelectorAll("button")];
  const mirrored = document.documentElement.dir === "rtl" ? -1 : 1;
  buttons[buttons.indexOf(event.target.closest("button")) + step * mirrored]?.focus();
  event.preventDefault();
  return true;
}

// The second click of a double click would answer the next question unseen.
document.addEventListener(
  "click",
  (event) => {
    if (event.detail > 1 && event.target.closest?.("button[name=choice]")) {
      event.preventDefault();
      event.stopPropagation();
    }
  },
  true,
);

/* As written ------------------------------------------------------------------------------- */

let asWritten = false; // stays chosen from question to question

/** Markdown can hide what a model really wrote (indentation, backslashes): show it on demand. */
function showAsWritten() {
  const button = byId("as-written");
  if (!button) return;
  button.hidden = false;
  button.setAttribute("aria-pressed", String(asWritten));
  for (const raw of byId("workspace").querySelectorAll(".as-written")) {
    raw.hidden = !asWritten;
    raw.previousElementSibling.hidden = asWritten;
  }
}

document.addEventListener("click", (event) => {
  if (!event.target.closest?.("#as-written")) return;
  asWritten = !asWritten;
  showAsWritten();
  preparePrompt();
});

/* Timing ----------------------------------------------------------------------------------- */

const timing = { of: "", start: 0, first: null, active: 0, since: null };
const attentive = () => !document.hidden && document.hasFocus();

function tally() {
  const now = performance.now();
  if (timing.since !== null) timing.active += now - timing.since;
  timing.since = attentive() ? now : null;
}

function startTiming() {
  const id = byId("question")?.dataset.answer ?? "";
  if (id === timing.of) return; // the same question came back with errors
  const kept = id ? recall(id) : null;
  Object.assign(timing, {
    of: id,
    start: performance.now() - (kept?.elapsed ?? 0),
    first: kept?.first ?? null,
    active: kept?.active ?? 0,
    since: attentive() ? performance.now() : null,
  });
}

function recall(id) {
  try {
    return JSON.parse(sessionStorage.getItem(`tiebreak:time:${id}`));
  } catch {
    return null;
  }
}

function firstAction() {
  if (timing.of && timing.first === null) timing.first = performance.now() - timing.start;
}

document.addEventListener("keydown", firstAction, true);
document.addEventListener("pointerdown", firstAction, true);
document.addEventListener("wheel", firstAction, { capture: true, passive: true });
document.addEventListener("visibilitychange", tally);
window.addEventListener("focus", tally);
window.addEventListener("blur", tally);
window.addEventListener("pagehide", () => {
  if (!timing.of) return;
  tally();
  const kept = { first: timing.first, active: timing.active, elapsed: performance.now() - timing.start };
  try {
    sessionStorage.setItem(`tiebreak:time:${timing.of}`, JSON.stringify(kept));
  } catch {
    /* a reload then starts the clock again */
  }
});
document.addEventListener(
  "submit",
  (event) => {
    const form = event.target;
    if (!form.dataset?.answer || form.dataset.answer !== timing.of) return;
    tally();
    form.elements.first_action_ms.value = Math.round(timing.first ?? performance.now() - timing.start);
    form.elements.active_ms.value = Math.round(timing.active);
  },
  true,
);
document.addEventListener("tiebreak:answered", (event) => {
  try {
    sessionStorage.removeItem(`tiebreak:time:${event.detail.assignment}`);
  } catch {
    /* nothing was kept */
  }
});

/** The bar is in view anyhow; focusing inside it must not scroll the responses away. */
function inStickyBar(element) {
  const bar = element.closest(".bar");
  return Boolean(bar) && getComputedStyle(bar).position === "sticky";
}

/* After a swap ----------------------------------------------------------------------------- */

function announce(text) {
  const place = byId("announce");
  place.textContent = "";
  setTimeout(() => (place.textContent = text), 50);
}

function arrive() {
  showAsWritten();
  preparePrompt();
  markScrollers();
  startTiming();
}

document.addEventListener("htmx:afterSwap", (event) => {
  const target = event.detail.target;
  if (target?.id === "drawer-body" && !drawer().open) drawer().showModal();
  if (target?.id === "notice" && drawer().open) drawer().close();
  if (target?.id !== "workspace") return;
  swappedAt = performance.now();
  const now = view();
  const failed = byId("workspace").querySelector("[aria-invalid], fieldset[aria-describedby]");
  arrive();
  if (failed) {
    const first = failed.matches("fieldset") ? failed.querySelector("button") : failed;
    first.focus({ preventScroll: inStickyBar(first) });
    announce(byId("workspace").querySelector(".error")?.textContent ?? "");
  } else if (now !== shown) {
    window.scrollTo(0, 0);
    const heading = byId("workspace").querySelector("[data-focus]");
    heading?.focus({ preventScroll: true });
    const standing = byId("workspace").querySelector(".standing")?.textContent ?? "";
    announce(now.startsWith("empty") ? "" : `Next question. ${standing}`);
  }
  shown = now;
});

/* Prompt and scrolling areas ---------------------------------------------------------------- */

/** A long prompt scrolls in its own area, newest turn in view, until the person opens it. */
function preparePrompt() {
  const body = document.querySelector(".prompt-body");
  const button = document.querySelector("[data-expand]");
  if (!body || !button) return;
  const long = body.scrollHeight > body.clientHeight + 2;
  button.hidden = !long && button.getAttribute("aria-expanded") === "false";
  if (!long) return;
  body.tabIndex = 0;
  if (body.querySelectorAll(".turn").length > 1) body.scrollTop = body.scrollHeight;
}

function markScrollers() {
  for (const area of document.querySelectorAll(".prose pre, .prose table")) {
    if (area.scrollWidth > area.clientWidth + 1) area.tabIndex = 0;
  }
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("[data-expand]");
  if (!button) return;
  const open = button.closest(".prompt").classList.toggle("is-whole");
  button.setAttribute("aria-expanded", String(open));
  button.textContent = open ? "Show less" : "Show all of it";
});
addEventListener("resize", preparePrompt);

arrive();
