// What the page knows, in one object; who needs to hear of a change watches it. What a reload must keep is in
// localStorage: the visitor's id, titles already seen, and the questions answered with no.

const VISITOR = "firstday.visitor";
const KEPT_TITLES = 300;

export const state = {
  visitor: readVisitor(),
  model: null, // GET v1/model
  profileColumns: null, // GET v1/profile
  map: null, // GET v1/map
  profile: { age: null, columns: {} }, // what the visitor says of themselves
  acts: [], // {event_id, item_id, title, what: like | skip | ban}, oldest first
  question: null, // the question that is open; undefined: none is left
  answered: null, // the list by all answers, {count, items}; null: nothing was answered, or this model makes none
  strategy: "auto",
  other: null, // the strategy to compare with
  list: null, // GET v1/users/.../recommendations
  otherList: null,
  rounds: null, // {list, items: [{item, at}], used: [ids]}, oldest first, the last one open; null: no rounds are walked
  near: null, // GET v1/users/.../segments
};

const watchers = [];

/** Call a function, now and after each change of any of the named parts. */
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

/** Return the ids, as text, of everything that the visitor has answered for, the noes among them. */
export const actedOn = () => new Set([...state.acts.map((act) => String(act.item_id)), ...state.visitor.passed]);

function readVisitor() {
  try {
    const kept = JSON.parse(localStorage.getItem(VISITOR));
    if (typeof kept?.id === "string" && kept.id) {
      return { id: kept.id, told: Boolean(kept.told), passed: kept.passed ?? [], titles: kept.titles ?? {} };
    }
  } catch {
    // not ours, or damaged: a new visitor
  }
  return newVisitor();
}

function newVisitor() {
  const bytes = crypto.getRandomValues(new Uint8Array(9));
  const id = `visitor-${[...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("")}`;
  return { id, told: false, passed: [], titles: {} };
}

/** Change what is kept of the visitor over a reload. */
export function keepVisitor(parts) {
  const visitor = { ...state.visitor, ...parts };
  const titles = Object.entries(visitor.titles);
  if (titles.length > KEPT_TITLES) visitor.titles = Object.fromEntries(titles.slice(-KEPT_TITLES));
  try {
    localStorage.setItem(VISITOR, JSON.stringify(visitor));
  } catch {
    // storage is full or closed: the visitor lasts as long as the page
  }
  change({ visitor });
}

/** Become somebody new. */
export function startAnew() {
  try {
    localStorage.removeItem(VISITOR);
  } catch {
    // nothing was kept, then
  }
  change({ visitor: newVisitor(), profile: { age: null, columns: {} }, acts: [], question: null, answered: null, near: null });
}
