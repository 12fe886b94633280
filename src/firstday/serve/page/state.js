// The state of the page, in one observable object. localStorage preserves the visitor's id, whether the service knows
// it, the titles seen, and the questions answered with no.

const VISITOR = "firstday.visitor";
const KEPT_TITLES = 300;

export const state = {
  visitor: readVisitor(),
  model: null, // GET v1/model
  profileColumns: null, // GET v1/profile
  map: null, // GET v1/map
  profile: { age: null, columns: {} }, // entered by the visitor
  acts: [], // {event_id, item_id, title, what: like | skip | ban}, oldest first
  question: null, // the current question; null: loading; undefined: none left
  answered: null, // the list from all answers, {count, items}; null: no answers, or not supported by the model
  strategy: "auto",
  filter: "", // condition on the columns of items
  other: null, // the strategy to compare with
  list: null, // GET v1/users/.../recommendations
  otherList: null,
  rounds: null, // {list, items: [{item, at}], used: [ids]}, oldest first, the last one current; null: not in rounds
  near: null, // GET v1/users/.../segments
};

const watchers = [];

/** Call `act` now and after each change of a named part. */
export function watch(names, act) {
  watchers.push({ names, act });
  act();
}

/** Change parts of the state. */
export function change(parts) {
  Object.assign(state, parts);
  const changed = Object.keys(parts);
  for (const { names, act } of watchers) if (names.some((name) => changed.includes(name))) act();
}

/** Return the ids, as text, of all items with an action or an answer, including no. */
export const actedOn = () => new Set([...state.acts.map((act) => String(act.item_id)), ...state.visitor.passed]);

function readVisitor() {
  try {
    const kept = JSON.parse(localStorage.getItem(VISITOR));
    if (typeof kept?.id === "string" && kept.id) {
      return { id: kept.id, told: Boolean(kept.told), passed: kept.passed ?? [], titles: kept.titles ?? {} };
    }
  } catch {
    // invalid or inaccessible: start as a new visitor
  }
  return newVisitor();
}

function newVisitor() {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  const id = `visitor-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  return { id, told: false, passed: [], titles: {} };
}

/** Change the part of the visitor that survives a reload. */
export function keepVisitor(parts) {
  const visitor = { ...state.visitor, ...parts };
  const titles = Object.entries(visitor.titles);
  if (titles.length > KEPT_TITLES) visitor.titles = Object.fromEntries(titles.slice(-KEPT_TITLES));
  try {
    localStorage.setItem(VISITOR, JSON.stringify(visitor));
  } catch {
    // storage is full or blocked: the visitor lasts until the page is closed
  }
  change({ visitor });
}

/** Start as a new visitor. */
export function startAnew() {
  try {
    localStorage.removeItem(VISITOR);
  } catch {
    // storage is blocked: nothing was stored
  }
  change({ visitor: newVisitor(), profile: { age: null, columns: {} }, acts: [], question: null, answered: null, near: null });
}
