// Helpers that build elements, item names, icons and formatted numbers.
// No text is ever parsed as markup, here or elsewhere in the page.

const SVG = "http://www.w3.org/2000/svg";

/** Create an HTML element; `text` sets its text, `on` maps events to listeners. */
export function make(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

/** Create an SVG element; see `make`. */
export function draw(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(element, { text, on = {}, ...attributes }, children) {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  if (text !== undefined) element.textContent = text;
  for (const [name, listener] of Object.entries(on)) element.addEventListener(name, listener);
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Return an item's title, or its id if it has none. */
export function nameOf(item) {
  const title = typeof item.title === "string" ? item.title.trim() : "";
  return title || String(item.item_id);
}

/** Create an element with an item's name in its own text direction; CSS may truncate it, a tooltip has it in full. */
export function named(tag, item, attributes = {}) {
  const name = nameOf(item);
  return make(tag, { ...attributes, dir: "auto", title: name, text: name });
}

const PATHS = {
  like: "M12 20S4.5 15.5 3 11C1.9 7.5 4 5 7 5c2.2 0 3.9 1.2 5 3 1.1-1.8 2.8-3 5-3 3 0 5.1 2.5 4 6-1.5 4.5-9 9-9 9z",
  no: "M6 6l12 12M18 6L6 18",
};

/** Create an icon, hidden from screen readers. */
export function icon(name) {
  const attributes = { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" };
  return draw("svg", attributes, draw("path", { d: PATHS[name] }));
}

/** Create a bar, filled by a percentage; screen readers read the number next to it. */
export function bar(filled) {
  const attributes = { class: "bar", viewBox: "0 0 100 6", preserveAspectRatio: "none", "aria-hidden": "true" };
  const ground = draw("rect", { width: 100, height: 6, class: "bar-ground" });
  return draw("svg", attributes, ground, draw("rect", { width: filled, height: 6 }));
}

const WHOLE = new Intl.NumberFormat("en");
const PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 0 });
const FINE_PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });

/** Format an integer. */
export const count = (n) => WHOLE.format(n);

/** Format a share in [0, 1] as a percentage. */
export const percent = (share) => (share > 0 && share < 0.01 ? FINE_PERCENT : PERCENT).format(share);

/** Format a ratio to the average. */
export const times = (ratio) => `${ratio >= 10 ? Math.round(ratio) : ratio.toFixed(1)}×`;

/** Debounce a function. */
export function settled(act, wait_ms) {
  let timer;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(act, wait_ms);
  };
}
