/*
 * Nothing is lost on the way to the server: an answer that could not be sent stays on the page and
 * is sent again with the same submission key, after signing in again or when the connection is back.
 */

const LONGEST_WAIT = 30; // seconds between two tries

const notice = () => document.getElementById("notice");
const questionForm = () => document.getElementById("question");
const cookie = (name) =>
  document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);

/** The answer that the server has not confirmed: which question, which button, how often tried. */
let waiting = null;

function say(text, { tone = "bad", action = null, label = "" } = {}) {
  const line = document.createElement("div");
  line.className = `notice-line ${tone}`;
  const words = document.createElement("p");
  words.textContent = text;
  line.append(words);
  if (action) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "small";
    button.textContent = label;
    button.addEventListener("click", action);
    line.append(button);
  }
  notice().replaceChildren(line);
}

/** While a try may have reached the server, another choice under the same key would be ignored. */
function lock(form, locked) {
  if (!form) return;
  form.inert = locked;
  if (!locked) for (const text of form.querySelectorAll("textarea")) text.readOnly = false;
}

function forget() {
  if (waiting?.timer) clearTimeout(waiting.timer);
  waiting = null;
}

function send() {
  if (!waiting) return;
  clearTimeout(waiting.timer);
  waiting.timer = null;
  const form = questionForm();
  if (form?.dataset.answer !== waiting.assignment) return forget();
  lock(form, false);
  const button = form.querySelector(`button[name=choice][value="${CSS.escape(waiting.choice)}"]`);
  button?.click();
}

function sendLater() {
  const delay = Math.min(LONGEST_WAIT, 2 ** waiting.tries);
  waiting.tries += 1;
  clearTimeout(waiting.timer);
  waiting.timer = setTimeout(send, delay * 1000);
  lock(questionForm(), true);
  const why = navigator.onLine ? "The server did not answer." : "You are offline.";
  say(`Not sent yet: “${waiting.label}”. ${why} It is kept here and will be retried by itself.`, {
    action: send,
    label: "Try now",
  });
}

/** The token's cookie is gone or changed: any page of the site brings a new one. */
async function renewToken() {
  try {
    await fetch(document.body.dataset.signinUrl, { credentials: "same-origin" });
  } catch {
    return false;
  }
  return true;
}

/** Signing in did not get through: say so without taking the form away. */
function complain(form) {
  const line = form.querySelector(".error.sending") ?? document.createElement("p");
  line.className = "error sending";
  line.textContent = "That did not reach the server. Try it again.";
  form.append(line);
}

const isAnswer = (element) => Boolean(element?.dataset?.answer);

document.addEventListener("htmx:configRequest", (event) => {
  const { detail } = event;
  if (detail.verb === "get") return;
  const token = cookie("csrftoken");
  if (token) {
    detail.headers["X-CSRFToken"] = token;
    detail.parameters.csrfmiddlewaretoken = token;
  }
  if (!isAnswer(detail.elt)) return;
  const assignment = detail.elt.dataset.answer;
  const choice = detail.parameters.choice;
  const same = waiting?.assignment === assignment && waiting.choice === choice;
  const button = detail.elt.querySelector(`button[value="${CSS.escape(choice ?? "")}"]`);
  const words = button?.querySelector(".long, span")?.textContent ?? choice;
  clearTimeout(waiting?.timer);
  waiting = { assignment, choice, label: words, tries: same ? waiting.tries : 1, renewed: same && waiting.renewed };
});

// What is typed while the answer is under way would be in neither the answer nor a draft.
document.addEventListener("htmx:beforeRequest", (event) => {
  if (!isAnswer(event.detail.elt)) return;
  for (const text of event.detail.elt.querySelectorAll("textarea")) text.readOnly = true;
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { detail } = event;
  const { status } = detail.xhr;
  const landed = new URL(detail.xhr.responseURL || location.href).pathname;
  const asked = new URL(detail.pathInfo.finalRequestPath, location.href).pathname;
  if (landed !== asked) {
    detail.shouldSwap = false; // sent elsewhere, for example to new guidelines: go there whole
    location.assign(landed);
  } else if (detail.xhr.getResponseHeader("HX-Retarget")) {
    detail.shouldSwap = true;
    // Looking for new questions in the background must not wipe a password being typed.
    if (status === 401 && notice().querySelector(".signin-here")) detail.shouldSwap = false;
  } else if (status >= 400 && status !== 422) {
    detail.shouldSwap = false; // a whole error page does not belong inside this one
  }
});

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target?.id !== "notice") return;
  const form = notice().querySelector(".signin-here");
  const asked = event.detail.requestConfig?.elt;
  if (!form || asked?.matches?.("[data-poll]")) return;
  const name = form.querySelector("[name=username]");
  (name.value ? form.querySelector("[name=password]") : name).focus();
});

document.addEventListener("htmx:afterRequest", async (event) => {
  const { detail } = event;
  const { elt } = detail.requestConfig;
  const { status } = detail.xhr;
  if (elt.matches?.(".signin-here")) {
    if (status === 403) await renewToken();
    if (status === 0 || status === 403 || status >= 500) complain(elt);
    return;
  }
  if (!isAnswer(elt)) {
    const theirs = elt.matches?.("[data-poll]") || detail.xhr.getResponseHeader("HX-Retarget");
    if (!theirs && (status === 0 || status === 403 || status >= 500)) {
      say("That did not reach the server. Nothing on this page is lost; try it again.");
    } else if (elt.id === "undo-form" && status === 200) notice().replaceChildren();
    return;
  }
  if (status >= 200 && status < 300) {
    const assignment = waiting?.assignment;
    forget();
    notice().replaceChildren();
    document.dispatchEvent(new CustomEvent("tiebreak:answered", { detail: { assignment } }));
  } else if (status === 401) {
    clearTimeout(waiting?.timer); // kept until the person has signed in
    lock(questionForm(), false);
  } else if (status === 403 && waiting && !waiting.renewed) {
    waiting.renewed = true;
    if (await renewToken()) send();
    else sendLater();
  } else if (status === 0 || status === 403 || status === 429 || status >= 500) {
    if (waiting) sendLater();
  } else {
    forget();
    lock(questionForm(), false);
  }
});

document.addEventListener("signed-in", () => {
  // After this response is in: the notice is filled, and the form is free again.
  setTimeout(() => {
    if (!waiting) {
      setTimeout(() => notice().querySelector(":scope > .good")?.remove(), 4000);
      return;
    }
    waiting.renewed = false;
    say(`You are signed in again. Sending “${waiting.label}” …`, { tone: "good" });
    send();
  }, 0);
});

// A draft found out that the session ended: ask, without taking the keyboard from a writer.
document.addEventListener("tiebreak:signed-out", (event) => {
  if (notice().querySelector(".signin-here")) return;
  notice().innerHTML = event.detail.html;
  window.htmx?.process(notice());
});

window.addEventListener("online", () => {
  if (waiting?.timer) send();
});
window.addEventListener("beforeunload", (event) => {
  if (waiting?.timer) event.preventDefault();
});
