/* The campaign form shows the options of what is chosen as soon as it is chosen: the parameters of
   the function, the options of the forms. Each button names the fields that it is for, and the
   region of the page that depends on them. */

/** The fieldsets of a region. */
const region = (where, name) => [...where.querySelectorAll(`.of-${name}`)];

/** What is chosen in the fields that a button is for. */
function chosen(form, button) {
  const data = new FormData(form);
  const found = button.dataset.of.split(" ").flatMap((name) => data.getAll(name));
  return found.filter(Boolean).join(", ");
}

/** Put the region in its place, with what was typed meanwhile. */
function replace(old, fresh) {
  const typed = old.flatMap((part) => [...part.querySelectorAll("[name]")]);
  const named = new Map(
    fresh.flatMap((part) => [...part.querySelectorAll("[name]")]).map((field) => [field.name, field]),
  );
  for (const field of typed) if (named.has(field.name)) named.get(field.name).value = field.value;
  old[0].before(...fresh);
  for (const part of old) part.remove();
}

/** Send the form for another look: nothing is saved, and everything typed comes back. */
async function show(form, button, status) {
  const wanted = chosen(form, button);
  const { region: name, said } = button.dataset;
  try {
    const body = new FormData(form);
    body.append(button.name, "1");
    const reply = await fetch(window.location.href, { method: "POST", body });
    if (!reply.ok || reply.redirected) throw new Error(`status ${reply.status}`);
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    const fresh = region(page, name);
    if (!fresh.length) throw new Error("the region is not on the page");
    if (chosen(form, button) !== wanted) return; // another choice is on its way
    replace(region(document, name), fresh);
    status.textContent = said.replace("%s", wanted);
  } catch {
    status.before(button); // a press on it does the same, and shows what is wrong
  }
}

for (const button of document.querySelectorAll("input[name=_show_options]")) {
  const { form } = button;
  const names = button.dataset.of.split(" ");
  const status = document.getElementById(`said-${button.dataset.region}`);
  button.remove();
  form.addEventListener("change", (event) => {
    if (names.includes(event.target.name)) show(form, button, status);
  });
}
