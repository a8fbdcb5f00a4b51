/*
 * Ranking: places typed into the fields under the responses, and a board of letters that can be
 * dragged or moved with the arrow keys. The fields are the truth; the board shows them.
 */

const { isShortcut, keyNames, say } = globalThis.Tiebreak;
const board = () => document.getElementById("board");
const fields = () => [...document.querySelectorAll("#question input[data-place]")];
const field = (letter) => fields().find((one) => one.dataset.place === letter);

function zone(place) {
  const made = document.createElement("div");
  made.className = "zone";
  made.dataset.zone = place;
  const name = document.createElement("span");
  name.className = "zone-name";
  name.textContent = place || board().dataset.tray;
  made.append(name);
  const key = board().dataset.keys.split(" ")[Number(place)]; // the tray's is the first
  if (key) made.dataset.placeKey = key;
  if (key && key !== place) made.append(label(key));
  return made;
}

function label(key) {
  const made = document.createElement("kbd");
  made.setAttribute("aria-hidden", "true");
  made.textContent = key.toUpperCase();
  return made;
}

/** The place that a key stands for: "" is the tray, undefined is none. */
function placeOf(event) {
  const wanted = keyNames(event);
  const zones = [...(board()?.querySelectorAll("[data-place-key]") ?? [])];
  return zones.find((one) => wanted.includes(one.dataset.placeKey))?.dataset.zone;
}

function chip(letter) {
  const made = document.createElement("button");
  made.type = "button";
  made.className = "letter";
  made.dataset.letter = letter;
  made.textContent = letter;
  return made;
}

/** The board as the fields say. Keeps the focus on the letter that had it. */
function draw() {
  if (!board()) return;
  const focused = document.activeElement?.dataset?.letter;
  const most = Number(board().dataset.most);
  board().hidden = false;
  const zones = new Map([...Array(most).keys()].map((n) => [String(n + 1), zone(String(n + 1))]));
  zones.set("", zone(""));
  for (const one of fields()) {
    const made = chip(one.dataset.place);
    const where = zones.has(one.value) ? one.value : "";
    made.setAttribute("aria-label", said(one.dataset.place, where));
    zones.get(where).append(made);
  }
  board().querySelectorAll(".zone").forEach((old) => old.remove());
  board().append(...zones.values());
  if (focused) board().querySelector(`[data-letter="${focused}"]`)?.focus();
}

const said = (letter, place) =>
  place ? board().dataset.placed.replace("%l", letter).replace("%p", place) : board().dataset.unplaced.replace("%l", letter);

function put(letter, place) {
  const one = field(letter);
  if (one.value === place) return;
  one.value = place;
  one.dispatchEvent(new Event("input", { bubbles: true }));
  one.dispatchEvent(new Event("change", { bubbles: true }));
  say(said(letter, place));
}

/** Whether these keys can only mean places: no other part of the question wants them. */
const alone = () => !document.querySelector('#question [data-group]:not([data-group^="rank-"])');

/** Move a letter by places; before the first place and after the last there is the tray. */
function move(letter, by) {
  const most = Number(board().dataset.most);
  const now = field(letter).value === "" ? most + 1 : Number(field(letter).value);
  const next = Math.min(Math.max(now + by, 1), most + 1);
  put(letter, next > most ? "" : String(next));
}

document.addEventListener("input", (event) => {
  if (event.target.matches?.("[data-place]")) draw();
});
document.addEventListener("tiebreak:restored", draw);
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "workspace") draw();
});

document.addEventListener(
  "keydown",
  (event) => {
    if (!board() || board().closest("form").inert || event.isComposing || isShortcut(event)) return;
    const letter = event.target.matches?.("button.letter") ? event.target.dataset.letter : "";
    const typed = event.target.dataset?.place;
    const place = placeOf(event);
    const free = !letter && !event.target.closest?.("input:not([type=radio], [type=checkbox]), textarea, dialog");
    if (typed && ["ArrowUp", "ArrowDown"].includes(event.key)) {
      move(typed, event.key === "ArrowUp" ? -1 : 1); // up is better; a number field would count up
    } else if (typed && place !== undefined && !/^[0-9]$/.test(event.key)) {
      put(typed, place); // digits the field takes itself
    } else if (letter) {
      const mirrored = document.documentElement.dir === "rtl" ? -1 : 1;
      const by = { ArrowLeft: -mirrored, ArrowRight: mirrored, ArrowUp: -1, ArrowDown: 1 }[event.key];
      if (by) move(letter, by);
      else if (event.key === "Home") put(letter, "1");
      else if (event.key === "End" || event.key === "Backspace") put(letter, "");
      else if (place !== undefined) put(letter, place);
      else return;
    } else if (free && place && !event.repeat && alone()) {
      const next = fields().find((one) => one.value === "");
      if (!next) return;
      put(next.dataset.place, place); // "2 1 3": places of A, B and C
    } else return;
    event.preventDefault();
    event.stopPropagation();
  },
  true,
);

/* Dragging, with a mouse, a pen or a finger. */

let dragged = null;

const zoneAt = (event) => document.elementFromPoint(event.clientX, event.clientY)?.closest?.(".zone");

document.addEventListener("pointerdown", (event) => {
  const made = event.target.closest?.(".letter");
  if (!made || event.button) return;
  dragged = { made, letter: made.dataset.letter, moved: false, x: event.clientX, y: event.clientY };
  made.setPointerCapture(event.pointerId);
});
document.addEventListener("pointermove", (event) => {
  if (!dragged) return;
  dragged.moved ||= Math.hypot(event.clientX - dragged.x, event.clientY - dragged.y) > 5;
  if (!dragged.moved) return;
  event.preventDefault();
  dragged.made.classList.add("is-dragged");
  for (const one of board().querySelectorAll(".zone")) one.classList.toggle("is-over", one === zoneAt(event));
});
function drop(event) {
  if (!dragged) return;
  const { letter, moved, made } = dragged;
  dragged = null;
  made.classList.remove("is-dragged");
  board().querySelectorAll(".is-over").forEach((one) => one.classList.remove("is-over"));
  const where = event.type === "pointerup" && moved ? zoneAt(event) : null;
  if (where) put(letter, where.dataset.zone);
}
document.addEventListener("pointerup", drop);
document.addEventListener("pointercancel", drop);

draw();
