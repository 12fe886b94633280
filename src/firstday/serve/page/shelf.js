// The shelf: items that differ, or those found by title, and the visitor's picks.

import { ask } from "./api.js";
import { count, icon, make, named, nameOf, settled } from "./build.js";
import { attempt } from "./connection.js";
import { isPicked, startOver, state, togglePick, watch } from "./state.js";

const SIZE = 12;
const NARROW_SIZE = 4;
const WANTED = 3;

const narrow = matchMedia("(max-width: 799px)");
const shelf = document.getElementById("shelf");
const next = document.getElementById("shelf-next");
const text = document.getElementById("search-text");
const found = document.getElementById("found");
const picksName = document.getElementById("picks-name");
const picked = document.getElementById("picked");
const again = document.getElementById("start-over");

let all = []; // items of the shelf, in order
let from = 0; // number of items already seen
let results = null; // items found; null: no search

/** Initialize the shelf. */
export function startShelf() {
  watch(["map"], fillShelf);
  watch(["said"], showPicks);
  narrow.addEventListener("change", showShelf);
  next.addEventListener("click", showNext);
  again.addEventListener("click", () => {
    startOver();
    text.focus();
  });
  text.addEventListener("input", settled(search, 150));
  document.getElementById("search").addEventListener("submit", (event) => event.preventDefault());
}

/** Collect the items by which groups stand out: first one of each group, then the second ones. */
function fillShelf() {
  if (!state.map) return;
  const items = [0, 1, 2].flatMap((at) => state.map.segments.map(({ apart }) => apart[at]));
  const known = new Map(items.filter(Boolean).map((item) => [item.item_id, item]));
  all = [...known.values()];
  from = 0;
  showShelf();
}

function showNext() {
  const size = shelf.children.length;
  if (results) text.value = "";
  else from = from + size < all.length ? from + size : 0;
  results = null;
  found.textContent = "";
  showShelf();
}

function showShelf() {
  const size = narrow.matches ? NARROW_SIZE : SIZE;
  const items = results ?? all.slice(from, from + size);
  next.textContent = results ? "Back to the shelf" : "Show others";
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

async function search() {
  const query = text.value.trim();
  if (!query) {
    if (results) showNext();
    return;
  }
  const isWanted = () => text.value.trim() === query;
  await attempt(async () => {
    const { items } = await ask("v1/items", { query: { query, limit: SIZE } });
    if (!isWanted()) return;
    results = items;
    found.textContent = items.length ? `${count(items.length)} found` : `Nothing has “${query}” in its title.`;
    showShelf();
  }, isWanted);
}

function sayPicks(n) {
  if (!n) return "No picks yet";
  return n < WANTED ? `${count(n)} of ${WANTED} picks:` : `Your ${count(n)} picks:`;
}

function showPicks() {
  const { picks, hidden } = state.said;
  const at = [...picked.querySelectorAll("button")].indexOf(document.activeElement);
  picksName.textContent = sayPicks(picks.length);
  picked.replaceChildren(...picks.map(makePick));
  again.hidden = !picks.length && !hidden.length;
  if (at >= 0) (picked.querySelectorAll("button")[Math.min(at, picks.length - 1)] ?? text).focus();
  markPicked();
}

function makePick(item) {
  const on = { click: () => togglePick(item) };
  const attributes = { type: "button", class: "pick", "aria-label": `Take back: ${nameOf(item)}`, on };
  return make("li", {}, make("button", attributes, named("span", item, { class: "title" }), icon("no")));
}
