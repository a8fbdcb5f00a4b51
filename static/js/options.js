/* The campaign form shows the parameters of the function that is chosen, as soon as it is chosen. */

const select = document.getElementById("id_acquisition");
const button = document.querySelector("input[name=_show_options]");

/** Send the form for another look: nothing is saved, and everything typed comes back. */
async function show() {
  const wanted = select.value;
  const said = document.getElementById("options-said");
  try {
    const body = new FormData(select.form);
    body.append(button.name, "1");
    const reply = await fetch(window.location.href, { method: "POST", body });
    if (!reply.ok || reply.redirected) throw new Error(`status ${reply.status}`);
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    if (select.value !== wanted) return; // another choice is on its way
    document.getElementById("options").replaceWith(page.getElementById("options"));
    said.textContent = `The parameters of ${wanted} are shown below.`;
  } catch {
    select.after(" ", button); // a press on it does the same, and shows what is wrong
  }
}

if (select && button) {
  button.remove();
  select.addEventListener("change", show);
}
