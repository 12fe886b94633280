// Options of the lists: the visitor's profile, a filter, and the ways to compare. Each is shown if the model has it.

import { make, settled } from "./build.js";
import { change, say, state, watch } from "./state.js";
import { sayColumn, sayValue, sayWay } from "./words.js";

const profile = document.getElementById("profile");
const field = document.getElementById("filter-text");
const ways = document.getElementById("ways");
const ORDINALS = ["First list", "Second list", "Third list"];

/** Initialize the options. */
export function startOptions() {
  watch(["profileColumns"], makeProfile);
  watch(["model"], makeFilter);
  watch(["model"], makeWays);
  watch(["model", "ways"], disableWaysInUse);
  watch(["said", "profileColumns"], showSaid);
  watch(["fault"], showFault);
  field.addEventListener("change", () => {
    change({ fault: "" });
    say({ filter: field.value.trim() });
  });
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
  document.getElementById("filter-about").textContent = `Columns: ${columns.map(({ name }) => name).join(", ")}`;
}

function showFault() {
  document.getElementById("filter-wrong").textContent = state.fault;
  field.setAttribute("aria-invalid", Boolean(state.fault));
  if (state.fault) document.getElementById("options").open = true;
}

function makeWays() {
  if (!state.model) return;
  const fields = state.ways.map((chosen, at) => {
    const options = state.model.strategies.map((name) => {
      const text = sayWay(name);
      return make("option", { value: name, text: text === name ? name : `${text} (${name})` });
    });
    const choose = () => change({ ways: state.ways.with(at, select.value) });
    const select = make("select", { id: `way-${at}`, on: { change: choose } }, ...options);
    select.value = chosen;
    return labelled(ORDINALS[at], select);
  });
  fill(ways, fields);
}

/** Offer in each select only what no other list shows. */
function disableWaysInUse() {
  for (const option of ways.querySelectorAll("option"))
    option.disabled = !option.selected && state.ways.includes(option.value);
}

function showSaid() {
  const { filter } = state.said;
  const { age, columns } = state.said.profile;
  const years = document.getElementById("profile-age");
  if (years && document.activeElement !== years) years.value = age ?? "";
  if (document.activeElement !== field && !state.fault) field.value = filter;
  for (const select of profile.querySelectorAll("select")) select.value = columns[select.name] ?? "";
  document.getElementById("options-said").textContent = [age, ...Object.values(columns)].filter(Boolean).join(" · ");
}
