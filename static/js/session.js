/*
 * Sessions and messages: the current security token with every request, signing in again over the
 * page without losing it, and what went wrong in words. Other scripts say things through here.
 */

const notice = () => document.getElementById("notice");
const cookie = (name) =>
  document.cookie.split("; ").find((part) => part.startsWith(`${name}=`))?.slice(name.length + 1);

function notify(text, { tone = "bad", action = null, label = "" } = {}) {
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
  line.textContent = notice().dataset.unreached;
  form.append(line);
}

document.addEventListener("htmx:configRequest", (event) => {
  const { detail } = event;
  if (detail.verb === "get") return;
  const token = cookie("csrftoken");
  if (!token) return;
  detail.headers["X-CSRFToken"] = token;
  detail.parameters.csrfmiddlewaretoken = token;
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
  const theirs = elt.matches?.("[data-poll]") || detail.xhr.getResponseHeader("HX-Retarget");
  if (!theirs && (status === 0 || status === 403 || status >= 500)) {
    notify(notice().dataset.safe);
  } else if (elt.id === "undo-form" && status === 200) notice().replaceChildren();
});

document.addEventListener("signed-in", () => {
  // After this response is in; what waits to be sent (outbox.js) says so itself.
  setTimeout(() => setTimeout(() => notice().querySelector(":scope > .good")?.remove(), 4000), 0);
});

// A draft found out that the session ended: ask, without taking the keyboard from a writer.
document.addEventListener("tiebreak:signed-out", (event) => {
  if (notice().querySelector(".signin-here")) return;
  notice().innerHTML = event.detail.html;
  window.htmx?.process(notice());
});

globalThis.Tiebreak = { ...globalThis.Tiebreak, cookie, notice, notify, renewToken };
