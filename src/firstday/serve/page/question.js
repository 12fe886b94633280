// The questionnaire: one item at a time, the one whose answer tells most.

import { ask } from "./api.js";
import { named } from "./build.js";
import { attempt } from "./connection.js";
import { say, state, togglePick, watch } from "./state.js";

const question = document.getElementById("question");
const asked = document.getElementById("asked");
let item = null; // null while the next one is loading

/** Initialize the questionnaire. */
export function startQuestion() {
  watch(["said", "model"], load);
  document.getElementById("answer-yes").addEventListener("click", () => item && togglePick(item));
  document.getElementById("answer-no").addEventListener("click", () => {
    if (item) say({ refused: [...state.said.refused, String(item.item_id)] });
  });
}

async function load() {
  if (!state.model) return;
  const { said } = state;
  const isWanted = () => state.said === said;
  item = null;
  await attempt(async () => {
    const liked = said.picks.map(({ item_id }) => item_id);
    const passed = [...said.refused, ...said.hidden.map(({ item_id }) => item_id)];
    const answer = await ask("v1/onboarding", { query: { liked, passed } });
    if (!isWanted()) return;
    item = answer.question;
    question.hidden = !item;
    asked.replaceChildren(...(item ? [named("strong", item)] : []));
  }, isWanted);
}
