// The state of the page, in one observable object. localStorage preserves what the visitor said; the service stores
// nothing of it.

const KEPT = "firstday.said";
const NOTHING = { picks: [], hidden: [], refused: [], shown: [], profile: { age: null, columns: {} }, filter: "" };

export const state = {
  // {picks, hidden: [{item_id, title}], refused: ids of items answered with no, shown: ids of items passed over,
  // profile: {age, columns}, filter: on items}
  said: readSaid(),
  fault: "", // why the service refused the filter
  ways: ["auto", "segment", "popular"], // strategies compared
  lists: null, // the answer of each way
  model: null, // GET v1/model
  profileColumns: null, // GET v1/profile
  segments: null, // GET v1/segments
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

function readSaid() {
  try {
    return { ...NOTHING, ...JSON.parse(localStorage.getItem(KEPT)) };
  } catch {
    return NOTHING; // invalid or inaccessible
  }
}

/** Change parts of what the visitor said. */
export function say(parts) {
  const said = { ...state.said, ...parts };
  try {
    localStorage.setItem(KEPT, JSON.stringify(said));
  } catch {
    // storage is full or blocked: it lasts until the page is closed
  }
  change({ said });
}

/** Forget everything that the visitor said. */
export function startOver() {
  change({ fault: "" });
  say(NOTHING);
  try {
    localStorage.removeItem(KEPT);
  } catch {
    // storage is blocked: nothing was stored
  }
}

const without = (items, item) => items.filter(({ item_id }) => String(item_id) !== String(item.item_id));

/** Return whether an item is among the picks. */
export const isPicked = (item) => without(state.said.picks, item).length < state.said.picks.length;

/** Return whether the visitor said nothing. */
export const isNothing = () => JSON.stringify(state.said) === JSON.stringify(NOTHING);

/** Pick an item, or take it back. */
export function togglePick(item) {
  const { picks, hidden } = state.said;
  const rest = without(picks, item);
  const { item_id, title } = item;
  say({ picks: isPicked(item) ? rest : [...rest, { item_id, title }], hidden: without(hidden, item) });
}

/** Never list an item again. */
export const hide = ({ item_id, title }) => say({ hidden: [...state.said.hidden, { item_id, title }] });

/** List a hidden item again. */
export const unhide = (item) => say({ hidden: without(state.said.hidden, item) });
