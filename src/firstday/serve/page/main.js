// Entry point: initializes the parts of the page, then loads what depends only on the model.

import { ask, hasKey } from "./api.js";
import { count } from "./build.js";
import { askForKey, attempt, whenKeyGiven } from "./connection.js";
import { startLists } from "./lists.js";
import { startOptions } from "./options.js";
import { startQuestion } from "./question.js";
import { startRequests } from "./requests.js";
import { startShelf } from "./shelf.js";
import { change, state, watch } from "./state.js";

function readModel() {
  return attempt(async () => {
    await Promise.all([
      ask("v1/model").then((model) => change({ model })),
      ask("v1/profile").then((profileColumns) => change({ profileColumns })),
      ask("v1/segments", { query: { limit: 200, items: 3 } }).then(({ segments }) => change({ segments })),
    ]);
  });
}

/** Reload the model's data if the service has swapped the model. */
function followModel() {
  if (state.lists && state.lists[0].model !== state.model.model) readModel();
}

function showFacts() {
  if (!state.model) return;
  const { items, segments, model, data } = state.model;
  if (data.dataset) document.getElementById("source").textContent = `Learned from the choices in ${data.dataset}`;
  document.getElementById("facts").textContent =
    `Model ${model.slice(0, 8)}: ${count(items)} items, ${count(segments)} groups of people`;
}

startShelf();
startQuestion();
startOptions();
startLists();
startRequests();
watch(["lists"], followModel);
watch(["model"], showFacts);
whenKeyGiven(readModel);

if (document.documentElement.dataset.keys === "needed" && !hasKey()) askForKey();
else readModel();
