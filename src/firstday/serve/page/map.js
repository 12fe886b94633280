// The map: a dot per segment, and the visitor, connected to the nearest segments by lines as wide as their weights.

import { count, draw, make, named, namedTogether, nameOf, percent, times, wantsStillness } from "./build.js";
import { placeNames } from "./labels.js";
import { state, watch } from "./state.js";

const HALF = { width: 1.5, height: 1 };
const PADDING = 0.06;
const MOVE_MS = 700;
const TRAIL = 12;
const LETTERS = 22;
const YOU_PX = 9;
const NAME_PX = { x: 19, y: 10 };
const NUMBERED_PX = 10;

const place = document.getElementById("map");
const nearList = document.getElementById("near");
const look = document.getElementById("look");

let scale = 1; // pixels per map unit
let layers; // {svg, trail, lines, dots, numbers, names, you}
let youName; // label of the visitor's ring
let at = null; // the visitor's position, in map units
let trail = [];
let moving = 0;

/** Initialize the map. */
export function startMap() {
  watch(["map"], showMap);
  watch(["near", "map"], showNear);
  look.addEventListener("change", () => showSegment(Number(look.value)));
  new ResizeObserver(() => state.map && layOut()).observe(place);
}

const toPixels = ({ x, y }) => ({ x: (x + HALF.width + PADDING) * scale, y: (HALF.height + PADDING - y) * scale });

function showMap() {
  if (!state.map) return;
  const group = (name) => draw("g", { class: name });
  layers = Object.fromEntries(["trail", "lines", "dots", "numbers", "names", "you"].map((name) => [name, group(name)]));
  layers.svg = draw("svg", { role: "img", "aria-label": "Map of the segments" }, ...Object.values(layers));
  const [width, height] = [2 * NAME_PX.x, 2 * NAME_PX.y];
  youName = draw(
    "g",
    {},
    draw("rect", { x: -NAME_PX.x, y: -NAME_PX.y, width, height, rx: NAME_PX.y, class: "you-ground" }),
    draw("text", { class: "you-name", y: 4, "text-anchor": "middle", text: "you" }),
  );
  // A ring, so that the number of a dot under it stays readable.
  layers.you.append(draw("circle", { r: YOU_PX, class: "halo" }), draw("circle", { r: YOU_PX, class: "self" }), youName);
  place.replaceChildren(layers.svg);
  const options = state.map.segments.map(({ segment, apart }) => {
    const name = apart.slice(0, 2).map(nameOf).join(" · ") || "Nothing in common";
    return make("option", { value: segment, text: `${name} (${segment})`, dir: "auto" });
  });
  look.replaceChildren(make("option", { value: "", text: "Choose one, or a dot" }), ...options);
  look.disabled = false;
  at = at ?? state.map.everyone;
  layOut();
}

/** Draw everything at the current width. */
function layOut() {
  const width = place.clientWidth;
  if (!width) return;
  scale = width / (2 * (HALF.width + PADDING));
  layers.svg.setAttribute("viewBox", `0 0 ${width} ${2 * (HALF.height + PADDING) * scale}`);
  layers.dots.replaceChildren(...state.map.segments.map(drawDot));
  markNear();
  drawYou(at);
  drawNames();
}

function drawDot(segment) {
  const { x, y } = toPixels(segment);
  const names = segment.apart.slice(0, 2).map(nameOf).join(" · ");
  const dot = draw(
    "circle",
    { cx: x, cy: y, r: Math.max(3, segment.radius * scale), class: "dot", on: { click: () => showSegment(segment.segment) } },
    draw("title", { text: `${count(segment.users)} people: ${names}` }),
  );
  dot.dataset.segment = segment.segment;
  return dot;
}

const nearOnes = () => state.near?.segments ?? [];

/** Highlight the nearest dots, numbered as in the list under the map. */
function markNear() {
  const ranks = new Map(nearOnes().map(({ segment }, rank) => [String(segment), rank]));
  const numbers = [];
  for (const dot of layers.dots.children) {
    const rank = ranks.get(dot.dataset.segment);
    const [x, y, r] = ["cx", "cy", "r"].map((name) => Number(dot.getAttribute(name)));
    dot.classList.toggle("close", rank !== undefined);
    dot.classList.toggle("chosen", dot.dataset.segment === look.value);
    if (rank === undefined) continue;
    if (r < NUMBERED_PX) numbers.push(draw("circle", { cx: x, cy: y, r: NUMBERED_PX, class: "dot close" }));
    numbers.push(draw("text", { x, y: y + 4, class: "number", text: String(rank + 1) }));
  }
  layers.numbers.replaceChildren(...numbers);
}

function drawNames() {
  const ranks = new Map(nearOnes().map(({ segment }, rank) => [segment, rank]));
  const circles = new Map(
    state.map.segments.map((one) => [one.segment, { ...toPixels(one), r: Math.max(3, one.radius * scale) }]),
  );
  const ordered = [...state.map.segments].filter(({ apart }) => apart.length);
  ordered.sort((a, b) => (ranks.get(a.segment) ?? 99) - (ranks.get(b.segment) ?? 99));
  const shown = ordered.slice(0, 80).map((one) => {
    const name = nameOf(one.apart[0]);
    const text = name.length > LETTERS ? `${name.slice(0, LETTERS).trimEnd()}…` : name;
    const element = draw("text", { class: ranks.has(one.segment) ? "name close" : "name", direction: "inherit", text });
    layers.names.append(element);
    return { one, element };
  });
  layers.names.replaceChildren(...shown.map(({ element }) => element));
  const you = placeYou(circles);
  const places = placeNames(
    shown.map(({ one, element }) => {
      const circle = circles.get(one.segment);
      return { ...circle, circle, width: element.getComputedTextLength() };
    }),
    [...circles.values(), ...you],
    { width: place.clientWidth, height: layers.svg.viewBox.baseVal.height, line: 14 },
  );
  shown.forEach(({ element }, index) => {
    const spot = places[index];
    if (!spot) element.remove();
    else for (const [name, value] of [["x", spot.x], ["y", spot.y + 4], ["text-anchor", spot.anchor]]) element.setAttribute(name, value);
  });
}

/** Put the label "you" on the side of the ring where it covers least; return the obstacles for other labels. */
function placeYou(circles) {
  const ring = { ...toPixels(state.near?.place ?? state.map.everyone), r: YOU_PX + 3 };
  const ranked = nearOnes().map(({ segment }) => circles.get(segment)).filter(Boolean);
  const sides = [[0, -1], [0, 1], [1, 0], [-1, 0]].map(([x, y]) => {
    const side = { x: x * (YOU_PX + NAME_PX.x + 3), y: y * (YOU_PX + NAME_PX.y + 3) };
    const middle = { x: ring.x + side.x, y: ring.y + side.y };
    const covered = ({ x: cx, y: cy, r }) =>
      Math.max(0, NAME_PX.x + Math.max(r, NUMBERED_PX) - Math.hypot(cx - middle.x, 1.7 * (cy - middle.y)));
    const outside = middle.x < NAME_PX.x || middle.x > place.clientWidth - NAME_PX.x || middle.y < NAME_PX.y ? 100 : 0;
    return { side, middle, cost: outside + ranked.reduce((sum, circle) => sum + covered(circle), 0) };
  });
  const [best] = sides.sort((one, other) => one.cost - other.cost);
  youName.setAttribute("transform", `translate(${best.side.x} ${best.side.y})`);
  return [ring, { ...best.middle, r: NAME_PX.x }];
}

/** Draw the visitor at a position, with lines to the nearest segments and the trail. */
function drawYou(spot) {
  at = spot;
  const { x, y } = toPixels(spot);
  layers.you.setAttribute("transform", `translate(${x} ${y})`);
  const known = new Map(state.map.segments.map((one) => [one.segment, one]));
  const lines = nearOnes().filter(({ segment }) => known.has(segment));
  layers.lines.replaceChildren(
    ...lines.map(({ segment, weight }) => {
      const end = toPixels(known.get(segment));
      return draw("line", { x1: x, y1: y, x2: end.x, y2: end.y, "stroke-width": 1 + (5 * weight) / lines[0].weight });
    }),
  );
  const points = trail.map((one) => toPixels(one));
  layers.trail.replaceChildren(
    ...(points.length ? [draw("polyline", { points: [...points, { x, y }].map((p) => `${p.x},${p.y}`).join(" ") })] : []),
    ...points.map((p) => draw("circle", { cx: p.x, cy: p.y, r: 2.5 })),
  );
}

function showNear() {
  document.getElementById("near-empty").hidden = nearOnes().length > 0;
  nearList.replaceChildren(...nearOnes().map(nearRow));
  if (!state.map || !layers) return;
  const target = state.near?.place ?? state.map.everyone;
  place.dataset.x = target.x.toFixed(4);
  place.dataset.y = target.y.toFixed(4);
  const [nearest] = nearOnes();
  layers.svg.setAttribute(
    "aria-label",
    `Map of ${count(state.map.segments.length)} segments. ` +
      (nearest ? `You are nearest to ${nearest.apart.slice(0, 2).map(nameOf).join(" and ")}.` : "You are in the middle."),
  );
  if (!state.near) trail = [];
  else if (Math.hypot(target.x - at.x, target.y - at.y) > 0.01) trail = [...trail, at].slice(-TRAIL);
  markNear();
  drawNames();
  moveTo(target);
}

function moveTo(target) {
  const mine = ++moving;
  const from = at;
  if (wantsStillness() || document.hidden) {
    drawYou(target);
    return;
  }
  const began = performance.now();
  const step = (now) => {
    if (mine !== moving) return;
    const part = Math.min(1, Math.max(0, now - began) / MOVE_MS);
    const eased = 1 - (1 - part) ** 3;
    drawYou({ x: from.x + (target.x - from.x) * eased, y: from.y + (target.y - from.y) * eased });
    if (part < 1) requestAnimationFrame(step);
  };
  requestAnimationFrame(step);
}

function nearRow({ segment, weight, apart, users }, rank) {
  const bar = draw("svg", { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
  bar.append(draw("rect", { width: 100, height: 4, class: "bar-ground" }), draw("rect", { width: Math.max(1, 100 * weight), height: 4 }));
  const names = make("span", { class: "near-name" }, ...namedTogether(apart.slice(0, 2)));
  names.title = apart.slice(0, 2).map(nameOf).join(" · ");
  return make(
    "li",
    { "data-segment": segment },
    make("span", { class: "near-number", "aria-hidden": "true", text: String(rank + 1) }),
    names,
    make("span", { class: "near-weight", text: percent(weight) }),
    bar,
    make("span", { class: "hidden-label", text: `Segment ${segment}, ${count(users)} people` }),
  );
}

function showSegment(number) {
  const detail = document.getElementById("look-detail");
  const one = state.map.segments.find(({ segment }) => segment === number);
  look.value = one ? String(number) : "";
  markNear();
  if (!one) {
    detail.replaceChildren();
    return;
  }
  const rows = one.apart.map((item) =>
    make("li", {}, named("span", item, { class: "look-title" }), make("span", { class: "lift", text: times(item.lift) })),
  );
  detail.replaceChildren(
    make("p", {
      class: "small",
      text: `Segment ${number}: ${count(one.users)} people. They use these so many times as often as everyone:`,
    }),
    make("ul", { role: "list" }, ...rows),
  );
}
