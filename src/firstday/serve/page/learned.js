// What the model learned from a slate: a sentence, and the segments whose posterior rose or fell.

import { count, draw, make, namedTogether, percent } from "./build.js";

const about = document.getElementById("learned-about");
const changes = document.getElementById("learned-changes");

const FIRST = "Nothing yet. Mark what you would use and press Next: here you see which people you are more like then, and which less.";
const NOTHING = "Nothing was passed over so far, so there is nothing to tell.";
const KINDS = [
  ["risen", "Likelier now"],
  ["fallen", "Less likely now"],
];

/** Show the segments that changed most; `learned` is null if nothing was passed over. */
export function showLearned(learned, round) {
  changes.hidden = !learned;
  about.textContent = learned
    ? "How likely you belong to a segment: before anything was shown, and after all rounds so far."
    : round > 1 ? NOTHING : FIRST;
  if (!learned) {
    changes.replaceChildren();
    return;
  }
  changes.replaceChildren(
    ...KINDS.filter(([kind]) => learned[kind].length).map(([kind, words]) =>
      make(
        "div",
        { class: `changes ${kind}` },
        make("h3", { text: words }),
        make("ol", { role: "list" }, ...changeRows(learned[kind])),
      ),
    ),
  );
}

/** Return the sentence on what was learned, as nodes and strings. */
export function tellLesson({ n_passed_over, n_used, risen: [most], fallen: [least] }) {
  const used = n_used ? ` and ${count(n_used)} that you used` : "";
  const parts = [`From ${count(n_passed_over)} that you passed over${used}: `];
  if (most) parts.push("more like people who use ", ...tellChange(most));
  if (most && least) parts.push("; ");
  if (least) parts.push("less like people who use ", ...tellChange(least));
  if (!most && !least) parts.push("no segment became likelier or less likely");
  return [...parts, "."];
}

/** Format a probability, never as 0% or 100%. */
const sayChance = (share) => (share > 0.99 ? "over 99%" : share < 0.01 ? "under 1%" : percent(share));

const asItems = (titles) => titles.map((title) => ({ title }));
const tellChange = ({ titles, before, after }) => [
  ...namedTogether(asItems(titles), ", "),
  ` (${sayChance(before)} → ${sayChance(after)})`,
];

function changeRows(changed) {
  const most = Math.max(...changed.flatMap(({ before, after }) => [before, after]));
  return changed.map((one) => changeRow(one, most));
}

function changeRow({ segment, titles, before, after }, most) {
  const names = make("span", { class: "near-name", title: titles.join(" · ") }, ...namedTogether(asItems(titles)));
  const bar = draw("svg", { class: "bar", viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" });
  const width = (share) => Math.max(1, (100 * share) / most);
  bar.append(
    draw("rect", { width: 100, height: 4, class: "bar-ground" }),
    draw("rect", { width: width(Math.max(before, after)), height: 4, class: "bar-change" }),
    draw("rect", { width: width(Math.min(before, after)), height: 4, class: "bar-kept" }),
  );
  return make(
    "li",
    { "data-segment": segment },
    names,
    make("span", { class: "near-weight", "aria-hidden": "true", text: `${sayChance(before)} → ${sayChance(after)}` }),
    make("span", { class: "hidden-label", text: `from ${sayChance(before)} to ${sayChance(after)}` }),
    bar,
  );
}
