// Connection state: shows an outage, polls until the service is back, then calls the listeners.

import { Away, KeyNeeded, ask } from "./api.js";
import { askForKeys } from "./keys.js";

const WAITS_S = [1, 1, 2, 3, 5];
const back = [];
let away = false;

/** Call `act` whenever the service is back. */
export const whenBack = (act) => back.push(act);

/** Return whether the service is known to be unavailable. */
export const isAway = () => away;

/**
 * Run a function that sends requests; report its failure to the visitor.
 * @returns {Promise<boolean>} whether it succeeded
 */
export async function attempt(act) {
  try {
    await act();
    return true;
  } catch (problem) {
    if (problem instanceof Away) waitForIt(problem.message);
    else if (problem instanceof KeyNeeded) askForKeys(problem);
    else if (problem instanceof Error && "status" in problem) say(`The service refused: ${problem.message}`, "error");
    else throw problem;
    return false;
  }
}

let unsent = () => 0;

/** Set the function that counts queued actions for the notice. */
export function countUnsent(counter) {
  unsent = counter;
}

async function waitForIt(why) {
  if (away) return;
  away = true;
  document.body.classList.add("away");
  for (let round = 0; away; round += 1) {
    const wait = WAITS_S[Math.min(round, WAITS_S.length - 1)];
    for (let left = wait; left > 0; left -= 1) {
      const waiting = unsent();
      const kept = ["", " What you did is kept and will be sent."][waiting] ?? ` The ${waiting} things you did are kept and will be sent.`;
      say(`${why} Your last lists stay here.${kept} Asking again in ${left} s.`, "error", round > 0 || left < wait);
      await new Promise((done) => setTimeout(done, 1000));
    }
    try {
      const { store } = await ask("GET", "readyz", { quiet: true });
      away = store !== "ok";
    } catch {
      // still unavailable
    }
  }
  document.body.classList.remove("away");
  say("The service answers again.", "good");
  setTimeout(() => hush("The service answers again."), 4000);
  back.forEach((act) => act());
}

const notice = document.getElementById("notice");

/** Show a notice at the top of the page. */
export function say(text, kind = "", quietly = false) {
  notice.setAttribute("aria-live", quietly ? "off" : "polite"); // the countdown is not announced
  notice.className = `notice ${kind}`;
  notice.textContent = text;
  notice.hidden = false;
}

/** Hide the notice, if it still has this text. */
export function hush(text) {
  if (text === undefined || notice.textContent === text) notice.hidden = true;
}
