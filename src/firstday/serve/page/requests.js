// The page's requests as curl commands, and their responses.

import { asCurl, record, watchRecord } from "./api.js";
import { make } from "./build.js";
import { state } from "./state.js";
import { sayWay } from "./words.js";

const MAX_LENGTH = 60_000;
const details = document.getElementById("requests");
const which = document.getElementById("requests-which");
const copy = document.getElementById("requests-copy");
const curl = document.getElementById("requests-curl");

/** Initialize the requests. */
export function startRequests() {
  details.addEventListener("toggle", showAll);
  which.addEventListener("change", showOne);
  copy.addEventListener("click", copyCurl);
  watchRecord(showAll);
}

function showAll() {
  if (!details.open) return;
  const options = record.map(({ method, path, body, status }, at) => {
    const list = body ? `${sayWay(body.strategy)}: ` : "";
    return make("option", { value: at, text: `${list}${method} ${decodeURIComponent(path)} → ${status}` });
  });
  which.replaceChildren(...options);
  which.value = Math.max(
    0,
    record.findIndex(({ body }) => body?.strategy === state.ways[0]),
  );
  showOne();
}

function showOne() {
  const one = record[Number(which.value)];
  curl.textContent = asCurl(one);
  const text = `${Math.round(one.took_ms)} ms\n${JSON.stringify(one.answer, null, 2)}`;
  document.getElementById("requests-answer").textContent = text.slice(0, MAX_LENGTH);
}

async function copyCurl() {
  try {
    await navigator.clipboard.writeText(curl.textContent);
    copy.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(curl); // the browser denies clipboard access
    copy.textContent = "Selected: press Ctrl C";
  }
  setTimeout(() => (copy.textContent = "Copy"), 2000);
}
