// The dialog that asks for keys, if the service requires them.

import { setKeys } from "./api.js";

const dialog = document.getElementById("keys");
const opened = [];

/** Call `act` whenever keys are entered. */
export const whenKeysGiven = (act) => opened.push(act);

/** Ask for keys; show why the previous one was rejected, if it was. */
export function askForKeys(problem) {
  const why = document.getElementById("keys-why");
  const kept = "It is kept for this tab alone, until you close it.";
  if (problem?.message) why.textContent = `${problem.right === "write" ? "For writing: " : ""}${problem.message} ${kept}`;
  else why.textContent = kept;
  if (!dialog.open) dialog.showModal();
}

document.getElementById("keys-form").addEventListener("submit", (event) => {
  event.preventDefault();
  const read = document.getElementById("key-read");
  const write = document.getElementById("key-write");
  setKeys(read.value.trim(), write.value.trim());
  dialog.close();
  opened.forEach((act) => act());
});
