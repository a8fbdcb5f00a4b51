/* The workspace: keys, timing, focus after a swap, the guidelines drawer. By event delegation. */

const CALM = 200; // milliseconds after a swap in which a key is taken for a slip
const TYPING =
  "input:not([type=radio], [type=checkbox]), textarea, select, [contenteditable]:not([contenteditable=false])";

const { say } = globalThis.Tiebreak;
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
  if ((/^[a-z0-9]$/.test(said) && !digitRow) || !place) return [said];
  return isTaken(said) ? [said] : [said, place];
}

/** Whether the page has a button, a field or a place for exactly this key. */
function isTaken(key) {
  const { nextKey, backKey } = byId("question")?.dataset ?? {};
  const marked = [...document.querySelectorAll("[data-key], [data-focus-key], [data-place-key]")];
  return [nextKey, backKey].includes(key) ||
    marked.some(({ dataset }) =>
      [...(dataset.key ?? "").split(" "), dataset.focusKey, dataset.placeKey].includes(key),
    );
}

/** A key for the browser. AltGr is how some keyboards say @ or €. */
const isShortcut = (event) =>
  !event.getModifierState("AltGraph") && (event.ctrlKey || event.metaKey || event.altKey);

globalThis.Tiebreak = { ...globalThis.Tiebreak, isShortcut, keyNames: names };

/** What a key presses: of choices that share it, the one in the group that is being answered. */
function buttonFor(event, root) {
  const wanted = names(event);
  const found = [...root.querySelectorAll("[data-key]")].filter((button) =>
    button.dataset.key.split(" ").some((key) => wanted.includes(key)),
  );
  const grouped = found.filter((button) => button.closest("[data-group]"));
  if (grouped.length < found.length) return found.find((button) => !grouped.includes(button));
  const group = currentGroup(grouped.map((button) => button.closest("[data-group]")));
  return grouped.find((button) => button.closest("[data-group]") === group);
}

/* Groups of choices ------------------------------------------------------------------------- */

const groups = () => [...byId("workspace").querySelectorAll("[data-group]")];

const isAnswered = (group) =>
  Boolean(group.querySelector("input:checked")) || [...group.querySelectorAll("input[type=number]")].some((i) => i.value);

/** The group to answer now, of some: the one with the focus, else the first open one after it. */
function currentGroup(among = groups()) {
  const focused = document.activeElement?.closest?.("[data-group]");
  if (among.includes(focused) && !isAnswered(focused)) return focused;
  const open = among.filter((group) => !isAnswered(group));
  const behind = open.filter(
    (group) => focused && focused.compareDocumentPosition(group) & Node.DOCUMENT_POSITION_FOLLOWING,
  );
  return behind[0] ?? open[0] ?? (among.includes(focused) ? focused : among.at(-1));
}

/** Go to the next or the previous group. */
function step(by) {
  const all = groups().filter((group) => group.querySelector("input, button"));
  const at = all.indexOf(document.activeElement?.closest?.("[data-group]"));
  const next = all[at < 0 ? (by > 0 ? 0 : all.length - 1) : Math.min(Math.max(at + by, 0), all.length - 1)];
  const target = next?.querySelector("input:checked, input, button");
  target?.focus({ preventScroll: Boolean(target && inStickyBar(target)) });
  markCurrent();
}

/** Show which group the next key will answer, where there is more than one. */
function markCurrent() {
  const all = groups();
  const current = all.length > 1 ? currentGroup(all) : null;
  for (const group of all) group.toggleAttribute("data-current", group === current);
}

document.addEventListener("change", (event) => {
  if (event.target.closest?.("[data-group]")) markCurrent();
});
document.addEventListener("focusin", (event) => {
  if (event.target.closest?.("#question")) markCurrent();
});

document.addEventListener("keydown", (event) => {
  if (event.defaultPrevented || event.isComposing) return;
  if (isShortcut(event)) return;
  const typing = event.target.closest?.(TYPING);
  if (event.key === "Escape" && typing?.closest("#question")) {
    typing.blur();
    return;
  }
  if (typing || event.repeat || byId("question")?.inert) return;
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
  const field = [...byId("workspace").querySelectorAll("[data-focus-key]")].find((one) =>
    wanted.includes(one.dataset.focusKey),
  );
  if (field) {
    event.preventDefault();
    field.focus({ preventScroll: inStickyBar(field) });
    field.setSelectionRange(field.value.length, field.value.length);
    return;
  }
  const form = byId("question");
  for (const [by, key] of [[1, form?.dataset.nextKey], [-1, form?.dataset.backKey]]) {
    if (key && wanted.includes(key)) {
      event.preventDefault();
      step(by);
      return;
    }
  }
  if (event.key === "Enter" && event.target.closest("button:not(.letter), a, summary, input")) return; // their own
  const button = buttonFor(event, byId("workspace"));
  if (!button) return;
  event.preventDefault();
  if (performance.now() - swappedAt <= CALM) return;
  button.click();
  const choice = button.matches("label") ? button.querySelector("input") : null;
  choice?.focus({ preventScroll: inStickyBar(choice) });
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

function arrive() {
  showAsWritten();
  preparePrompt();
  markScrollers();
  startTiming();
  markCurrent();
}

document.addEventListener("htmx:afterSwap", (event) => {
  const target = event.detail.target;
  if (target?.id === "drawer-body" && !drawer().open) drawer().showModal();
  if (target?.id === "notice" && drawer().open) drawer().close();
  if (target?.id !== "workspace") return;
  swappedAt = performance.now();
  const now = view();
  const failed = byId("errors");
  arrive();
  if (failed) {
    const first = fieldInError(failed) ?? byId("workspace").querySelector("[data-focus]");
    first.focus({ preventScroll: inStickyBar(first) });
    if (!inStickyBar(first)) first.scrollIntoView({ block: "center" });
    say(failed.querySelector("ul").textContent);
  } else if (now !== shown) {
    window.scrollTo(0, 0);
    const heading = byId("workspace").querySelector("[data-focus]");
    heading?.focus({ preventScroll: true });
    const standing = byId("workspace").querySelector(".standing")?.textContent ?? "";
    say(now.startsWith("empty") ? "" : `${byId("workspace").dataset.next} ${standing}`);
  }
  shown = now;
});

/** The first field that a message is about. */
function fieldInError(list) {
  for (const line of list.querySelectorAll("[data-error-for]")) {
    const name = CSS.escape(line.dataset.errorFor);
    const field = byId("question").querySelector(
      `[aria-invalid], [name="${name}"]:not([type=hidden]), [data-group="${name}"] :is(input, button)`,
    );
    if (field) return field;
  }
  return null;
}

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
  button.textContent = open ? button.dataset.less : button.dataset.more;
});
addEventListener("resize", preparePrompt);

arrive();
