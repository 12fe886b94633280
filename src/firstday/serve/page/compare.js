// Two strategies side by side: both lists, with each item's rank in the other list.

import { count, make, named } from "./build.js";
import { sayRoute, sayStrategy } from "./words.js";

const LENGTH = 20;

/** Show two lists side by side; the second may still be loading. */
export function showComparison(place, one, two, told) {
  const lists = [one, two].map((list) =>
    list ? list.items.filter((item) => !told.has(String(item.item_id))).slice(0, LENGTH) : null,
  );
  const ids = lists.map((items) => (items ?? []).map((item) => String(item.item_id)));
  const shared = ids[0].filter((id) => ids[1].includes(id)).length;
  const sentence = lists[1]
    ? `${count(shared)} of ${count(ids[0].length)} are in both lists.`
    : "Asking for the second list.";
  place.replaceChildren(
    make("p", { class: "about", role: "status", text: sentence }),
    make(
      "div",
      { class: "beside" },
      column(one, lists[0], lists[1] ? ids[1] : null),
      two ? column(two, lists[1], ids[0]) : make("div", { class: "column" }),
    ),
  );
}

function column(list, items, others) {
  const rows = items.map((item, at) =>
    make(
      "li",
      { class: "compared" },
      make("span", { class: "rank", text: String(at + 1) }),
      named("span", item, { class: "title" }),
      others ? note(others.indexOf(String(item.item_id)), at) : null,
    ),
  );
  return make(
    "div",
    { class: "column" },
    make("h3", { text: sayStrategy(list.strategy) }),
    make("p", { class: "about", text: sayRoute(list) }),
    make("ol", { role: "list" }, ...rows),
  );
}

function note(at, own) {
  if (at < 0) return make("span", { class: "note only", text: "only here" });
  if (at === own) return make("span", { class: "note", text: "same place" });
  return make("span", { class: "note", text: `no. ${at + 1} there` });
}
