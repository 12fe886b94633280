// The questionnaire, the search, and the visitor's actions so far.

import { ask } from "./api.js";
import { act, pass } from "./acts.js";
import { count, icon, make, named, nameOf, settled } from "./build.js";
import { attempt } from "./connection.js";
import { actedOn, state, watch } from "./state.js";
import { sayDone } from "./words.js";

const question = document.getElementById("asked");
const yes = document.getElementById("answer-yes");
const no = document.getElementById("answer-no");
const text = document.getElementById("search-text");
const results = document.getElementById("found");
const resultCount = document.getElementById("found-count");

const SHOWN = 6;

/** Initialize the questionnaire. */
export function startQuestions() {
  watch(["question"], showQuestion);
  watch(["acts", "visitor"], showActs);
  yes.addEventListener("click", () => answer((item) => act(item, "like")));
  no.addEventListener("click", () => answer(pass));
  text.addEventListener("input", settled(search, 150));
  document.getElementById("told-card").open = matchMedia("(min-width: 800px)").matches;
  document.getElementById("search").addEventListener("submit", (event) => {
    event.preventDefault();
    search();
  });
}

function answer(give) {
  const item = state.question;
  if (!item) return;
  const id = String(item.item_id);
  if (actedOn().has(id)) return; // already answered; the next question is loading
  give(item);
}

function showQuestion() {
  const item = state.question;
  yes.disabled = no.disabled = !item;
  question.classList.toggle("waiting", !item);
  if (item) {
    question.textContent = nameOf(item);
    question.dir = "auto";
    question.title = nameOf(item);
  } else if (item === undefined) {
    question.textContent = "That was everything. Search for more below.";
  }
}

async function search() {
  const query = text.value.trim();
  if (!query) {
    results.replaceChildren();
    resultCount.textContent = "";
    return;
  }
  await attempt(async () => {
    const { items } = await ask("GET", "v1/items", { query: { query, limit: SHOWN + 20 } });
    if (text.value.trim() !== query) return;
    const acted = new Set(state.acts.map((done) => String(done.item_id))); // items answered with no can still be liked
    const rest = items.filter((item) => !acted.has(String(item.item_id))).slice(0, SHOWN);
    resultCount.textContent = rest.length ? `${count(rest.length)} found` : `Nothing has “${query}” in its title.`;
    results.replaceChildren(...rest.map(resultRow));
  });
}

function resultRow(item) {
  const take = () => {
    row.remove();
    text.value = "";
    results.replaceChildren();
    resultCount.textContent = "";
    text.focus();
    act(item, "like");
  };
  const button = make("button", { type: "button", class: "found-item", on: { click: take } }, named("span", item), icon("like"));
  button.setAttribute("aria-label", `Like: ${nameOf(item)}`);
  const row = make("li", {}, button);
  return row;
}

function showActs() {
  const { passed, titles } = state.visitor;
  const noes = passed.map((item_id) => ({ item_id, title: titles[item_id] ?? item_id, what: "no" }));
  const all = [...noes, ...state.acts];
  document.getElementById("told-card").hidden = !all.length;
  document.getElementById("told-count").textContent = ["like", "skip", "ban", "no"]
    .map((what) => [all.filter((done) => done.what === what).length, sayDone(what).toLowerCase()])
    .filter(([n]) => n)
    .map(([n, word]) => `${count(n)} ${word}`)
    .join(", ");
  const rows = all.reverse().map((done) =>
    make(
      "li",
      { class: `told-item ${done.what}` },
      icon(done.what),
      make("span", { class: "hidden-label", text: `${sayDone(done.what)}: ` }),
      named("span", done, { class: "told-title" }),
    ),
  );
  document.getElementById("told").replaceChildren(...rows);
}

/** Announce the effect of an action to screen readers. */
export function announce(sentence) {
  document.getElementById("moved").textContent = sentence;
}

