// A list as a scrollable row of tiles. Tiles are reused by item when the list changes, to animate moves and preserve the
// focus. A row uses a roving tabindex: Tab visits the buttons of one tile, arrow keys switch tiles.

import { act, isUnderstood } from "./acts.js";
import { icon, make, named, nameOf, wantsStillness } from "./build.js";

const ACTS = [
  ["like", "Like"],
  ["skip", "Skip"],
  ["ban", "Ban"],
];
const MOVE_MS = 320;

/** Create a row of tiles; `show(entries)` fills it with entries {item, reason: {strong, more, like}}. */
export function makeCarousel(name) {
  const row = make("ul", { class: "row", role: "list", "aria-label": name, "aria-describedby": "arrows-help" });
  row.addEventListener("keydown", goAlong);
  row.addEventListener("focusin", ({ target }) => makeStop(row, target.closest(".tile")));
  const back = arrow("back", `Back: ${name}`, -1, row);
  const on = arrow("on", `On: ${name}`, 1, row);
  const update = () => {
    back.disabled = row.scrollLeft < 4;
    on.disabled = row.scrollLeft + row.clientWidth > row.scrollWidth - 4;
  };
  row.addEventListener("scroll", update, { passive: true });
  new ResizeObserver(update).observe(row);
  return {
    row,
    arrows: make("div", { class: "arrows" }, back, on),
    show(entries) {
      showTiles(row, entries);
      update();
    },
  };
}

function arrow(direction, label, sign, row) {
  const roll = () =>
    row.scrollBy({ left: sign * Math.max(200, row.clientWidth * 0.8), behavior: wantsStillness() ? "auto" : "smooth" });
  return make("button", { type: "button", class: "arrow", "aria-label": label, on: { click: roll } }, icon(direction));
}

function showTiles(row, entries) {
  const before = new Map([...row.children].map((tile) => [tile.dataset.item, tile]));
  const places = new Map([...before].map(([id, tile]) => [id, tile.offsetLeft]));
  const held = heldIn(row);
  const scrolled = held ? row.scrollLeft : 0; // without the focus, show the best items
  const tiles = entries.map(({ item, reason }, at) => {
    const old = before.get(String(item.item_id));
    const tile = old?.dataset.name === nameOf(item) ? old : makeTile(item); // the title may differ under another model
    fillTile(tile, at + 1, reason);
    return tile;
  });
  place(row, tiles);
  row.scrollLeft = scrolled;
  if (held) keepFocus(row, held);
  if (!row.querySelector(".tile.stop")) makeStop(row, row.firstElementChild);
  if (!wantsStillness() && before.size) tiles.forEach((tile) => move(tile, places.get(tile.dataset.item)));
  tiles.forEach(offerWholeTitle);
}

/** Make one tile of a row the tab stop. */
function makeStop(row, stop) {
  for (const tile of row.children) {
    tile.classList.toggle("stop", tile === stop);
    for (const button of tile.querySelectorAll("button")) button.tabIndex = tile === stop ? 0 : -1;
  }
}

/** Move the focus to the same button of another tile. */
function goAlong(event) {
  const tile = event.target.closest(".tile");
  const { firstElementChild: start, lastElementChild: end } = event.currentTarget;
  const to = { ArrowLeft: tile.previousElementSibling, ArrowRight: tile.nextElementSibling, Home: start, End: end }[event.key];
  if (!to) return;
  event.preventDefault();
  const button = to.querySelector(`[data-what="${event.target.dataset.what}"]`) ?? to.querySelector("button");
  button.focus({ preventScroll: true });
  to.scrollIntoView({ behavior: wantsStillness() ? "auto" : "smooth", block: "nearest", inline: "nearest" });
}

/** Reorder the tiles; those already in position are not moved, so that they keep the focus. */
function place(row, tiles) {
  const wanted = new Set(tiles);
  for (const tile of [...row.children]) if (!wanted.has(tile)) tile.remove();
  tiles.forEach((tile, at) => {
    if (row.children[at] !== tile) row.insertBefore(tile, row.children[at] ?? null);
  });
}

function heldIn(row) {
  const button = document.activeElement;
  const tile = button?.closest?.(".tile");
  if (!tile || tile.parentElement !== row) return null;
  return { what: button.dataset.what, at: [...row.children].indexOf(tile), id: tile.dataset.item };
}

/** Restore the focus to the tile that had it, or else to the tile at its position. */
function keepFocus(row, { what, at, id }) {
  const same = [...row.children].find((tile) => tile.dataset.item === id);
  const tile = same ?? row.children[Math.min(at, row.children.length - 1)];
  tile?.querySelector(`[data-what="${what}"]`)?.focus({ preventScroll: Boolean(same) });
}

function move(tile, from) {
  if (from === undefined) {
    tile.animate([{ opacity: 0, transform: "translateY(8px)" }, { opacity: 1, transform: "none" }], { duration: MOVE_MS });
  } else if (from !== tile.offsetLeft) {
    const frames = [{ transform: `translateX(${from - tile.offsetLeft}px)` }, { transform: "none" }];
    tile.animate(frames, { duration: MOVE_MS, easing: "cubic-bezier(.2,.7,.2,1)" });
  }
}

function makeTile(item) {
  const name = nameOf(item);
  const buttons = ACTS.filter(([what]) => isUnderstood(what)).map(([what, label]) => {
    const button = make(
      "button",
      { type: "button", class: `act ${what}`, "aria-label": `${label}: ${name}`, "data-what": what },
      what === "like" ? icon(what) : null,
      make("span", { text: label }),
    );
    button.addEventListener("click", () => act(item, what));
    return button;
  });
  const tile = make(
    "li",
    { class: "tile" },
    make("span", { class: "rank" }),
    named("p", item, { class: "title" }),
    make("p", { class: "reason" }),
    make("div", { class: "acts" }, ...buttons),
  );
  tile.dataset.item = String(item.item_id);
  tile.dataset.name = name;
  return tile;
}

function fillTile(tile, rank, { strong, more, like }) {
  tile.querySelector(".rank").textContent = String(rank);
  const lines = [make("strong", { text: strong }), make("span", { text: more })];
  if (like) lines.push(make("span", { class: "because", title: like }, "like ", make("bdi", { text: like })));
  tile.querySelector(".reason").replaceChildren(...lines);
}

/** Add a button that expands a truncated title, for use without a mouse. */
function offerWholeTitle(tile) {
  const title = tile.querySelector(".title");
  const offered = tile.querySelector(".whole");
  if (offered || title.scrollHeight <= title.clientHeight + 2) return;
  const button = make("button", { type: "button", class: "whole", "aria-expanded": "false", text: "Whole title" });
  button.tabIndex = tile.classList.contains("stop") ? 0 : -1;
  button.addEventListener("click", () => {
    const shown = tile.classList.toggle("open");
    button.setAttribute("aria-expanded", String(shown));
    button.textContent = shown ? "Shorter" : "Whole title";
  });
  title.after(button);
}
