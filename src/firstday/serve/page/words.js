// Texts of the page: names of ways to recommend, columns and values, and the reason for an item.

import { count, make, namedTogether, nameOf, percent, times } from "./build.js";

const WAYS = {
  auto: "For you",
  segment: "Your group’s favourites",
  popular: "Everyone’s favourites",
  recent: "Everyone’s latest favourites",
  group: "People of your profile",
  soft_segments: "Several groups, mixed",
  personal: "Nearest to your taste",
  neighbors: "People most like you",
  friends: "What your friends use",
  blend: "Several ways, mixed",
  direct: "Learned from first days",
  explore: "Drawn from likely groups",
  fold_in: "Solved from your picks",
  day_one: "Near to your picks",
  input_clusters: "A similar first day",
};

/** Return the heading of a list made by a strategy. */
export const sayWay = (name) => WAYS[name] ?? name;

const GLOSSES = {
  auto: "Made from your picks by several ways at once; the default of firstday (auto).",
  segment: "What the group of people nearest to you chooses most; the published method (segment).",
  popular: "What most people choose; the same for all (popular).",
};

/** Say in a sentence how a list was made. */
export function sayHow(list) {
  const text = GLOSSES[list.strategy] ?? list.explanation.route;
  if (list.route === list.strategy || list.route === "blend") return text;
  if (list.segment === null) return "Nothing is known of you yet, so it is what most people choose.";
  return `Too little is known of you for “${sayWay(list.strategy)}”, so it is “${sayWay(list.route)}”.`;
}

const BEGINNINGS = {
  nothing: "nothing",
  profile: "their profile alone",
  friends: "their friends alone",
  "1-3": "their first one to three picks",
  "4+": "their first four or more picks",
};

/** Explain the precision of lists. */
export function sayEvidence({ known, n_users }, k) {
  return (
    `Right: how much of what people chose later was in a list of ${k} made from ${BEGINNINGS[known]} (100%: all that ` +
    `fit). Tested on ${count(n_users)} people held out of training.`
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
  const { share_of_segment, share_of_everyone: everyone, most_like } = list.explanation.items[place];
  const all = `${percent(everyone)} of all people chose it`;
  if (list.route === "popular" || list.route === "recent") return [all];
  if (place >= list.n_ranked) return [`To fill the list: ${all}`];
  if (list.route === "segment" && share_of_segment !== null) {
    const average = everyone > 0 ? `, ${times(share_of_segment / everyone)} the average` : "";
    return [`${percent(share_of_segment)} of your group chose it${average}`];
  }
  if (most_like) return ["Similar to your pick ", make("bdi", { text: nameOf(most_like) })];
  const chance = list.score_scale === "probability of use" ? `${percent(score)} likely for you` : "Near to your taste";
  return [`${chance}; ${all}`];
}

/** Format a probability, never as 0% or 100%. */
const sayChance = (share) => (share > 0.99 ? "over 99%" : share < 0.01 ? "under 1%" : percent(share));

function sayChange({ titles, before, after }) {
  const names = namedTogether(titles.map((title) => ({ title })));
  return [...names, ` (${sayChance(before)} → ${sayChance(after)})`];
}

/** Say what was learned from items passed over, as nodes and strings. */
export function sayLesson({ n_passed_over, risen: [most], fallen: [least] }) {
  const parts = [`Learned from the ${n_passed_over} that you passed over: `];
  if (most) parts.push("likelier you are one of those who chose ", ...sayChange(most));
  if (most && least) parts.push("; ");
  if (least) parts.push("less likely, of those who chose ", ...sayChange(least));
  if (!most && !least) parts.push("nothing that tells people apart");
  return [...parts, "."];
}
