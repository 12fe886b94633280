// The lists: one column per way, asked again whenever what the visitor said, the filter or the ways change.

import { ask } from "./api.js";
import { bar, count, icon, make, named, nameOf } from "./build.js";
import { attempt } from "./connection.js";
import { change, hide, say, state, togglePick, watch } from "./state.js";
import { sayEvidence, sayHow, sayLesson, sayReason, sayWay } from "./words.js";

const ASKED = 24;
const LONG = 20;
const SHORT = 8;
const NARROW_SHORT = 5;
const UNKNOWN = "Nobody knows you yet, so all lists have what most people choose. Pick something, and they part.";
const MAX_SIGNALS = 1000; // of a kind in a request

const narrow = matchMedia("(max-width: 799px)");
const race = document.getElementById("race");
const columns = document.getElementById("columns");
const longer = document.getElementById("longer");
const others = document.getElementById("others");
const back = document.getElementById("others-back");

/** Initialize the lists. */
export function startLists() {
  watch(["model", "said", "filter", "ways"], refresh);
  watch(["lists"], showLists);
  narrow.addEventListener("change", showLists);
  longer.addEventListener("click", () => {
    const isLong = longer.getAttribute("aria-pressed") !== "true";
    longer.setAttribute("aria-pressed", isLong);
    longer.textContent = isLong ? "Shorter lists" : "Longer lists";
    showLists();
  });
  others.addEventListener("click", () => {
    const passed = shownOf(state.lists[0]).map(({ item }) => String(item.item_id));
    say({ shown: [...state.said.shown, ...passed].slice(-MAX_SIGNALS) });
  });
  back.addEventListener("click", () => {
    say({ shown: [] });
    others.focus();
  });
}

/** Return the signal of a pick: the first of these that the model has learned from, or else knows. */
function pickSignal() {
  const { signals, features } = state.model;
  const kinds = ["favorite", "stream"];
  return kinds.find((kind) => features.includes(`${kind} x item`)) ?? kinds.find((kind) => signals.includes(kind));
}

/** Return everything that the visitor said, in the form of the service. */
function readSignals() {
  const { picks, hidden, shown, profile } = state.said;
  const asRow = (signal) => (item) => [signal, "item", String(item.item_id)];
  const bans = state.model.signals.includes("ban") ? hidden.map(asRow("ban")) : [];
  const interactions = [...picks.map(asRow(pickSignal())), ...bans].slice(-MAX_SIGNALS);
  return { age: profile.age, profile: profile.columns, interactions, shown };
}

/** Ask for one list. */
export function askList(strategy, filter, k) {
  const rules = filter ? { filter } : {};
  return ask("v1/recommendations", { body: { signals: readSignals(), k, strategy, rules, explain: true } });
}

let turn = 0;
let seen = new Map(); // ids of the items last shown, by strategy

/** Ask for all lists; a later call supersedes an earlier one. */
async function refresh() {
  if (!state.model) return;
  const mine = ++turn;
  const isWanted = () => mine === turn;
  race.setAttribute("aria-busy", "true");
  await attempt(async () => {
    const k = ASKED + state.said.hidden.length;
    const lists = await Promise.all(state.ways.map((way) => askList(way, state.filter, k)));
    if (!isWanted()) return;
    lists.forEach((list) => (list.before = seen.get(list.strategy)));
    change({ lists });
  }, isWanted);
  if (isWanted()) race.setAttribute("aria-busy", "false");
}

/** Return the items of a list to show, each with its place; the service fills lists up with items passed over. */
function shownOf(list) {
  const gone = new Set([...state.said.shown, ...state.said.hidden.map(({ item_id }) => String(item_id))]);
  const size = longer.getAttribute("aria-pressed") === "true" ? LONG : narrow.matches ? NARROW_SHORT : SHORT;
  const entries = list.items.map((item, place) => ({ item, place }));
  return entries.filter(({ item }) => !gone.has(String(item.item_id))).slice(0, size);
}

function showLists() {
  if (!state.lists) return;
  const { lists } = state;
  const focused = document.activeElement;
  const place = placeOf(focused);
  const scores = lists.map(findScore);
  const measured = scores.find(Boolean);
  const explained = measured ? sayEvidence(measured, state.model.default_k) : "";
  const isUnknown = lists.every(({ segment }) => segment === null);
  document.getElementById("evidence").textContent = isUnknown ? UNKNOWN : explained;
  others.disabled = !shownOf(lists[0]).length;
  back.hidden = !state.said.shown.length;
  columns.replaceChildren(...lists.map((list, at) => makeColumn(list, at, measured ? makeScore(scores[at]) : null)));
  columns.firstElementChild.append(make("div", { class: "below" }, others, back));
  if (place) focusAt(place);
  else if (columns.contains(focused)) focused.focus({ preventScroll: true });
  announce(lists[0]);
  seen = new Map(lists.map((list) => [list.strategy, shownOf(list).map(({ item }) => item.item_id)]));
}

function announce(list) {
  const shown = shownOf(list);
  if (!list.before || !shown.length) return;
  const n_new = shown.filter(({ item }) => !list.before.includes(item.item_id)).length;
  document.getElementById("moved").textContent =
    `${count(n_new)} of ${count(shown.length)} are new in “${sayWay(list.strategy)}”. First is ${nameOf(shown[0].item)}.`;
}

/** Return the precision of a list's strategy for the class of people who began alike; null if it was not measured. */
function findScore({ route, explanation }) {
  const row = state.model.selection.find(({ known }) => known === explanation.known);
  if (row?.precision[route] === undefined) return null;
  const [low, high] = row.precision_ci[route];
  return { ...row, precision: row.precision[route], error: (high - low) / 2 };
}

function makeColumn(list, at, score) {
  const id = `list-${at}`;
  const { learned } = list.explanation;
  const entries = shownOf(list).map(({ item, place }, rank) => makeEntry(list, item, place, rank));
  const nothing = make("p", { class: "small", text: "Nothing is left for this list." });
  return make(
    "section",
    { class: "card column", "aria-labelledby": id, "data-way": list.strategy },
    make("h3", { id, text: sayWay(list.strategy) }),
    make("p", { class: "small how", text: sayHow(list) }),
    score,
    learned && !at ? make("p", { class: "lesson" }, ...sayLesson(learned)) : null,
    entries.length ? make("ol", { role: "list" }, ...entries) : nothing,
  );
}

function makeScore(score) {
  const place = make("p", { class: "score" });
  if (!score) return place;
  const number = make("strong", { text: `${Math.round(score.precision)}% right` });
  place.append(number, make("span", { class: "small", text: ` ± ${Math.round(score.error)}` }), bar(score.precision));
  return place;
}

function makeEntry(list, item, place, rank) {
  const isNew = list.before && !list.before.includes(item.item_id);
  const mark = isNew ? make("strong", { class: "new", text: "new " }) : null;
  return make(
    "li",
    { class: "entry", "data-item": item.item_id },
    make("span", { class: "rank", text: count(rank + 1) }),
    make(
      "div",
      {},
      named("p", item, { class: "title" }),
      make("p", { class: "reason" }, mark, ...sayReason(list, place)),
    ),
    makeAct("pick", "like", `Pick: ${nameOf(item)}`, () => togglePick(item)),
    makeAct("hide", "no", `Never list: ${nameOf(item)}`, () => hide(item)),
  );
}

function makeAct(what, image, label, click) {
  const attributes = { type: "button", class: `act ${what}`, "data-what": what, "aria-label": label, title: label };
  return make("button", { ...attributes, on: { click } }, icon(image));
}

const entriesOf = (column) => [...(column?.querySelectorAll(".entry") ?? [])];

/** Return where a button of an entry is: column, row and what it does; null if it is none. */
function placeOf(button) {
  const entry = button.closest(".entry");
  const column = [...columns.children].findIndex((one) => one.contains(entry));
  return entry ? { column, row: entriesOf(columns.children[column]).indexOf(entry), what: button.dataset.what } : null;
}

/** Focus the button that is now where another one was. */
function focusAt({ column, row, what }) {
  const entries = entriesOf(columns.children[column]);
  entries[Math.min(row, entries.length - 1)]?.querySelector(`[data-what="${what}"]`).focus({ preventScroll: true });
}
