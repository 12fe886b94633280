// Entry point: initializes the parts of the page, then loads their data.

import { hasKey, ask } from "./api.js";
import { forget, isUnderstood, refresh, remember, sendWaiting } from "./acts.js";
import { count } from "./build.js";
import { attempt, say, hush, whenBack } from "./connection.js";
import { askForKeys, whenKeysGiven } from "./keys.js";
import { startFilter } from "./filter.js";
import { startLists } from "./lists.js";
import { startMap } from "./map.js";
import { startPanel } from "./panel.js";
import { startProfile } from "./profile.js";
import { startQuestions } from "./questions.js";
import { startRounds } from "./slate.js";
import { change, state, watch } from "./state.js";

const sure = document.getElementById("sure");

async function begin() {
  await attempt(async () => {
    await remember();
    await Promise.all([readModel(), refresh()]);
  });
}

/** Load what depends only on the model. */
function readModel() {
  return Promise.all([
    ask("GET", "v1/model").then((model) => change({ model, strategy: model.default_strategy })),
    ask("GET", "v1/profile").then((profileColumns) => change({ profileColumns })),
    ask("GET", "v1/map").then((map) => change({ map })),
  ]);
}

/** Reload the model's data if the service has swapped the model. */
function followModel() {
  if (state.model && state.list && state.list.model !== state.model.model) attempt(readModel);
}

function showFacts() {
  if (!state.model) return;
  const { items, segments, model } = state.model;
  document.getElementById("facts").textContent =
    `${count(items)} items · ${count(segments)} segments · model ${model.slice(0, 8)}`;
}

/** Hide actions whose signal the model does not know. */
function hideStrangeActs() {
  for (const what of ["skip", "ban"]) document.body.classList.toggle(`without-${what}`, !isUnderstood(what));
}

function startForgetting() {
  const button = document.getElementById("forget");
  button.addEventListener("click", () => sure.showModal());
  document.getElementById("sure-no").addEventListener("click", () => sure.close());
  document.getElementById("sure-yes").addEventListener("click", async () => {
    sure.close();
    const done = "Done: the service has forgotten you. You are new again.";
    if (await forget()) {
      say(done, "good");
      setTimeout(() => hush(done), 5000);
    }
  });
}

startPanel();
startProfile();
startQuestions();
startFilter();
startLists();
startRounds();
startMap();
startForgetting();
watch(["list"], followModel);
watch(["model"], showFacts);
watch(["model"], hideStrangeActs);
whenBack(() => (state.map ? refresh() : begin()));
whenKeysGiven(async () => {
  await sendWaiting();
  await begin();
});

if (document.documentElement.dataset.keys === "needed" && !hasKey()) askForKeys();
else begin();
