// The lists: one by the chosen strategy and one per nearby segment, or a comparison of two strategies.

import { refresh } from "./acts.js";
import { count, make, namedTogether, nameOf, percent } from "./build.js";
import { makeCarousel } from "./carousel.js";
import { showComparison } from "./compare.js";
import { announce } from "./questions.js";
import { actedOn, change, state, watch } from "./state.js";
import { sayAlike, sayReason, sayRoute, sayShare, sayStrategy } from "./words.js";

const LENGTH = 20;
const SPEAKS_FROM = 0.1; // minimum weight of a segment with a list, relative to the heaviest

const mixed = document.getElementById("mixed");
const byAnswers = document.getElementById("by-answers");
const speaking = document.getElementById("speaking");
const strategy = document.getElementById("strategy");
const other = document.getElementById("other");
const compare = document.getElementById("compare");

/** Initialize the lists. */
export function startLists() {
  showWaiting();
  watch(["model"], offerStrategies);
  watch(["list", "otherList", "other", "acts", "visitor"], showMixed);
  watch(["answered", "list", "other", "acts", "visitor"], showAnswered);
  watch(["near", "list", "acts", "answered", "visitor"], showSpeaking);
  strategy.addEventListener("change", () => ask({ strategy: strategy.value }));
  other.addEventListener("change", () => ask({ other: other.value, otherList: null }));
  compare.addEventListener("click", () => {
    const rival = state.other ? null : rivalOf(state.strategy);
    ask({ other: rival, otherList: null });
  });
}

const EMPTY = "As soon as you say something, the segments near you speak here, each with a list of its own.";
const LOST = "The store of what you said does not answer, so that no segment can speak. It is asked again with your next act.";
const NOTHING = "Nothing is left for this list.";
const hint = make("p", { class: "hint" });

const rivalOf = (chosen) => ["popular", "segment"].find((name) => name !== chosen);

function ask(parts) {
  change(parts);
  compare.setAttribute("aria-pressed", String(Boolean(state.other)));
  document.getElementById("lists").classList.toggle("comparing", Boolean(state.other));
  compare.textContent = state.other ? "Stop comparing" : "Compare";
  document.getElementById("other-label").hidden = other.hidden = !state.other;
  if (state.other) other.value = state.other;
  refresh();
}

function offerStrategies() {
  if (!state.model) return;
  for (const select of [strategy, other]) {
    const options = state.model.strategies.map((name) => make("option", { value: name, text: sayStrategy(name) }));
    select.replaceChildren(...options);
  }
  strategy.value = state.strategy;
  strategy.disabled = compare.disabled = false;
}

function showWaiting() {
  const tiles = Array.from({ length: 6 }, () => make("li", { class: "tile empty" }));
  mixed.replaceChildren(make("ul", { class: "row", "aria-hidden": "true" }, ...tiles));
}

let first = null; // carousel of the chosen strategy
let last = []; // ids it showed, to announce changes

function showMixed() {
  if (!state.list) return;
  if (state.other) {
    first = null;
    showComparison(mixed, state.list, state.otherList, actedOn());
    return;
  }
  if (!first) {
    first = makeCarousel("Your list");
    first.about = make("p", { class: "about" });
    mixed.replaceChildren(make("div", { class: "list-head" }, first.about, first.arrows), first.row);
  }
  const told = actedOn();
  const entries = state.list.items
    .map((item, at) => ({ item, reason: sayReason(state.list, at) }))
    .filter(({ item }) => !told.has(String(item.item_id)))
    .slice(0, LENGTH);
  first.about.textContent = entries.length ? sayRoute(state.list) : NOTHING;
  first.show(entries);
  sayWhatMoved(entries.map(({ item }) => item));
}

function sayWhatMoved(items) {
  const ids = items.map((item) => String(item.item_id));
  if (last.length && ids.join() !== last.join()) {
    const fresh = ids.filter((id) => !last.includes(id)).length;
    const news = `Your list changed: ${count(fresh)} new of ${count(ids.length)}. First is `;
    announce(ids.length ? `${news}${nameOf(items[0])}.` : NOTHING);
  }
  last = ids;
}

let answers = null; // carousel of the list from all answers
let answered = null; // list and answers it was last shown for
const inAnswers = () => (byAnswers.hidden ? [] : [...answers.row.children].map((tile) => tile.dataset.item));

/** Show the list from all answers, in which a no counts too. */
function showAnswered() {
  const told = actedOn();
  const own = (state.answered?.items ?? []).filter((item) => !told.has(String(item.item_id))).slice(0, LENGTH);
  byAnswers.hidden = !own.length || !state.list || Boolean(state.other);
  if (!byAnswers.hidden) {
    answers ??= makeAnswers();
    answers.about.textContent = `${count(state.answered.count)} so far, yes and no · what people who would answer alike use`;
    answers.show(own.map((item) => ({ item, reason: sayAlike(item) })));
    const [first] = own;
    if (answered?.list === state.list && answered.told !== state.answered) {
      announce(`The list from your answers changed. First is ${nameOf(first)}.`); // the list above did not change
    }
  }
  answered = { list: state.list, told: state.answered };
}

function makeAnswers() {
  const carousel = makeCarousel("From your answers alone");
  carousel.about = make("p", { class: "about" });
  const name = make("h3", { id: "answers-name", class: "segment-name", text: "From your answers alone" });
  byAnswers.replaceChildren(
    make("div", { class: "list-head" }, make("div", { class: "list-name" }, carousel.about, name), carousel.arrows),
    carousel.row,
  );
  return carousel;
}

const rows = new Map(); // segment -> its carousel

function showSpeaking() {
  if (!state.near?.segments.length) {
    hint.textContent = state.near?.signals_from === "store_unavailable" ? LOST : EMPTY;
    speaking.replaceChildren(...(state.list ? [hint] : []));
    rows.clear();
    return;
  }
  // Omit items that the visitor has answered and those in a list above.
  const shown = new Set([...actedOn(), ...last, ...inAnswers()]);
  const [{ weight: heaviest }] = state.near.segments;
  const heard = state.near.segments.filter(({ weight }) => weight >= SPEAKS_FROM * heaviest);
  const sections = heard.map((segment) => {
    const carousel = rows.get(segment.segment) ?? makeSection(segment);
    rows.set(segment.segment, carousel);
    carousel.weight.textContent = `${percent(segment.weight)} of your taste`;
    const own = segment.items.filter((item) => !shown.has(String(item.item_id))).slice(0, LENGTH);
    own.forEach((item) => shown.add(String(item.item_id)));
    carousel.show(own.map((item) => ({ item, reason: sayOwn(item) })));
    return carousel.section;
  });
  for (const number of [...rows.keys()]) if (!heard.some(({ segment }) => segment === number)) rows.delete(number);
  const focused = document.activeElement;
  if ([...speaking.children].some((child, at) => child !== sections[at]) || speaking.children.length !== sections.length) {
    speaking.replaceChildren(...sections);
    if (focused?.isConnected) focused.focus({ preventScroll: true });
  }
  for (const carousel of rows.values()) carousel.row.dispatchEvent(new Event("scroll"));
}

function sayOwn({ share, share_of_everyone, most_like }) {
  return sayShare(share, share_of_everyone, "of them", most_like ? nameOf(most_like) : null);
}

function makeSection({ segment, users, apart }) {
  const id = `segment-${segment}`;
  const carousel = makeCarousel(`What segment ${segment} uses`);
  carousel.weight = make("span", { class: "weight" });
  const name = make("h3", { id, class: "segment-name" }, ...namedTogether(apart.slice(0, 2)));
  name.title = apart.slice(0, 2).map(nameOf).join(" · ");
  const about = make(
    "p",
    { class: "about" },
    carousel.weight,
    ` · ${count(users)} people who stand out by`,
  );
  carousel.section = make(
    "section",
    { class: "list", "aria-labelledby": id },
    make("div", { class: "list-head" }, make("div", { class: "list-name" }, about, name), carousel.arrows),
    carousel.row,
  );
  return carousel;
}
