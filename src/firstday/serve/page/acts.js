// The visitor's actions: shown at once, sent in order, followed by a refresh of the lists. They are queued while the
// service is away. Each has a unique id, so sending it twice is idempotent.

import { ask, Refused } from "./api.js";
import { attempt, countUnsent, isAway, whenBack } from "./connection.js";
import { actedOn, change, keepVisitor, startAnew, state } from "./state.js";
import { nameOf } from "./build.js";

const LENGTH = 24;
const SHOWN = 20; // items of a list
const N_NEAR = 5;
const N_OF_SEGMENT = 80; // some are dropped: those in a list above
const ITEM = "item";

const unsent = []; // queued events
let profileChanged = false;
let sending = false;
countUnsent(() => unsent.length + (profileChanged ? 1 : 0));
whenBack(() => send());

const here = () => `v1/users/${encodeURIComponent(state.visitor.id)}`;

/** Return the signal to send for an action; for a like, favorite or stream, whichever the model has learned. */
export function signalOf(what) {
  const { signals = [], features = [] } = state.model ?? {};
  if (what !== "like") return what;
  const learned = ["favorite", "stream"].filter((signal) => features.includes(`${signal} x ${ITEM}`));
  return learned[0] ?? ["favorite", "stream"].find((signal) => signals.includes(signal)) ?? "stream";
}

/** Return whether the model knows the signal of an action; true until the model is loaded. */
export const isUnderstood = (what) => what === "like" || (state.model?.signals ?? [what]).includes(what);

/** Like, skip or ban an item. */
export function act(item, what) {
  const event_id = `${what}-${Date.now().toString(36)}-${state.acts.length}`;
  const done = { event_id, item_id: item.item_id, title: nameOf(item), what };
  unsent.push({
    event_id,
    user_id: state.visitor.id,
    signal: signalOf(what),
    entity: ITEM,
    entity_id: String(item.item_id),
    timestamp: new Date().toISOString(),
  });
  keepVisitor({
    passed: state.visitor.passed.filter((id) => id !== String(item.item_id)), // replaced by this action
    titles: { ...state.visitor.titles, [done.item_id]: done.title },
  });
  change({ acts: [...state.acts, done] });
  return send();
}

/** Answer no to an item of the questionnaire. */
export function pass(item) {
  const id = String(item.item_id);
  keepVisitor({
    passed: [...state.visitor.passed, id].slice(-100),
    titles: { ...state.visitor.titles, [id]: nameOf(item) },
  });
  const left = state.list?.items.filter((one) => !actedOn().has(String(one.item_id))).length ?? 0;
  return left < SHOWN ? refresh() : askQuestion();
}

/** Save the visitor's profile. */
export function sayProfile(profile) {
  change({ profile });
  profileChanged = true;
  return send();
}

/** Mark the lists as loading or loaded. */
function setBusy(busy) {
  document.getElementById("lists").setAttribute("aria-busy", String(busy));
}

/** Send queued events and the profile, if any. */
export async function sendWaiting() {
  if (unsent.length || profileChanged) await send();
}

async function send() {
  if (sending || isAway()) return;
  sending = true;
  setBusy(true);
  const done = await attempt(async () => {
    while (unsent.length || profileChanged) {
      if (profileChanged) {
        profileChanged = false;
        const { age, columns } = state.profile;
        try {
          await ask("PUT", here(), { body: { age, profile: columns } });
        } catch (problem) {
          profileChanged = !(problem instanceof Refused);
          throw problem;
        }
      }
      const events = unsent.slice(0, 100);
      if (events.length) {
        const sent = new Set(events);
        const drop = () => unsent.splice(0, unsent.length, ...unsent.filter((event) => !sent.has(event)));
        try {
          await ask("POST", "v1/events", { body: { events } });
        } catch (problem) {
          if (problem instanceof Refused) drop(); // a retry would be refused too
          throw problem;
        }
        drop();
      }
      keepVisitor({ told: true });
    }
  });
  sending = false;
  if (done) await refresh();
  else setBusy(false);
}

let turn = 0;

/** Reload everything that depends on the visitor's signals; a later call supersedes an earlier one. */
export async function refresh() {
  const mine = ++turn;
  setBusy(true);
  await attempt(async () => {
    const hidden = actedOn().size;
    const list = (strategy) =>
      ask("GET", `${here()}/recommendations`, {
        query: { k: LENGTH + hidden, strategy, filter: state.filter, explain: true },
      });
    const soon = list(state.strategy);
    if (!state.list) soon.then((first) => mine === turn && change({ list: first }), () => {}); // show the first list at once
    const [first, other, near, next] = await Promise.all([
      soon,
      state.other ? list(state.other) : null,
      ask("GET", `${here()}/segments`, { query: { limit: N_NEAR, items: N_OF_SEGMENT } }),
      askNext(),
    ]);
    if (mine === turn) change({ list: first, otherList: other, near, ...next });
  });
  if (mine === turn && !sending) setBusy(false);
}

/** Return why the service refuses a filter, "" if it does not. */
export async function findFault(filter) {
  try {
    await ask("GET", `${here()}/recommendations`, { query: { k: 1, filter }, quiet: true });
  } catch (problem) {
    if (problem instanceof Refused) return problem.message;
  }
  return ""; // other failures are those of the next request
}

async function askQuestion() {
  setBusy(true);
  await attempt(async () => change(await askNext()));
  if (!sending) setBusy(false);
}

let asking = 0;

/** Return the next question and the list from all answers, as parts of the state; empty if superseded. */
async function askNext() {
  const mine = ++asking;
  const of = (...kinds) => state.acts.filter((one) => kinds.includes(one.what)).map((one) => String(one.item_id));
  const liked = of("like").slice(-100);
  const passed = [...of("skip", "ban"), ...state.visitor.passed].slice(-100);
  const k = liked.length + passed.length ? LENGTH : undefined;
  const { question, answered, route, items } = await ask("GET", "v1/onboarding", { query: { liked, passed, k } });
  if (mine !== asking) return {};
  return { question: question ?? undefined, answered: route === "answers" && answered ? { count: answered, items } : null };
}

/** Restore a returning visitor's profile and actions from the service. */
export async function remember() {
  if (!state.visitor.told) return;
  let known;
  try {
    known = await ask("GET", here());
  } catch (problem) {
    if (!(problem instanceof Refused && problem.status === 404)) throw problem;
    startAnew(); // the service has forgotten the visitor
    return;
  }
  const titles = { ...state.visitor.titles };
  const events = known.events.filter((event) => event.entity === ITEM);
  await Promise.all(
    events.slice(-50).map(async ({ entity_id }) => {
      if (titles[entity_id]) return;
      const { items } = await ask("GET", "v1/items", { query: { query: entity_id, limit: 1 }, quiet: true });
      if (items.length && String(items[0].item_id) === entity_id) titles[entity_id] = nameOf(items[0]);
    }),
  );
  keepVisitor({ titles });
  change({
    profile: { age: known.age, columns: known.profile },
    acts: events.map(({ event_id, entity_id, signal }) => ({
      event_id,
      item_id: entity_id,
      title: titles[entity_id] ?? entity_id,
      what: ["skip", "ban"].includes(signal) ? signal : "like",
    })),
  });
}

/** Delete the visitor's data and start as a new visitor. */
export async function forget() {
  unsent.length = 0;
  profileChanged = false;
  while (sending) await new Promise((done) => setTimeout(done, 50)); // else it would arrive after the deletion
  const done = await attempt(() => ask("DELETE", here()));
  if (!done) return false;
  asking += 1; // discard the pending answer: it is about the deleted visitor
  startAnew();
  await refresh();
  return true;
}
