// What can go wrong with a request: an outage, which is waited out; a missing key, which is asked for; a refusal.

import { Away, KeyNeeded, Refused, ask, setKey } from "./api.js";

const WAITS_S = [1, 1, 2, 3, 5];
const BACK = "The service answers again.";
const notice = document.getElementById("notice");
const dialog = document.getElementById("keys");
let outage = null; // promise of its end

/**
 * Run a function that sends requests, again after an outage; report its failure to the visitor.
 * @param {() => Promise<void>} act
 * @param {() => boolean} isWanted whether to run it again
 */
export async function attempt(act, isWanted = () => true) {
  try {
    await act();
  } catch (problem) {
    if (problem instanceof Away) {
      outage ??= waitOut(problem.message);
      await outage;
      if (isWanted()) await attempt(act, isWanted);
    } else if (problem instanceof KeyNeeded) askForKey(problem.message);
    else if (problem instanceof Refused) tell(`The service refused: ${problem.message}`, "error");
    else throw problem;
  }
}

async function waitOut(why) {
  for (let round = 0; ; round += 1) {
    for (let left = WAITS_S[Math.min(round, WAITS_S.length - 1)]; left > 0; left -= 1) {
      tell(`${why} The last lists stay here. Asking again in ${left} s.`, "error", round > 0);
      await new Promise((done) => setTimeout(done, 1000));
    }
    try {
      await ask("v1/model");
      break;
    } catch (problem) {
      if (!(problem instanceof Away)) break; // it answers
    }
  }
  outage = null;
  tell(BACK, "good");
  setTimeout(() => (notice.hidden ||= notice.textContent === BACK), 4000);
}

function tell(text, kind, isRepeated = false) {
  notice.setAttribute("aria-live", isRepeated ? "off" : "polite"); // a countdown is not announced
  notice.className = `notice ${kind}`;
  notice.textContent = text;
  notice.hidden = false;
}

/** Ask for a key; say why the previous one was rejected, if it was. */
export function askForKey(why = "") {
  document.getElementById("keys-why").textContent = `${why} It is kept for this tab alone, until you close it.`.trim();
  if (!dialog.open) dialog.showModal();
}

/** Call `act` whenever a key was entered. */
export function whenKeyGiven(act) {
  document.getElementById("keys-form").addEventListener("submit", (event) => {
    event.preventDefault();
    setKey(document.getElementById("key-read").value.trim());
    dialog.close();
    act();
  });
}
