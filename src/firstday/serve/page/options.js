// Options of the lists: the visitor's profile, a filter, and the ways to compare. Each is shown if the model has it.

import { Refused } from "./api.js";
import { make, settled } from "./build.js";
import { attempt } from "./connection.js";
import { askList } from "./lists.js";
import { change, say, state, watch } from "./state.js";
import { sayColumn, sayValue, sayWay } from "./words.js";

const profile = document.getElementById("profile");
const field = document.getElementById("filter-text");
const wrong = document.getElementById("filter-wrong");
const ORDINALS = ["First list", "Second list", "Third list"];

/** Initialize the options. */
export function startOptions() {
  watch(["profileColumns"], makeProfile);
  watch(["model"], makeFilter);
  watch(["model"], makeWays);
  watch(["said", "filter", "profileColumns"], showSaid);
  field.addEventListener("change", applyFilter);
  document.getElementById("options-form").addEventListener("submit", (event) => event.preventDefault());
}

function fill(fieldset, fields) {
  fieldset.hidden = !fields.length;
  fieldset.replaceChildren(fieldset.querySelector("legend"), ...fields);
}

const labelled = (text, input) => make("label", { class: "field" }, make("span", { text }), input);

function makeProfile() {
  if (!state.profileColumns) return;
  const { age, columns } = state.profileColumns;
  const fields = columns.map(({ column, values }) => {
    const options = values.map(({ value }) => make("option", { value, text: sayValue(column, value), dir: "auto" }));
    options.unshift(make("option", { value: "", text: "Not said" }));
    return labelled(sayColumn(column), make("select", { name: column, on: { change: tellProfile } }, ...options));
  });
  if (age) {
    const on = { input: settled(tellProfile, 500) };
    const limits = { min: 0, max: 120, placeholder: `${age.youngest}–${age.oldest}` };
    const input = make("input", { id: "profile-age", type: "number", inputmode: "numeric", ...limits, on });
    fields.unshift(labelled("Age", input));
  }
  fill(profile, fields);
}

function tellProfile() {
  const age = document.getElementById("profile-age");
  if (age && !age.validity.valid) return;
  const said = [...profile.querySelectorAll("select")].filter(({ value }) => value);
  const columns = Object.fromEntries(said.map(({ name, value }) => [name, value]));
  say({ profile: { age: age?.value ? Math.trunc(Number(age.value)) : null, columns } });
}

function makeFilter() {
  const columns = state.model?.item_columns ?? [];
  const conditions = columns.map(({ name, type, values }) =>
    type === "boolean" ? name : `${name} ${type === "number" ? ">=" : "=="} ${JSON.stringify(values[0])}`,
  );
  document.getElementById("filter").hidden = !columns.length;
  field.placeholder = conditions.slice(0, 2).join(" and ");
  document.getElementById("filter-columns").replaceChildren(...conditions.map((value) => make("option", { value })));
}

/** Filter all lists, unless the service refuses the condition. */
async function applyFilter() {
  const filter = field.value.trim();
  let fault = "";
  await attempt(async () => {
    try {
      await askList("popular", filter, 1);
    } catch (problem) {
      if (!(problem instanceof Refused)) throw problem;
      fault = problem.message;
    }
  });
  if (filter !== field.value.trim()) return; // a later one is being checked
  wrong.textContent = fault;
  field.setAttribute("aria-invalid", Boolean(fault));
  if (!fault) change({ filter });
}

function makeWays() {
  if (!state.model) return;
  const fields = state.ways.map((chosen, at) => {
    const options = state.model.strategies.map((name) =>
      make("option", { value: name, text: `${sayWay(name)} (${name})` }),
    );
    const choose = () => change({ ways: state.ways.with(at, select.value) });
    const select = make("select", { id: `way-${at}`, on: { change: choose } }, ...options);
    select.value = chosen;
    return labelled(ORDINALS[at], select);
  });
  fill(document.getElementById("ways"), fields);
}

function showSaid() {
  const { age, columns } = state.said.profile;
  const field = document.getElementById("profile-age");
  if (field && document.activeElement !== field) field.value = age ?? "";
  for (const select of profile.querySelectorAll("select")) select.value = columns[select.name] ?? "";
  const parts = [age, ...Object.values(columns), state.filter].filter((part) => part !== null && part !== "");
  document.getElementById("options-said").textContent = parts.join(" · ");
}
