/* What texts contain: code to copy, maths to typeset, pictures to enlarge. By event delegation. */

const { say } = globalThis.Tiebreak;
const tools = document.getElementById("content-tools").dataset;
const loaded = new Map();

/** A script or a style of ours that few pages need; the template gives its hashed name. */
function load(address, { style = false, module = false } = {}) {
  if (!loaded.has(address)) {
    const element = document.createElement(style ? "link" : "script");
    if (style) Object.assign(element, { rel: "stylesheet", href: address });
    else Object.assign(element, { src: address, type: module ? "module" : "text/javascript" });
    loaded.set(
      address,
      new Promise((resolve, reject) => {
        element.addEventListener("load", resolve);
        element.addEventListener("error", () => {
          loaded.delete(address); // the next question tries again
          reject(new Error(address));
        });
      }),
    );
    document.head.append(element);
  }
  return loaded.get(address);
}

/* Code ------------------------------------------------------------------------------------- */

function offerCopies() {
  for (const code of document.querySelectorAll(".prose .code:not(.can-copy)")) {
    code.classList.add("can-copy");
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small copy";
    button.textContent = tools.copy;
    code.prepend(button);
  }
}

/** Without HTTPS there is no clipboard for scripts; what is selected can be copied all the same. */
async function copy(element) {
  const text = element.textContent.replace(/\n$/, "");
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const selection = getSelection();
    selection.selectAllChildren(element);
    const done = document.execCommand("copy");
    if (done) selection.removeAllRanges();
    return done;
  }
}

document.addEventListener("click", async (event) => {
  const button = event.target.closest?.("button.copy");
  if (!button) return;
  const done = await copy(button.parentElement.querySelector("pre"));
  say(done ? tools.copied : tools.notCopied);
  if (!done) return;
  button.textContent = tools.copied;
  setTimeout(() => (button.textContent = tools.copy), 2000);
});

/* Maths ------------------------------------------------------------------------------------ */

// A formula is typeset when it comes near the window: a text may have thousands of them.
const near = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      typeset(target);
    }
  },
  { rootMargin: "600px" },
);

const DELIMITED = /^(?:\$\$([^]*)\$\$|\$([^]*)\$|\\\(([^]*)\\\)|\\\[([^]*)\\\])$/;

function typeset(element) {
  const source = element.textContent;
  const tex = DELIMITED.exec(source)?.slice(1).find((part) => part !== undefined) ?? source;
  const made = document.createElement("span");
  try {
    window.katex.render(tex, made, {
      displayMode: element.classList.contains("display"),
      throwOnError: true,
      trust: false, // no links, pictures or styles from a formula
      strict: "ignore",
      maxExpand: 200,
      maxSize: 20,
      errorColor: "var(--bad)",
    });
  } catch (error) {
    element.classList.add("malformed"); // its source stays
    element.title = `${tools.malformed} ${error.message}`;
    return;
  }
  element.classList.add("typeset");
  element.dataset.tex = source;
  element.replaceChildren(made);
  reachable(element);
}

async function typesetAll() {
  const found = document.querySelectorAll(".prose .math:not(.typeset, .malformed, .waiting)");
  if (!found.length) return;
  for (const element of found) element.classList.add("waiting");
  try {
    await Promise.all([load(tools.katexStyle, { style: true }), load(tools.katex)]);
    for (const element of found) near.observe(element);
  } catch {
    for (const element of found) element.classList.remove("waiting"); // their source stays
  }
}

/* Wide things ------------------------------------------------------------------------------- */

/** What scrolls sideways can be reached and scrolled with the keyboard. */
function reachable(area) {
  if (area.scrollWidth <= area.clientWidth + 1 || area.tabIndex === 0) return;
  area.tabIndex = 0;
  area.setAttribute("role", "group");
  area.setAttribute("aria-label", tools.area);
}

/* Pictures ---------------------------------------------------------------------------------- */

const large = document.getElementById("picture");

/** What the picture would have shown, and that it is missing. */
function broken(image) {
  const said = document.createElement("span");
  said.className = "broken-picture";
  const note = document.createElement("small");
  note.textContent = tools.broken;
  said.append(image.alt || image.src, " ", note);
  const link = image.closest("a.picture"); // what it says is its name from now on
  link?.classList.remove("picture");
  link?.removeAttribute("aria-label");
  image.replaceWith(said);
}

document.addEventListener(
  "error",
  (event) => {
    if (event.target.matches?.(".prose img")) broken(event.target);
  },
  true,
);

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a.picture");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  const small = link.querySelector("img");
  const image = document.createElement("img");
  Object.assign(image, { referrerPolicy: "no-referrer", alt: small.alt, src: small.src });
  large.querySelector("figure > :first-child").replaceWith(image);
  large.querySelector("figcaption").textContent = small.alt;
  large.showModal();
});
large.addEventListener("click", (event) => {
  if (event.target === large || event.target.matches("img")) large.close();
});

function namePictures() {
  for (const image of document.querySelectorAll(".prose a.picture > img")) {
    if (image.complete && image.naturalWidth === 0) broken(image);
    else image.parentElement.setAttribute("aria-label", `${tools.enlarge}: ${image.alt}`);
  }
}

/* On every new question ---------------------------------------------------------------------- */

function arrive() {
  offerCopies();
  namePictures();
  document.querySelectorAll(".prose .table-area").forEach(reachable);
  typesetAll();
  if (document.querySelector("[data-marks-for]")) load(tools.marks, { module: true }).catch(() => {});
}

globalThis.Tiebreak = { ...globalThis.Tiebreak, load };
document.addEventListener("htmx:afterSwap", arrive);
document.addEventListener("click", (event) => {
  if (event.target.closest?.("#as-written")) setTimeout(arrive); // tables have a width again
});
arrive();
