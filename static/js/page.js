/*
 * Every page: local times, dismissing notices, fresh security tokens, open details kept open, and
 * telling screen readers what only eyes would see.
 */

const FORMATS = {
  time: { hour: "2-digit", minute: "2-digit" },
  date: { dateStyle: "medium" },
  datetime: { dateStyle: "medium", timeStyle: "short" },
};

function localise(root) {
  for (const element of root.querySelectorAll("time[data-local]")) {
    const moment = new Date(element.dateTime);
    if (Number.isNaN(moment.getTime())) continue;
    element.title = element.textContent;
    const language = document.documentElement.lang || undefined;
    element.textContent = new Intl.DateTimeFormat(language, FORMATS[element.dataset.local]).format(moment);
    delete element.dataset.local;
  }
}

const cookie = (name) =>
  document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);

document.addEventListener("click", (event) => {
  if (event.target.closest("[data-dismiss]")) document.getElementById("notice").replaceChildren();
});

// Signing in again, here or in another tab, changes the token: send the current one.
document.addEventListener(
  "submit",
  (event) => {
    const field = event.target.querySelector?.('input[name="csrfmiddlewaretoken"]');
    const token = cookie("csrftoken");
    if (field && token) field.value = token;
  },
  true,
);

let opened = [];
document.addEventListener("htmx:beforeSwap", () => {
  opened = [...document.querySelectorAll("details[data-keep][open]")].map((element) => element.id);
});
document.addEventListener("htmx:afterSwap", () => {
  for (const id of opened) document.getElementById(id)?.setAttribute("open", "");
  localise(document);
});

// A page in the background does not poll: looking for a question would reserve one for nobody.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (document.hidden && event.detail.elt.matches?.("[data-poll]")) event.preventDefault();
});

let saying = null;

/** Have a screen reader say this: emptied first, so that the same words are said again. */
function say(text) {
  const place = document.getElementById("announce");
  place.textContent = "";
  clearTimeout(saying);
  saying = setTimeout(() => (place.textContent = text), 50);
}

globalThis.Tiebreak = { ...globalThis.Tiebreak, say };

localise(document);
