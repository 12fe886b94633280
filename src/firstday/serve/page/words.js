// Texts of the page: names of strategies and columns, the origin of a list, the reason for an item.

import { nameOf, percent, times } from "./build.js";

const STRATEGIES = {
  auto: "The best for you",
  soft_segments: "Several segments",
  segment: "Nearest segment",
  personal: "Nearest to your taste",
  neighbors: "People most like you",
  friends: "What your friends use",
  blend: "Several ways, mixed",
  direct: "Learned from first days",
  explore: "Drawn from likely segments",
  fold_in: "Solved from what you like",
  day_one: "Near to what you like",
  input_clusters: "A similar first day",
  group: "People of your profile",
  popular: "What everyone uses",
  recent: "What everyone uses of late",
  dropoutnet_personal: "DropoutNet, nearest items",
  dropoutnet_segment: "DropoutNet, nearest segment",
  melu_personal: "MeLU, nearest items",
  melu_segment: "MeLU, nearest segment",
};

/** Return the display name of a strategy, or its identifier if it has none. */
export const sayStrategy = (name) => STRATEGIES[name] ?? name;

/** Return the display name of a column. */
export function sayColumn(name) {
  const words = name.replaceAll("_", " ").trim();
  return words.charAt(0).toUpperCase() + words.slice(1);
}

let regions;

/** Return the display name of a column's value: country codes become names. */
export function sayValue(column, value) {
  if (column !== "country" || !/^[A-Z]{2}$/.test(value)) return value;
  regions ??= new Intl.DisplayNames("en", { type: "region", fallback: "code" });
  return regions.of(value);
}

const ROUTES = {
  popular: "What everyone uses most.",
  recent: "What everyone uses most of late.",
  group: "What people of your profile use most.",
  segment: "What the people of the nearest segment use most.",
  soft_segments: "What people near you use most, the nearest counting most.",
  personal: "The items nearest to your predicted taste.",
  neighbors: "What the people most like you use most.",
  friends: "What your friends use most.",
  direct: "What people with such a first day went on to use.",
  blend: "Several ways of ranking, mixed by how much you told.",
  explore: "The best of segments that are drawn by how likely you belong to them.",
  day_one: "The items nearest to the mean of what you like.",
  fold_in: "The items nearest to a taste solved from what you like.",
  input_clusters: "What people with a similar first day use most.",
};

/** Describe the origin of a list. */
export function sayRoute(list) {
  if (list.signals_from === "store_unavailable") {
    return "The store does not answer, so this list rests on nothing that you said.";
  }
  const text = ROUTES[list.route] ?? `As ${sayStrategy(list.route)} has it.`;
  if (list.route === list.strategy) return text;
  if (list.segment === null) return `Nothing is known of you yet. ${text}`;
  return list.strategy === "auto" ? text : `Too little is known of you for that yet. ${text}`;
}

/**
 * Return the reason for an item of a list, as up to two lines: {strong, more, like}.
 * @param {object} list {route, score_scale, n_ranked, items, explanation}
 * @param {number} place rank of the item, from 0
 */
export function sayReason(list, place) {
  const { route } = list;
  const item = list.items[place];
  const reason = list.explanation.items[place];
  const everyone = reason.share_of_everyone;
  const like = reason.most_like ? nameOf(reason.most_like) : null;
  if (route === "popular" || route === "recent") return { strong: `${percent(everyone)} of everyone`, more: "uses it" };
  if (place >= list.n_ranked) return { strong: "Fills the list up", more: `${percent(everyone)} of everyone uses it` };
  const share = { soft_segments: item.score, segment: reason.share_of_segment }[route];
  if (route === "explore") return sayShare(item.score, everyone, "of people you may be like", like);
  if (share !== undefined && share !== null) return sayShare(share, everyone, "of people near you", like);
  if (route === "group" || route === "input_clusters") {
    return { strong: "Used by people like you", more: `${percent(everyone)} of everyone`, like };
  }
  if (list.score_scale === "probability of use") {
    return { strong: `${percent(item.score)} likely for you`, more: `if you come back; ${percent(everyone)} of everyone uses it`, like };
  }
  return { strong: "Near to your taste", more: `${percent(everyone)} of everyone uses it`, like };
}

/** Describe an item's share of users in a group, relative to everyone. */
export function sayShare(share, everyone, of_whom, like = null) {
  const ratio = everyone > 0 ? share / everyone : 1;
  const beside = ratio >= 1.05 ? `${times(ratio)} the average` : ratio > 0.95 ? "as on average" : "below the average";
  return { strong: `${percent(share)} ${of_whom}`, more: beside, like };
}

/** Describe an item's share among users with similar answers; the score is smoothed towards all users. */
export function sayAlike({ score }) {
  return { strong: `${percent(Math.min(1, score))} of those`, more: "who would answer alike" };
}

const DONE = { like: "Liked", skip: "Skipped", ban: "Banned", no: "No" };

/** Return the label of an action. */
export const sayDone = (what) => DONE[what];
