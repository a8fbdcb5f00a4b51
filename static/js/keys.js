/* The page of keys: what is pressed in a field replaces what is there; Tab goes on as everywhere. */

document.addEventListener("focusin", (event) => {
  if (event.target.matches("[data-one-key]")) event.target.select();
});
document.addEventListener("input", (event) => {
  const field = event.target;
  if (!field.matches("[data-one-key]") || event.isComposing) return;
  const typed = [...field.value.trim().normalize("NFC")];
  if (typed.length > 1) field.value = typed.at(-1);
  field.select();
});

document.querySelector("[aria-invalid]")?.focus();
