// Rounds: the visitor marks items of a slate, and the next slate learns from the marked items and those passed over.
// The state is only in this page, and each request contains all of it: the service stores nothing, and rounds can be
// undone.

import { signalOf } from "./acts.js";
import { ask } from "./api.js";
import { attempt, whenBack } from "./connection.js";
import { actedOn, change, state, watch } from "./state.js";

const SLATE = 12;
const NARROW_SLATE = 6;
const MOST = 1000; // maximum per kind of signal in a request, and of items in a list
const ITEM = "item";

const narrow = matchMedia("(max-width: 799px)");
const place = document.getElementById("rounds");
let turn = 0;
let wanted = null; // rounds before the slate being loaded; null: none is loading
let whose = null; // id of the visitor whose rounds these are

whenBack(() => wanted && askRound(wanted));

/** Reload the slate when strategy, filter, profile or visitor change. */
export function watchRounds() {
  watch(["strategy", "filter", "profile", "visitor"], follow);
}

let followed = ""; // inputs of the slate other than the rounds, as JSON

function follow() {
  const now = JSON.stringify([state.strategy, state.filter, state.profile, state.visitor.id]);
  if (now === followed) return;
  followed = now;
  if (!state.rounds) return;
  askRound(state.visitor.id === whose ? (wanted ?? state.rounds.slice(0, -1)) : []);
}

/** Start or end the rounds. */
export function walk(walking) {
  settle();
  change({ rounds: walking ? [] : null });
  return walking ? askRound([]) : null;
}

/** Toggle whether an item of the slate would be used. */
export function mark(item_id) {
  if (wanted) return;
  const rounds = [...state.rounds];
  const now = rounds.pop();
  const used = now.used.includes(item_id) ? now.used.filter((id) => id !== item_id) : [...now.used, item_id];
  change({ rounds: [...rounds, { ...now, used }] });
}

/** Load the next slate; unmarked items count as seen and passed over. */
export const next = () => (wanted ? null : askRound(state.rounds));

/** Undo the last round: restore the previous slate with its marks. */
export function back() {
  const rounds = wanted && wanted.length === state.rounds.length ? state.rounds : state.rounds.slice(0, -1);
  settle();
  if (rounds.length) change({ rounds });
}

/** Restart with the first round. */
export const anew = () => askRound([]);

function settle() {
  turn += 1; // discard the pending response
  wanted = null;
  place.setAttribute("aria-busy", "false");
}

/** Return the signals to send after some rounds: profile, actions, marked items, and all items shown. */
function signalsAfter(rounds) {
  const done = state.acts.map(({ item_id, what }) => [signalOf(what), item_id]);
  const used = rounds.flatMap((round) => round.used.map((item_id) => [signalOf("like"), item_id]));
  const shown = rounds.flatMap((round) => round.items.map(({ item }) => String(item.item_id)));
  const interactions = [...done, ...used].map(([signal, id]) => ({ signal, entity: ITEM, entity_id: String(id) }));
  const { age, columns } = state.profile;
  return { age, profile: columns, interactions: interactions.slice(-MOST), shown: shown.slice(-MOST) };
}

/** Load the slate that follows some rounds; a later call supersedes an earlier one. */
async function askRound(rounds) {
  const mine = ++turn;
  wanted = rounds;
  whose = state.visitor.id;
  place.setAttribute("aria-busy", "true");
  const { strategy, filter } = state;
  await attempt(async () => {
    const signals = signalsAfter(rounds);
    const gone = new Set([...actedOn(), ...signals.shown]);
    const size = narrow.matches ? NARROW_SLATE : SLATE;
    const k = Math.min(MOST, size + actedOn().size);
    const rules = filter ? { filter } : undefined;
    const body = { signals, k, strategy, rules, explain: true };
    const list = await ask("POST", "v1/recommendations", { right: "read", body });
    if (mine !== turn) return;
    // The service ranks items passed over last, to fill the list; here they are omitted.
    const items = list.items.map((item, at) => ({ item, at })).filter(({ item }) => !gone.has(String(item.item_id)));
    settle();
    change({ rounds: [...rounds, { list, items: items.slice(0, size), used: [] }] });
  });
}
