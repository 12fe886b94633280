// The side panel: the page's requests as curl commands, and their responses.

import { asCurl, record, watchRecord } from "./api.js";
import { make } from "./build.js";

const panel = document.getElementById("panel");
const toggle = document.getElementById("panel-toggle");
const which = document.getElementById("panel-which");
const copy = document.getElementById("panel-copy");
const curl = document.getElementById("panel-curl");
const answer = document.getElementById("panel-answer");
const status = document.getElementById("panel-status");
const TOO_LONG = 60_000;

/** Initialize the panel. */
export function startPanel() {
  toggle.addEventListener("click", () => open(panel.hidden));
  document.getElementById("panel-close").addEventListener("click", () => {
    open(false);
    toggle.focus();
  });
  panel.addEventListener("keydown", (event) => {
    if (event.key !== "Escape") return;
    open(false);
    toggle.focus();
  });
  which.addEventListener("change", showOne);
  copy.addEventListener("click", copyCurl);
  watchRecord(() => panel.hidden || showAll());
}

function open(shown) {
  panel.hidden = !shown;
  toggle.setAttribute("aria-expanded", String(shown));
  document.body.classList.toggle("with-panel", shown);
  if (!shown) return;
  showAll();
  document.getElementById("panel-close").focus();
}

function showAll() {
  const options = record.map(({ method, path, status: code }, at) =>
    make("option", { value: at, text: `${method} ${shorten(path)} → ${code}` }),
  );
  which.replaceChildren(...options);
  // Preselect the most recent list: of a batch of requests it is the most interesting.
  const list = record.findIndex(({ path }) => path.includes("/recommendations"));
  which.value = String(Math.max(0, list));
  showOne();
}

/** Omit the parts that all paths share. */
const shorten = (path) => decodeURIComponent(path).replace(/^.*?\/v1\//, "").replace(/^users\/[^/?]+/, "users/…");

function showOne() {
  const one = record[Number(which.value)];
  if (!one) return;
  curl.textContent = asCurl(one);
  status.textContent = `${one.status}, ${Math.round(one.took_ms)} ms`;
  const text = one.answer === null ? "(empty)" : JSON.stringify(one.answer, null, 2);
  answer.textContent = text.length > TOO_LONG ? `${text.slice(0, TOO_LONG)}\n… (${text.length} characters)` : text;
  answer.scrollTop = 0;
}

async function copyCurl() {
  try {
    await navigator.clipboard.writeText(curl.textContent);
    copy.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(curl); // the browser denies clipboard access
    copy.textContent = "Selected: press Ctrl C";
  }
  setTimeout(() => (copy.textContent = "Copy curl"), 2000);
}
