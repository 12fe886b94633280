// The filter of the lists: a condition on the columns of items, where the model has any.

import { findFault, refresh } from "./acts.js";
import { make } from "./build.js";
import { change, state, watch } from "./state.js";

const form = document.getElementById("filter");
const field = document.getElementById("filter-text");
const wrong = document.getElementById("filter-wrong");

/** Initialize the filter. */
export function startFilter() {
  watch(["model"], showColumns);
  field.addEventListener("change", apply);
  form.addEventListener("submit", (event) => event.preventDefault());
}

/** Suggest a condition on each column. */
function showColumns() {
  const columns = state.model?.item_columns ?? [];
  form.hidden = !columns.length;
  const conditions = columns.map(conditionOn);
  field.placeholder = conditions.join(" and ");
  document.getElementById("filter-columns").replaceChildren(...conditions.map((value) => make("option", { value })));
}

function conditionOn({ name, type, values }) {
  if (type === "boolean") return name;
  return `${name} ${type === "number" ? ">=" : "=="} ${JSON.stringify(values[0])}`;
}

/** Send the filter with all further lists, unless the service refuses it. */
async function apply() {
  const filter = field.value.trim();
  const fault = await findFault(filter);
  if (filter !== field.value.trim()) return; // a later one is being checked
  wrong.textContent = fault;
  field.setAttribute("aria-invalid", String(Boolean(fault)));
  if (fault) return;
  change({ filter });
  refresh();
}
