// The map: a dot per group (segment), and the visitor among the nearest ones.

import { count, draw, make, named, namedTogether, nameOf, times } from "./build.js";
import { placeNames } from "./labels.js";
import { state, watch } from "./state.js";

const HALF = { width: 1.5, height: 1 };
const PADDING = 0.06;
const LETTERS = ["A", "B", "C"];
const LETTER_RADIUS = 8;
const MAX_LENGTH = 22;
const YOU = { width: 38, height: 20 };
const MIN_DISTANCE = 0.01;

const place = document.getElementById("map");
const detail = document.getElementById("look-detail");

let scale = 1; // pixels per map unit
let layers; // {svg, lines, dots, letters, names, you}
let chosen = -1; // place of the group looked at

/** Initialize the map. */
export function startMap() {
  watch(["map"], makeMap);
  watch(["lists", "map"], showNear);
  place.addEventListener("keydown", (event) => {
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!step || !layers) return;
    event.preventDefault();
    const n = state.map.segments.length;
    showGroup((Math.max(chosen, step < 0 ? 0 : -1) + step + n) % n);
  });
  new ResizeObserver(() => layers && layOut()).observe(place);
}

const toPixels = ({ x, y }) => ({ x: (x + HALF.width + PADDING) * scale, y: (HALF.height + PADDING - y) * scale });
const isOf = (group) => (one) => one.segment === group.segment;
const radiusOf = ({ radius }) => Math.max(3, radius * scale);
const nameOfGroup = ({ apart }) => apart.slice(0, 2).map(nameOf).join(" · ") || "Nothing in common";

function makeMap() {
  if (!state.map) return;
  const group = (name) => draw("g", { class: name });
  layers = Object.fromEntries(["lines", "dots", "letters", "names", "you"].map((name) => [name, group(name)]));
  layers.svg = draw("svg", { role: "img", "aria-label": "Map of the groups" }, ...Object.values(layers));
  const corner = { x: -YOU.width / 2, y: -YOU.height / 2, rx: YOU.height / 2, ...YOU };
  layers.you.append(draw("rect", corner), draw("text", { y: 4, "text-anchor": "middle", text: "you" }));
  place.replaceChildren(layers.svg);
  chosen = -1;
  detail.replaceChildren();
  layOut();
}

/** Return the groups nearest to the visitor, nearest first, each with its distance. */
function findNear() {
  const [list] = state.lists ?? [];
  const distances = new Map(list?.explanation.segments.map(({ segment, distance }) => [segment, distance]));
  const near = state.map.segments.filter(({ segment }) => distances.has(segment));
  return near
    .map((one) => ({ ...one, distance: Math.max(MIN_DISTANCE, distances.get(one.segment)) }))
    .sort((one, other) => one.distance - other.distance);
}

/** Return the visitor's position: the mean of the nearest dots, weighted by closeness; or that of everyone. */
function findPlace(near) {
  if (!near.length) return state.map.everyone;
  const weights = near.map(({ distance }) => 1 / distance ** 2);
  const total = weights.reduce((sum, weight) => sum + weight);
  const mean = (axis) => near.reduce((sum, one, at) => sum + weights[at] * one[axis], 0) / total;
  return { x: mean("x"), y: mean("y") };
}

/** Draw everything at the current width. */
function layOut() {
  const width = place.clientWidth;
  scale = width / (2 * (HALF.width + PADDING));
  layers.svg.setAttribute("viewBox", `0 0 ${width} ${2 * (HALF.height + PADDING) * scale}`);
  layers.dots.replaceChildren(...state.map.segments.map(drawDot));
  showNear();
}

function drawDot(segment, at) {
  const { x, y } = toPixels(segment);
  const title = draw("title", { text: `${count(segment.users)} people: ${nameOfGroup(segment)}` });
  const on = { click: () => showGroup(at) };
  const number = { "data-segment": segment.segment };
  return draw("circle", { cx: x, cy: y, class: "dot", ...number, on }, title);
}

function showNear() {
  if (!layers) return;
  const near = findNear();
  const you = findPlace(near);
  const { x, y } = toPixels(you);
  Object.assign(place.dataset, { x: you.x.toFixed(4), y: you.y.toFixed(4) });
  layers.you.style.transform = `translate(${x}px, ${y}px)`;
  layers.lines.replaceChildren(
    ...near.map((one) => {
      const end = toPixels(one);
      return draw("line", { x1: x, y1: y, x2: end.x, y2: end.y });
    }),
  );
  layers.letters.replaceChildren(...near.map(drawLetter));
  document.getElementById("near-about").textContent = near.length
    ? "The groups nearest to you in taste, which a flat map cannot always show:"
    : "You start in the middle.";
  document.getElementById("near").replaceChildren(
    ...near.map((one, rank) =>
      make(
        "li",
        {},
        make(
          "button",
          { type: "button", on: { click: () => showGroup(state.map.segments.findIndex(isOf(one))) } },
          make("span", { class: "rank", text: LETTERS[rank] }),
          make("span", { class: "title" }, ...namedTogether(one.apart.slice(0, 2))),
          make("span", { class: "small", text: `${count(one.users)} people` }),
        ),
      ),
    ),
  );
  const where = near.length ? `You are nearest to ${nameOfGroup(near[0])}.` : "You are in the middle.";
  layers.svg.setAttribute("aria-label", `Map of ${count(state.map.segments.length)} groups. ${where}`);
  markDots(near);
  drawNames(near, { x, y, r: YOU.width / 2 });
}

/** Draw the letter of a near group on its dot. */
function drawLetter(group, rank) {
  const { x, y } = toPixels(group);
  return draw("text", { x, y: y + 4, "text-anchor": "middle", text: LETTERS[rank] });
}

function markDots(near) {
  [...layers.dots.children].forEach((dot, at) => {
    const group = state.map.segments[at];
    const isNear = near.some(isOf(group));
    dot.classList.toggle("close", isNear);
    dot.setAttribute("r", Math.max(isNear ? LETTER_RADIUS : 0, radiusOf(group)));
    dot.classList.toggle("chosen", at === chosen);
  });
}

/** Name the dots, the nearest first, then the largest, as far as there is room. */
function drawNames(near, you) {
  const isNear = (group) => near.some(isOf(group));
  const named = state.map.segments.filter(({ apart }) => apart.length);
  const ordered = [...named.filter(isNear), ...named.filter((one) => !isNear(one))].slice(0, 80);
  const labels = ordered.map((one) => {
    const name = nameOf(one.apart[0]);
    const text = name.length > MAX_LENGTH ? `${name.slice(0, MAX_LENGTH).trimEnd()}…` : name;
    return draw("text", { class: isNear(one) ? "name close" : "name", text });
  });
  layers.names.replaceChildren(...labels);
  const circles = state.map.segments.map((one) => ({ ...toPixels(one), r: radiusOf(one), segment: one.segment }));
  const dots = ordered.map(({ segment }, at) => {
    const circle = circles.find((one) => one.segment === segment);
    return { ...circle, circle, width: labels[at].getComputedTextLength() };
  });
  const area = { width: place.clientWidth, height: layers.svg.viewBox.baseVal.height, line: 14 };
  placeNames(dots, [...circles, you], area).forEach((spot, at) => {
    if (!spot) {
      labels[at].remove();
      return;
    }
    labels[at].setAttribute("x", spot.x);
    labels[at].setAttribute("y", spot.y + 4);
    labels[at].setAttribute("text-anchor", spot.anchor);
  });
}

/** Say what sets a group apart, given its place. */
function showGroup(at) {
  chosen = at;
  const one = state.map.segments[at];
  markDots(findNear());
  const rows = one.apart.map((item) =>
    make("li", {}, named("span", item, { class: "title" }), make("strong", { text: times(item.lift) })),
  );
  const text = `${count(one.users)} people, and how many times as often as everyone they chose these:`;
  detail.replaceChildren(make("p", { class: "small", text }), make("ul", { role: "list" }, ...rows));
}
