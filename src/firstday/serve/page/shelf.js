// The shelf: items that differ, or those found by title, and the visitor's picks.

import { ask } from "./api.js";
import { count, icon, make, named, nameOf, settled } from "./build.js";
import { attempt } from "./connection.js";
import { isNothing, isPicked, startOver, state, togglePick, unhide, watch } from "./state.js";

const SIZE = 12;
const NARROW_SIZE = 4;
const WANTED = 3;

const narrow = matchMedia("(max-width: 799px)");
const shelf = document.getElementById("shelf");
const next = document.getElementById("shelf-next");
const text = document.getElementById("search-text");
const found = document.getElementById("found");
const picksName = document.getElementById("picks-name");
const picks = document.getElementById("picks");
const picked = document.getElementById("picked");
const crossed = document.getElementById("crossed");
const again = document.getElementById("start-over");

let all = []; // items of the shelf, in order
let from = 0; // number of items already seen
let results = null; // items found; null: no search
let searched = {}; // {query, done: promise} of the last search

/** Initialize the shelf. */
export function startShelf() {
  watch(["segments"], fillShelf);
  watch(["said"], showPicks);
  narrow.addEventListener("change", showShelf);
  next.addEventListener("click", showNext);
  again.addEventListener("click", () => {
    startOver();
    text.value = "";
    closeSearch();
    text.focus();
  });
  text.addEventListener("input", settled(search, 150));
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    search().then(() => shelf.querySelector("button")?.focus());
  });
}

/** Collect what groups use most: first one item of each group, then the second ones. */
function fillShelf() {
  if (!state.segments) return;
  const items = [0, 1, 2].flatMap((at) => state.segments.map(({ top_items: top }) => top[at]));
  const known = new Map(items.filter(Boolean).map((item) => [item.item_id, item]));
  all = [...known.values()];
  from = 0;
  showShelf();
}

function showNext() {
  const size = shelf.children.length;
  if (results) text.value = "";
  else from = from + size < all.length ? from + size : 0;
  closeSearch();
}

function closeSearch() {
  results = null;
  searched = {};
  found.textContent = "";
  showShelf();
}

function showShelf() {
  const size = narrow.matches ? NARROW_SIZE : SIZE;
  const items = results ?? all.slice(from, from + size);
  next.textContent = results ? "Back to the shelf" : "Others to pick from";
  next.disabled = !results && all.length <= size;
  shelf.replaceChildren(...items.map(makeItem));
  markPicked();
}

function makeItem(item) {
  const title = named("span", item, { class: "title" });
  const button = make("button", { type: "button", class: "item" }, title, icon("like"));
  button.addEventListener("click", () => togglePick(item));
  button.item = item;
  return make("li", {}, button);
}

function markPicked() {
  for (const button of shelf.querySelectorAll("button")) button.setAttribute("aria-pressed", isPicked(button.item));
}

/** Search for the text of the field, unless that was the last search. */
async function search() {
  const query = text.value.trim();
  if (!query) closeSearch();
  else if (query !== searched.query) searched = { query, done: find(query) };
  await searched.done;
}

async function find(query) {
  const isWanted = () => text.value.trim() === query;
  await attempt(async () => {
    const { items } = await ask("v1/items", { query: { query, limit: SIZE } });
    if (!isWanted()) return;
    results = items;
    const n = items.length;
    const text = n < SIZE ? `${count(n)} found` : `First ${SIZE} found`;
    found.textContent = n ? text : `Nothing has “${query}” in its title.`;
    showShelf();
  }, isWanted);
}

function sayPicks(n) {
  if (!n) return "No picks yet";
  return n < WANTED ? `${count(n)} of ${WANTED} picks:` : `Your ${count(n)} picks:`;
}

function showPicks() {
  const { said } = state;
  const isInside = picks.contains(document.activeElement);
  picksName.textContent = sayPicks(said.picks.length);
  picked.replaceChildren(...said.picks.map((item) => makeChip(item, "Take back", togglePick)));
  crossed.replaceChildren(...said.hidden.map((item) => makeChip(item, "Bring back", unhide)));
  document.getElementById("crossed-name").hidden = !said.hidden.length;
  again.hidden = isNothing();
  if (isInside) picksName.focus(); // a second press does nothing
  markPicked();
}

function makeChip(item, verb, act) {
  const attributes = { type: "button", class: "chip", "aria-label": `${verb}: ${nameOf(item)}` };
  const button = make("button", { ...attributes, on: { click: () => act(item) } });
  button.append(named("span", item, { class: "title" }), icon("no"));
  return make("li", {}, button);
}
