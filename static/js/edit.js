/* The edit form: what changes is marked as one types, counted, and can be taken back. */

const pane = () => document.querySelector("[data-edit]");
const text = () => document.getElementById("edit-text");
const original = (letter) => pane().querySelector(`[data-original="${letter}"]`)?.content.textContent ?? "";
const chosen = () => pane().querySelector("input[name=edit_of]:checked")?.value ?? (several() ? "" : "A");
const several = () => Boolean(pane().querySelector("input[name=edit_of]"));

const written = new Map(); // what was typed for each response, while the page is open
let shown = "";
let wanted = 0;

function spans(parts) {
  const found = document.createDocumentFragment();
  for (const { op, text: words } of parts) {
    const made = document.createElement(op === "same" ? "span" : op);
    made.textContent = words;
    found.append(made);
  }
  return found;
}

const count = (parts, op) =>
  parts.filter((part) => part.op === op).reduce((n, part) => n + (part.text.match(/\S+/g)?.length ?? 0), 0);

function draw() {
  wanted = 0;
  if (!pane() || !globalThis.Tiebreak?.diffWords) return;
  const before = original(chosen());
  const parts = chosen() ? globalThis.Tiebreak.diffWords(before, text().value) : [];
  const place = document.getElementById("edit-diff");
  place.replaceChildren(spans(parts));
  const changed = text().value !== before && chosen() !== "";
  const [less, more] = [count(parts, "del"), count(parts, "ins")];
  const said = pane().dataset.count.replace("%d", less).replace("%i", more);
  document.getElementById("edit-count").textContent = changed ? said : "";
  document.getElementById("edit-reset").hidden = !changed;
}

function soon() {
  if (!wanted) wanted = setTimeout(draw, 60);
}

function set(value) {
  text().value = value;
  text().dispatchEvent(new Event("input", { bubbles: true }));
}

/** Another response is to be edited: its text, or what was typed for it before. */
function choose() {
  if (shown) written.set(shown, text().value);
  shown = chosen();
  set(written.get(shown) ?? original(shown));
}

function begin() {
  written.clear();
  shown = pane() ? chosen() : "";
  if (!pane()) return;
  text().disabled = !shown;
  if (shown && !text().value) text().value = original(shown); // a draft starts with the first change
  draw();
}

document.addEventListener("input", (event) => {
  if (event.target === text()) soon();
});
document.addEventListener("change", (event) => {
  if (!pane()?.contains(event.target) || event.target.name !== "edit_of") return;
  text().disabled = false;
  choose();
});
document.addEventListener("click", (event) => {
  if (!event.target.closest?.("#edit-reset")) return;
  set(original(chosen()));
  text().focus();
});
document.addEventListener("tiebreak:restored", begin);
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id === "workspace") begin();
});

begin();
