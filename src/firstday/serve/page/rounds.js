// Rounds: a slate, what of it would be used, and then the next one, which learns from that and from what was passed
// over. All that was done is in each request, and in this page alone: the service keeps nothing, and a round can be
// taken back.

import { signalOf } from "./acts.js";
import { ask } from "./api.js";
import { attempt, whenBack } from "./connection.js";
import { actedOn, change, state, watch } from "./state.js";

const SLATE = 12;
const NARROW_SLATE = 6;
const MOST = 1000; // of each kind of signal in a request, and items in a list
const ITEM = "item";

const narrow = matchMedia("(max-width: 799px)");
const place = document.getElementById("rounds");
let turn = 0;
let wanted = null; // the rounds after which a slate is asked for; null: none is on its way
let whose = null; // the visitor who walks

whenBack(() => wanted && askRound(wanted));

/** Let the rounds follow what is said beside them. */
export function watchRounds() {
  watch(["strategy", "profile", "visitor"], follow);
}

let followed = ""; // what the slate rests on beside the rounds

function follow() {
  const now = JSON.stringify([state.strategy, state.profile, state.visitor.id]);
  if (now === followed) return;
  followed = now;
  if (!state.rounds) return;
  askRound(state.visitor.id === whose ? (wanted ?? state.rounds.slice(0, -1)) : []);
}

/** Begin with the first round, or leave the rounds. */
export function walk(walking) {
  settle();
  change({ rounds: walking ? [] : null });
  return walking ? askRound([]) : null;
}

/** Say of an item of the slate whether it would be used; a second time takes it back. */
export function mark(item_id) {
  if (wanted) return;
  const rounds = [...state.rounds];
  const now = rounds.pop();
  const used = now.used.includes(item_id) ? now.used.filter((id) => id !== item_id) : [...now.used, item_id];
  change({ rounds: [...rounds, { ...now, used }] });
}

/** Go on: what is not marked counts as seen and passed over. */
export const next = () => (wanted ? null : askRound(state.rounds));

/** Take the last round back: the slate before it is there again, as it was left. */
export function back() {
  const rounds = wanted && wanted.length === state.rounds.length ? state.rounds : state.rounds.slice(0, -1);
  settle();
  if (rounds.length) change({ rounds });
}

/** Begin again. */
export const anew = () => askRound([]);

function settle() {
  turn += 1; // what is on its way comes too late
  wanted = null;
  place.setAttribute("aria-busy", "false");
}

/** Return the service's signals after some rounds: what the visitor said, what was used, and all that was shown. */
function signalsAfter(rounds) {
  const done = state.acts.map(({ item_id, what }) => [signalOf(what), item_id]);
  const used = rounds.flatMap((round) => round.used.map((item_id) => [signalOf("like"), item_id]));
  const shown = rounds.flatMap((round) => round.items.map(({ item }) => String(item.item_id)));
  const interactions = [...done, ...used].map(([signal, id]) => ({ signal, entity: ITEM, entity_id: String(id) }));
  const { age, columns } = state.profile;
  return { age, profile: columns, interactions: interactions.slice(-MOST), shown: shown.slice(-MOST) };
}

/** Ask for the slate after some rounds; a later call overtakes an earlier one. */
async function askRound(rounds) {
  const mine = ++turn;
  wanted = rounds;
  whose = state.visitor.id;
  place.setAttribute("aria-busy", "true");
  const { strategy } = state;
  await attempt(async () => {
    const signals = signalsAfter(rounds);
    const gone = new Set([...actedOn(), ...signals.shown]);
    const size = narrow.matches ? NARROW_SLATE : SLATE;
    const k = Math.min(MOST, size + actedOn().size);
    const list = await ask("POST", "v1/recommendations", { right: "read", body: { signals, k, strategy, explain: true } });
    if (mine !== turn) return;
    // What was passed over comes last, where nothing else is left: here it does not come at all.
    const items = list.items.map((item, at) => ({ item, at })).filter(({ item }) => !gone.has(String(item.item_id)));
    settle();
    change({ rounds: [...rounds, { list, items: items.slice(0, size), used: [] }] });
  });
}
