// Texts of the page: names of ways to recommend, columns and values, and the reason for an item.

import { count, make, nameOf, percent, times } from "./build.js";
import { state } from "./state.js";

const WAYS = {
  auto: "For you",
  segment: "Your group’s favourites",
  popular: "Everyone’s favourites",
  recent: "Everyone’s latest favourites",
  trending: "Favourites of the last days",
  latest: "New from what you follow",
  group: "People of your profile",
  soft_segments: "Several groups, mixed",
  personal: "Nearest to your taste",
  neighbors: "People most like you",
  friends: "What your friends use",
  blend: "Several ways, mixed",
  direct: "Learned from first days",
  edlae: "What goes with your picks",
  explore: "Drawn from likely groups",
  fold_in: "Solved from your picks",
  day_one: "Near to your picks",
  input_clusters: "A similar first day",
};

/** Return the heading of a list made by a strategy. */
export const sayWay = (name) => WAYS[name] ?? name;

const GLOSSES = {
  auto: "Several ways of guessing from your picks, combined.",
  segment: "What the group nearest to you chooses most, after the method of Deezer (2021).",
  popular: "What most people choose, without what you picked or crossed out.",
};

/** Say in a sentence how a list was made. */
export function sayHow(list) {
  const text = GLOSSES[list.strategy] ?? list.explanation.route;
  if (list.route === list.strategy || list.route === "blend" || !list.items.length) return text;
  if (list.segment === null) return `Nothing is known of you yet, so it is “${sayWay(list.route)}”.`;
  return `Too little is known of you for “${sayWay(list.strategy)}”, so it is “${sayWay(list.route)}”.`;
}

const BEGINNINGS = {
  nothing: "nothing",
  profile: "only a profile",
  friends: "only friends",
  "1-3": "one to three picks",
  "4+": "four or more picks",
};

/** Explain the figures of the lists, or why there are none. `row` has those for people who began as the visitor did. */
export function sayEvidence(lists, row) {
  const { filter, hidden, shown } = state.said;
  const untested = "so no test result is shown";
  if (filter) return `Only what meets ${filter} is listed. The ways were tested without conditions, ${untested}.`;
  if (lists.every(({ segment }) => segment === null))
    return "Nothing is known of you yet, so no list is personal. Pick something, and they change.";
  if (hidden.length || shown.length) return `The ways were tested on picks alone, without rejections, ${untested}.`;
  const beginning = BEGINNINGS[lists[0].explanation.known];
  if (!row) return `The ways were not tested with ${beginning}, ${untested}.`;
  const k = state.model.default_k;
  return (
    `Tested on ${count(row.n_users)} other people, given ${beginning}: the share of what each chose later ` +
    `(${k} at most) that a list of ${k} found, with its 95% interval. This is about them, not about your lists.`
  );
}

/** Return the name of a column. */
export function sayColumn(name) {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

let regions;

/** Return the name of a column's value: country codes become names. */
export function sayValue(column, value) {
  if (column !== "country" || !/^[A-Z]{2}$/.test(value)) return value;
  regions ??= new Intl.DisplayNames("en", { type: "region", fallback: "code" });
  return regions.of(value);
}

/**
 * Return the reason for an item of a list, as nodes and strings.
 * @param {object} list a response of the service with an explanation
 * @param {number} place rank of the item, from 0
 */
export function sayReason(list, place) {
  const { score } = list.items[place];
  const { share_of_segment: share, share_of_everyone: everyone, most_like } = list.explanation.items[place];
  const all = `${percent(everyone)} of all people chose it`;
  if (["popular", "recent", "trending"].includes(list.route)) return [all];
  if (place >= list.n_ranked) return [`To fill the list: ${all}`];
  if (list.route === "segment" && share !== null) {
    if (share <= everyone) return [`${all}, and ${percent(share)} of your group`];
    const average = everyone > 0 ? `, ${times(share / everyone)} the average` : "";
    return [`${percent(share)} of your group chose it${average}`];
  }
  if (most_like) {
    const isOfUse = state.model.data.vectors !== "precomputed"; // vectors are learned from who chose what
    const why = isOfUse ? "Chosen by people like those who chose " : "Similar to ";
    return [why, make("bdi", { text: nameOf(most_like) })];
  }
  const chance = list.score_scale === "probability of use" ? `${percent(score)} likely for you` : "Near to your taste";
  return [`${chance}; ${all}`];
}
