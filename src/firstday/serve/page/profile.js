// The profile form: age and the profile columns that the model knows, all optional.

import { sayProfile } from "./acts.js";
import { make, settled } from "./build.js";
import { state, watch } from "./state.js";
import { sayColumn, sayValue } from "./words.js";

const form = document.getElementById("profile");
const said = document.getElementById("profile-said");
const card = document.getElementById("profile-card");
const NOTHING = "Not said";

/** Initialize the form. */
export function startProfile() {
  watch(["profileColumns"], showForm);
  watch(["profile"], showSaid);
  form.addEventListener("submit", (event) => event.preventDefault());
  card.open = matchMedia("(min-width: 1100px) and (min-height: 700px)").matches;
}

function showForm() {
  const known = state.profileColumns;
  if (!known) return;
  card.hidden = !known.age && !known.columns.length;
  const fields = known.columns.map(columnField);
  if (known.age) fields.unshift(ageField(known.age));
  form.replaceChildren(...fields);
  showSaid();
}

function ageField({ youngest, oldest }) {
  const input = make("input", {
    id: "profile-age",
    name: "age",
    type: "number",
    inputmode: "numeric",
    min: 0,
    max: 120,
    placeholder: `${youngest}–${oldest}`,
  });
  input.addEventListener("input", settled(tell, 500));
  return make("div", { class: "field" }, make("label", { for: "profile-age", text: "Age" }), input);
}

function columnField({ column, values }, at) {
  const id = `profile-${at}`;
  const options = values.map(({ value }) => make("option", { value, text: sayValue(column, value), dir: "auto" }));
  const select = make("select", { id, name: column }, make("option", { value: "", text: NOTHING }), ...options);
  select.dataset.column = column;
  select.addEventListener("change", tell);
  return make("div", { class: "field" }, make("label", { for: id, text: sayColumn(column) }), select);
}

function tell() {
  const age = document.getElementById("profile-age");
  if (age && !age.validity.valid) return;
  const columns = {};
  for (const select of form.querySelectorAll("select")) if (select.value) columns[select.dataset.column] = select.value;
  sayProfile({ age: age?.value ? Math.trunc(Number(age.value)) : null, columns });
}

function showSaid() {
  const { age, columns } = state.profile;
  const field = document.getElementById("profile-age");
  if (field && document.activeElement !== field) field.value = age ?? "";
  for (const select of form.querySelectorAll("select")) select.value = columns[select.dataset.column] ?? "";
  const parts = [age === null || age === undefined ? null : String(age), ...Object.values(columns)];
  const told = parts.filter((part) => part !== null);
  said.textContent = told.length ? told.join(", ") : "optional";
}
