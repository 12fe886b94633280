// The lists: one column per way, asked again whenever what the visitor said, the filter or the ways change.

import { Refused, ask } from "./api.js";
import { bar, count, icon, make, named, nameOf } from "./build.js";
import { attempt } from "./connection.js";
import { change, hide, say, state, togglePick, watch } from "./state.js";
import { sayEvidence, sayHow, sayReason, sayWay } from "./words.js";

const ASKED = 24;
const LONG = 20;
const SHORT = 8;
const NARROW_SHORT = 5;
const MAX_SIGNALS = 1000; // of a kind in a request

const narrow = matchMedia("(max-width: 799px)");
const race = document.getElementById("race");
const columns = document.getElementById("columns");
const longer = document.getElementById("longer");
const others = document.getElementById("others");
const back = document.getElementById("others-back");
const moved = document.getElementById("moved");

/** Initialize the lists. */
export function startLists() {
  watch(["model", "said", "ways"], refresh);
  watch(["lists"], showLists);
  narrow.addEventListener("change", showLists);
  longer.addEventListener("click", () => {
    const isLong = longer.getAttribute("aria-pressed") !== "true";
    longer.setAttribute("aria-pressed", isLong);
    longer.textContent = isLong ? "Shorter lists" : "Longer lists";
    showLists();
  });
  others.addEventListener("click", () => {
    const passed = state.lists.flatMap(shownOf).map(({ item }) => String(item.item_id));
    say({ shown: [...new Set([...state.said.shown, ...passed])].slice(-MAX_SIGNALS) });
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

function askList(strategy) {
  const { filter, hidden } = state.said;
  const rules = filter ? { filter } : {};
  const k = ASKED + hidden.length;
  return ask("v1/recommendations", { body: { signals: readSignals(), k, strategy, rules, explain: true } });
}

let turn = 0;

/** Ask for all lists; a later call supersedes an earlier one. */
async function refresh() {
  if (!state.model) return;
  const mine = ++turn;
  const isWanted = () => mine === turn;
  race.setAttribute("aria-busy", "true");
  await attempt(async () => {
    try {
      const lists = await Promise.all(state.ways.map(askList));
      if (isWanted()) change({ lists });
    } catch (problem) {
      if (!(problem instanceof Refused) || !state.said.filter) throw problem;
      if (!isWanted()) return;
      change({ fault: problem.message });
      say({ filter: "" });
    }
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
  const { lists, model, said } = state;
  const place = placeOf(document.activeElement);
  const row = model.selection.find(({ known }) => known === lists[0].explanation.known);
  const isOnPicksAlone = !said.filter && !said.hidden.length && !said.shown.length;
  const isTested = row && isOnPicksAlone && lists.some(({ segment }) => segment !== null);
  document.getElementById("evidence").textContent = sayEvidence(lists, row);
  others.disabled = !lists.flatMap(shownOf).length;
  back.hidden = !said.shown.length;
  const scores = lists.map(({ route }) => (isTested ? makeScore(row, route) : null));
  columns.replaceChildren(...lists.map((list, at) => makeColumn(list, at, scores[at])));
  if (place) focusAt(place);
  document.activeElement.closest("#race .below")?.scrollIntoView({ block: "nearest" });
}

function makeColumn(list, at, score) {
  const id = `list-${at}`;
  const entries = shownOf(list).map(({ item, place }, rank) => makeEntry(list, item, place, rank));
  const text = state.said.filter ? "No item left to list meets this condition." : "Nothing is left for this list.";
  return make(
    "section",
    { class: "card column", "aria-labelledby": id, "data-way": list.strategy },
    make("h3", { id, text: sayWay(list.strategy) }),
    make("p", { class: "small how", text: sayHow(list) }),
    score,
    entries.length ? make("ol", { role: "list" }, ...entries) : make("p", { class: "small", text }),
  );
}

/** Show the precision of a route, for people who began as the visitor did. */
function makeScore({ precision, precision_ci }, route) {
  const place = make("p", { class: "score small" });
  if (precision[route] === undefined) {
    place.textContent = "Not tested";
    return place;
  }
  const [low, high] = precision_ci[route].map(Math.round);
  const number = make("strong", { text: `found ${Math.round(precision[route])}%` });
  place.append("On other people: ", number, ` (${low}–${high}%)`, bar(precision[route]));
  return place;
}

function makeEntry(list, item, place, rank) {
  return make(
    "li",
    { class: "entry", "data-item": item.item_id, tabindex: -1 },
    make("span", { class: "rank", text: count(rank + 1) }),
    make("div", {}, named("p", item, { class: "title" }), make("p", { class: "reason" }, ...sayReason(list, place))),
    makeAct("pick", "like", "Pick", item, togglePick),
    makeAct("hide", "no", "Not for me", item, hide),
  );
}

/** Make a button of an entry, which afterwards gives the focus to the entry: a second press does nothing. */
function makeAct(what, image, verb, item, act) {
  const label = `${verb}: ${nameOf(item)}`;
  const click = ({ currentTarget }) => {
    currentTarget.closest(".entry").focus();
    moved.textContent = `${what === "pick" ? "Picked" : "Removed"} ${nameOf(item)}`;
    act(item);
  };
  const attributes = { type: "button", class: `act ${what}`, "aria-label": label, title: label };
  return make("button", { ...attributes, "data-what": what, on: { click } }, icon(image));
}

const entriesOf = (column) => [...(column?.querySelectorAll(".entry") ?? [])];

/** Return where the focus is in an entry: column, row, and what its button does, if it is on one; null elsewhere. */
function placeOf(focused) {
  const entry = focused.closest(".entry");
  const column = [...columns.children].findIndex((one) => one.contains(entry));
  return entry ? { column, row: entriesOf(columns.children[column]).indexOf(entry), what: focused.dataset.what } : null;
}

/** Focus what is now where the focus was. */
function focusAt({ column, row, what }) {
  const entries = entriesOf(columns.children[column]);
  const entry = entries[Math.min(row, entries.length - 1)] ?? race;
  (entry.querySelector(`[data-what="${what}"]`) ?? entry).focus();
}
