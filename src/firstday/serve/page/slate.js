// The slate of a round, its controls, and what was learned.

import { count, icon, make, named, nameOf } from "./build.js";
import { showLearned, tellLesson } from "./learned.js";
import { anew, back, mark, next, walk, watchRounds } from "./rounds.js";
import { state, watch } from "./state.js";
import { sayReason, sayRoute } from "./words.js";

const place = document.getElementById("rounds");
const toggle = document.getElementById("walk");
const name = document.getElementById("round-name");
const about = document.getElementById("round-about");
const lesson = document.getElementById("lesson");
const slate = document.getElementById("slate");
const marked = document.getElementById("marked");
const on = document.getElementById("round-next");
const before = document.getElementById("round-back");

/** Initialize the rounds. */
export function startRounds() {
  toggle.addEventListener("click", () => {
    if (!state.rounds) for (const card of document.querySelectorAll(".telling details")) card.open = false; // makes room
    walk(!state.rounds);
  });
  on.addEventListener("click", next);
  before.addEventListener("click", back);
  document.getElementById("round-anew").addEventListener("click", anew);
  watch(["model"], () => (toggle.disabled = !state.model));
  watch(["rounds"], show);
  watchRounds();
}

let drawn = null; // list of the current slate

function show() {
  const walking = Boolean(state.rounds);
  document.body.classList.toggle("walking", walking);
  place.hidden = !walking;
  document.getElementById("learned").hidden = !walking;
  toggle.setAttribute("aria-pressed", String(walking));
  toggle.textContent = walking ? "End the rounds" : "Rounds";
  document.getElementById("strategy-label").textContent = `How ${walking ? "each" : "the first"} list is made`;
  const round = state.rounds?.at(-1);
  if (!round) {
    drawn = null;
    slate.replaceChildren();
    lesson.replaceChildren();
    showLearned(null, 1);
    return;
  }
  if (round.list !== drawn) showRound(round);
  showMarks(round);
}

function showRound(round) {
  const number = state.rounds.length;
  const isFirst = !drawn;
  drawn = round.list;
  const learned = round.list.explanation.learned ?? null;
  name.textContent = `Round ${count(number)}`;
  about.textContent = round.items.length ? sayRoute(round.list) : "That was everything there is.";
  lesson.replaceChildren(...(learned ? tellLesson(learned) : []));
  showLearned(learned, number);
  slate.replaceChildren(...round.items.map(({ item, at }) => makePick(item, sayReason(round.list, at))));
  before.disabled = number < 2;
  on.disabled = !round.items.length;
  if (isFirst) return;
  name.focus({ preventScroll: true }); // keyboard users continue at the new slate
  name.scrollIntoView({ block: name.getBoundingClientRect().top < 0 ? "start" : "nearest" });
}

function showMarks({ items, used }) {
  for (const pick of slate.querySelectorAll(".pick")) {
    pick.setAttribute("aria-pressed", String(used.includes(pick.dataset.item)));
  }
  const left = items.length - used.length;
  marked.textContent = `${count(used.length)} to use, ${count(left)} to pass over`;
}

function makePick(item, { strong, more, like }) {
  const id = String(item.item_id);
  const lines = [make("strong", { text: strong }), make("span", { text: more })];
  if (like) lines.push(make("span", { class: "because", title: like }, "like ", make("bdi", { text: like })));
  const pick = make(
    "button",
    { type: "button", class: "pick", "aria-pressed": "false", "data-item": id, on: { click: () => mark(id) } },
    named("span", item, { class: "title" }),
    make("span", { class: "reason" }, ...lines),
    make("span", { class: "would", "aria-hidden": "true" }, icon("like"), make("span", { text: "I’d use it" })),
  );
  pick.setAttribute("aria-label", `I would use: ${nameOf(item)}. ${strong} ${more}${like ? `, like ${like}` : ""}`);
  return make("li", {}, pick);
}
