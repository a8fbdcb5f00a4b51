/* Two long responses beside each other: what differs between them, and how they scroll. */

const { say } = globalThis.Tiebreak;
const byId = (id) => document.getElementById(id);
const texts = () => [...document.querySelectorAll(".columns .response-text")];
const REM = parseFloat(getComputedStyle(document.documentElement).fontSize);

/* Differences ------------------------------------------------------------------------------- */

let differing = false; // asked for anew with every question

function hidden(text) {
  const span = document.createElement("span");
  span.className = "visually-hidden";
  span.textContent = text;
  return span;
}

/** One side: what both say, and marked what only this one says. */
function side(pieces, own, words) {
  const made = document.createElement("div");
  made.className = "differences as-is";
  made.dir = "auto";
  const note = document.createElement("p");
  note.className = "text-note legend-note";
  const all = pieces.every((piece) => piece.op === "same");
  const some = pieces.some((piece) => piece.op === own);
  note.textContent = all ? words.same : some ? words.marked : words.none;
  const body = document.createElement("div");
  for (const { op, text } of pieces) {
    if (op === "same") body.append(text);
    if (op !== own) continue;
    const mark = document.createElement("mark");
    mark.append(hidden(` ${words.before} `), text, hidden(` ${words.after} `));
    body.append(mark);
  }
  made.append(note, body);
  return made;
}

function showDifferences() {
  const button = byId("differences");
  for (const old of document.querySelectorAll(".differences")) old.remove();
  if (!button) return;
  button.setAttribute("aria-pressed", String(differing));
  const [left, right] = texts();
  for (const text of [left, right]) text.classList.toggle("compared", differing);
  if (!differing) return;
  // Codes of invisible characters are in the text already, as words.
  const [a, b] = [left, right].map((text) => text.querySelector(".as-written").textContent);
  const pieces = globalThis.Tiebreak.diffWords(a, b);
  left.append(side(pieces, "del", button.dataset));
  right.append(side(pieces, "ins", button.dataset));
}

/* Scrolling --------------------------------------------------------------------------------- */

const MODES = ["page", "apart", "together"];
let mode = "page"; // stays chosen from question to question
const placed = new WeakMap(); // where a script put an area: that scroll was nobody's wish

/** What the window has left between the prompt and the bar, when the page stands at its top. */
function room(area) {
  const bar = document.querySelector(".bar");
  const fixed = bar && getComputedStyle(bar).position === "sticky" ? bar.offsetHeight : 0;
  const above = area.getBoundingClientRect().top + scrollY;
  return Math.max(innerHeight - fixed - above - 2.5 * REM, 14 * REM);
}

const besideEachOther = (areas) =>
  areas.length > 1 && areas.every((area) => Math.abs(area.offsetTop - areas[0].offsetTop) < 2);

function layOut() {
  const button = byId("scrolling");
  const areas = texts();
  if (!button || !areas.length) return;
  const columns = document.querySelector(".columns");
  delete columns.dataset.scrolling;
  const tall = besideEachOther(areas) && areas.some((area) => area.scrollHeight > innerHeight * 0.75);
  button.hidden = !tall;
  button.querySelector("span").textContent = button.dataset[mode];
  const own = tall && mode !== "page";
  if (own) {
    columns.dataset.scrolling = mode;
    columns.style.setProperty("--area", `${Math.round(room(areas[0]))}px`);
  }
  for (const area of areas) {
    const letter = area.closest("[data-letter]").dataset.letter;
    area.toggleAttribute("tabindex", own);
    if (own) area.tabIndex = 0;
    for (const [name, value] of [
      ["role", "region"],
      ["aria-label", button.dataset.area.replace("%l", letter)],
    ]) {
      if (own) area.setAttribute(name, value);
      else area.removeAttribute(name);
    }
  }
  if (own && mode === "together") follow(areas[0]);
}

/** The other areas stand at the same share of their length. */
function follow(leader) {
  const length = leader.scrollHeight - leader.clientHeight;
  const share = length > 0 ? leader.scrollTop / length : 0;
  for (const area of texts()) {
    if (area === leader) continue;
    area.scrollTop = share * (area.scrollHeight - area.clientHeight);
    placed.set(area, area.scrollTop);
  }
}

document.addEventListener(
  "scroll",
  (event) => {
    const area = event.target;
    if (mode !== "together" || !area.matches?.("[data-scrolling] .response-text")) return;
    const wanted = placed.get(area);
    placed.delete(area);
    if (wanted === undefined || Math.abs(area.scrollTop - wanted) > 1.5) follow(area);
  },
  true,
);

/* Buttons ----------------------------------------------------------------------------------- */

document.addEventListener("click", (event) => {
  if (event.target.closest?.("#differences")) {
    differing = !differing;
    showDifferences();
    layOut();
  } else if (event.target.closest?.("#as-written")) {
    differing = false;
    showDifferences();
    layOut();
  } else if (event.target.closest?.("#scrolling") && !byId("scrolling").hidden) {
    mode = MODES[(MODES.indexOf(mode) + 1) % MODES.length];
    layOut();
    say(byId("scrolling").dataset[mode]);
  }
});

function arrive() {
  differing = false;
  if (byId("differences")) byId("differences").hidden = false;
  showDifferences();
  layOut();
}

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "workspace") arrive();
});
document.addEventListener("toggle", layOut, true); // the prompt was opened or closed
addEventListener("resize", layOut);
addEventListener("load", layOut, true); // a picture arrived
arrive();
