/* The page of an import looks again by itself while a worker is at it: only the line that says how
   far it is changes, until there is something to see or to decide. */

const SECONDS = 1;
const under = (place) => place?.hasAttribute("data-under-way");

/** Put what the server says now in its place; the whole part only when the worker is done. */
async function again() {
  try {
    const reply = await fetch(location.href, { credentials: "same-origin" });
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    const [here, now] = [document, fresh].map((one) => one.getElementById("import"));
    if (!reply.ok || !now) throw new Error("no such page");
    if (under(now)) {
      const state = here.querySelector("#import-state");
      const said = now.querySelector("#import-state").textContent;
      if (state.textContent !== said) state.textContent = said;
    } else {
      location.reload(); // with the messages, the title and the buttons of its new state
      return;
    }
  } catch {
    // The server is away for a moment, or one is signed out: the link stays.
  }
  setTimeout(again, SECONDS * 1000);
}

if (under(document.getElementById("import"))) setTimeout(again, SECONDS * 1000);
