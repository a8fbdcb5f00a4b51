/*
 * Marked passages of responses. Places are counted in characters (code points) of the stored text,
 * as the server counts them; the text as it was written is where they can be told exactly.
 */

const MOST = 100;
const SHOWN = 70; // characters of a passage in the list

const byId = (id) => document.getElementById(id);
const field = () => document.querySelector("input[data-marks]");
const panel = () => document.querySelector("[data-marks-for]");
const { say } = globalThis.Tiebreak;
const written = (letter) => document.querySelector(`.response[data-letter="${letter}"] .as-written`);
const length = (text) => [...text].length;

let marks = [];
let kept = ""; // what the field had when it was last read or written
let picked = null; // the latest selection inside a response

/* Places ------------------------------------------------------------------------------------ */

/** Pieces of a text in order: text nodes, and badges that stand for characters. */
function* piecesOf(root) {
  const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT, (node) => {
    if (node.parentElement.closest(".unseen")) return NodeFilter.FILTER_REJECT;
    const wanted = node.nodeType === Node.TEXT_NODE || node.matches(".unseen");
    return wanted ? NodeFilter.FILTER_ACCEPT : NodeFilter.FILTER_SKIP;
  });
  while (walker.nextNode()) yield walker.currentNode;
}

const raw = (piece) => piece.dataset?.raw ?? piece.data;
const stored = (root) => [...piecesOf(root)].map(raw).join("");

/** The characters of the stored text before a place in the page. */
function before(root, container, offset) {
  const range = document.createRange();
  range.setStart(root, 0);
  range.setEnd(container, offset);
  const part = document.createElement("div");
  part.append(range.cloneContents());
  return length(stored(part));
}

function rangeOf(root, start, end) {
  const range = document.createRange();
  let at = 0;
  let open = true;
  for (const piece of piecesOf(root)) {
    const text = raw(piece);
    const next = at + length(text);
    const isText = piece.nodeType === Node.TEXT_NODE;
    const inside = (place) => [...text].slice(0, place - at).join("").length;
    if (open && start < next) {
      if (isText) range.setStart(piece, inside(start));
      else range.setStartBefore(piece);
      open = false;
    }
    if (!open && end <= next) {
      if (isText) range.setEnd(piece, inside(end));
      else range.setEndAfter(piece);
      return range;
    }
    at = next;
  }
  return null;
}

/** Where some words stand in a text, however their spaces are; null unless that is one place. */
function only(words, text) {
  const parts = words.trim().split(/\s+/).map((word) => word.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  if (!parts[0] || words.length > 5000) return null;
  const found = [...text.matchAll(new RegExp(parts.join("\\s+"), "gu"))];
  return found.length === 1 ? { from: found[0].index, to: found[0].index + found[0][0].length } : null;
}

/* Selecting --------------------------------------------------------------------------------- */

document.addEventListener("selectionchange", () => {
  const selection = getSelection();
  const node = selection.anchorNode;
  const element = node?.nodeType === Node.TEXT_NODE ? node.parentElement : node;
  const text = element?.closest?.(".response .response-text");
  if (!text || !panel()) return;
  picked = selection.isCollapsed ? null : { text, range: selection.getRangeAt(0).cloneRange() };
});

/** The selection inside one text: three clicks select up to the start of what follows. */
function within(root) {
  const range = picked.range.cloneRange();
  if (!root.contains(range.startContainer) && !root.contains(range.endContainer)) return null;
  if (!root.contains(range.startContainer)) range.setStart(root, 0);
  if (!root.contains(range.endContainer)) range.setEnd(root, root.childNodes.length);
  return range;
}

/** Response, start and end of what is selected; null where that is nowhere or not clear. */
function place() {
  const { letter } = picked.text.closest("[data-letter]").dataset;
  const root = written(letter);
  const exact = root.hidden ? null : within(root);
  if (exact) {
    const words = exact.toString();
    const start = before(root, exact.startContainer, exact.startOffset);
    const end = before(root, exact.endContainer, exact.endOffset);
    const lead = length(words) - length(words.trimStart());
    const tail = length(words) - length(words.trimEnd());
    return start + lead < end - tail ? { response: letter, start: start + lead, end: end - tail } : null;
  }
  const text = stored(root);
  const found = only(picked.range.toString(), text);
  if (!found) return null;
  const start = length(text.slice(0, found.from));
  return { response: letter, start, end: start + length(text.slice(found.from, found.to)) };
}

function mark() {
  const words = panel().dataset;
  if (!picked?.text.isConnected) return say(words.none);
  if (marks.length >= MOST) return say(words.full);
  const found = place();
  if (!found) {
    if (byId("as-written")?.getAttribute("aria-pressed") === "false") byId("as-written").click();
    picked = null;
    return say(words.again);
  }
  const made = { ...found, tag: byId("mark-tag")?.value ?? "" };
  if (!marks.some((other) => JSON.stringify(other) === JSON.stringify(made))) {
    marks.push(made);
    marks.sort((a, b) => a.response.localeCompare(b.response) || a.start - b.start);
    keep();
  }
  getSelection().removeAllRanges();
  picked = null;
  return say(`${words.marked.replace("%l", made.response)} ${quote(made)}`);
}

/* Without a mouse ---------------------------------------------------------------------------- */

let sentence = { letter: "", start: -1 };

/** All sentences of all responses, in code units of the text as it is written. */
function sentences() {
  const cut = new Intl.Segmenter(undefined, { granularity: "sentence" });
  const all = [];
  for (const response of document.querySelectorAll(".response[data-letter]")) {
    const { letter } = response.dataset;
    const text = stored(written(letter));
    for (const { segment, index } of cut.segment(text)) {
      const start = index + segment.length - segment.trimStart().length;
      if (segment.trim()) all.push({ letter, start, words: segment.trim(), text });
    }
  }
  return all;
}

function step(by) {
  if (byId("as-written")?.getAttribute("aria-pressed") === "false") byId("as-written").click();
  const all = sentences();
  const now = all.findIndex(({ letter, start }) => letter === sentence.letter && start === sentence.start);
  const next = all[now < 0 && by < 0 ? all.length - 1 : now + by];
  if (!next) return;
  sentence = next;
  const from = length(next.text.slice(0, next.start));
  const range = rangeOf(written(next.letter), from, from + length(next.words));
  if (!range) return;
  getSelection().removeAllRanges();
  getSelection().addRange(range);
  range.startContainer.parentElement.closest(".as-written").scrollIntoView({ block: "nearest" });
  const box = range.getBoundingClientRect();
  if (box.top < 0 || box.bottom > innerHeight - (document.querySelector(".bar")?.offsetHeight ?? 0)) {
    scrollBy(0, box.top - innerHeight / 3);
  }
  say(`${next.letter}: ${next.words}`);
}

const STEPS = { ArrowRight: ["right", "character"], ArrowLeft: ["left", "character"], ArrowDown: ["forward", "line"], ArrowUp: ["backward", "line"] };

/** Shift and an arrow select in a text that has the focus, also where nothing was selected yet. */
document.addEventListener("keydown", (event) => {
  const area = event.target.closest?.(".response .as-written");
  const [way, unit] = STEPS[event.key] ?? [];
  if (!area || !way || !event.shiftKey || !panel()) return;
  event.preventDefault();
  const selection = getSelection();
  if (!area.contains(selection.anchorNode)) selection.collapse(area, 0);
  selection.modify("extend", way, unit === "character" && (event.ctrlKey || event.altKey) ? "word" : unit);
});

/* Showing ----------------------------------------------------------------------------------- */

function passage({ response, start, end }) {
  const words = [...stored(written(response))].slice(start, end).join("").replace(/\s+/g, " ");
  return length(words) > SHOWN ? `${[...words].slice(0, SHOWN).join("")} …` : words;
}

/** A passage in the quotes of the page's language. */
const quote = (made) => panel().dataset.quote.replace("%s", () => passage(made));

function list() {
  const lines = marks.map((made, index) => {
    const line = document.createElement("li");
    const letter = document.createElement("b");
    letter.textContent = made.response;
    const words = document.createElement("q");
    words.dir = "auto";
    words.textContent = passage(made);
    line.append(letter, " ", words);
    if (made.tag) {
      const tag = document.createElement("span");
      tag.className = "badge";
      tag.textContent = made.tag;
      line.append(" ", tag);
    }
    const remove = document.createElement("button");
    remove.type = "button";
    remove.className = "small link";
    remove.dataset.unmark = index;
    remove.textContent = panel().dataset.remove;
    remove.setAttribute("aria-label", `${panel().dataset.remove}: ${made.response} ${quote(made)} ${made.tag}`);
    line.append(" ", remove);
    return line;
  });
  panel().querySelector(".marks-list").replaceChildren(...lines);
}

/** Passages in the text as it was written, and in the formatted one where they are found. */
function ranges({ response, start, end }) {
  const root = written(response);
  const prose = root.previousElementSibling;
  const words = [...stored(root)].slice(start, end).join("");
  const there = only(words, prose.textContent);
  const found = [rangeOf(root, start, end)];
  if (there) {
    const text = prose.textContent;
    found.push(rangeOf(prose, length(text.slice(0, there.from)), length(text.slice(0, there.to))));
  }
  return found.filter(Boolean);
}

function paint() {
  if (!globalThis.CSS?.highlights) return; // the list says what is marked
  CSS.highlights.set("marks", new Highlight(...marks.flatMap(ranges)));
}

function keep() {
  kept = marks.length ? JSON.stringify(marks) : "";
  field().value = kept;
  field().dispatchEvent(new Event("input", { bubbles: true }));
  list();
  paint();
}

/** What the page, a draft or a refused answer brought. */
function read() {
  kept = field().value;
  try {
    marks = JSON.parse(kept || "[]").filter(({ response, start, end }) => written(response) && start < end);
  } catch {
    marks = [];
  }
  list();
  paint();
}

function arrive() {
  picked = null;
  sentence = { letter: "", start: -1 };
  globalThis.CSS?.highlights?.delete("marks");
  if (!panel()) return;
  panel().hidden = false;
  for (const response of document.querySelectorAll(".response[data-letter]")) {
    const area = written(response.dataset.letter);
    area.tabIndex = 0;
    area.setAttribute("role", "group");
    area.setAttribute("aria-label", panel().dataset.text.replace("%l", response.dataset.letter));
  }
  read();
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#mark, [data-sentence], [data-unmark]");
  if (!button) return;
  if (button.id === "mark") mark();
  else if (button.dataset.sentence) step(Number(button.dataset.sentence));
  else {
    marks.splice(Number(button.dataset.unmark), 1);
    keep();
    say(panel().dataset.removed);
    byId("mark").focus({ preventScroll: true });
  }
});
document.addEventListener("tiebreak:restored", () => {
  if (panel() && field().value !== kept) read(); // a draft of this browser
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "workspace") setTimeout(arrive); // after drafts are restored
});
arrive();
