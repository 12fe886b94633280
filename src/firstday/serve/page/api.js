// HTTP client: one request function, three kinds of errors, and a log of recent requests.

const BASE = new URL(".", document.baseURI);
const TIMEOUT_MS = 8000;
const KEPT = 20;

/** The service is unreachable or temporarily unavailable. */
export class Away extends Error {}

/** The key is missing or unknown. */
export class KeyNeeded extends Error {}

/** The service rejected the request. */
export class Refused extends Error {}

const KEPT_KEY = "firstday.key";
let key = readKey();

function readKey() {
  try {
    return sessionStorage.getItem(KEPT_KEY) ?? "";
  } catch {
    return ""; // storage is blocked
  }
}

/** Return whether a key is set. */
export const hasKey = () => Boolean(key);

/** Store the key for this tab. */
export function setKey(text) {
  key = text;
  try {
    sessionStorage.setItem(KEPT_KEY, key);
  } catch {
    // storage is blocked: the key lasts until the page is closed
  }
}

/** Recent requests, newest first: {method, url, path, body, status, answer, took_ms}. */
export const record = [];
const watchers = [];

/** Call `act` after each recorded request. */
export const watchRecord = (act) => watchers.push(act);

/**
 * Send a request: GET without a body, else POST.
 * @param {string} path relative to the page, such as "v1/model"
 * @param {{query?: object, body?: object}} options
 * @returns {Promise<any>} parsed JSON body
 */
export async function ask(path, { query = {}, body } = {}) {
  const url = new URL(path, BASE);
  for (const [name, values] of Object.entries(query)) {
    for (const value of [values].flat()) url.searchParams.append(name, value);
  }
  const method = body === undefined ? "GET" : "POST";
  const used = key;
  const headers = {};
  if (used) headers.Authorization = `Bearer ${used}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const began = performance.now();
  let response;
  let answer;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      credentials: "omit",
      cache: "no-store",
    });
    answer = read(await response.text());
  } catch {
    throw new Away("The service does not answer.");
  }
  const { status } = response;
  const took_ms = performance.now() - began;
  record.unshift({ method, url: url.href, path: url.pathname + url.search, body, status, answer, took_ms });
  record.length = Math.min(record.length, KEPT);
  watchers.forEach((act) => act());
  if (response.ok) return answer;
  const message = answer?.message ?? `The service answered with status ${status}.`;
  if (status === 401 || status === 403) {
    if (key !== used) return ask(path, { query, body }); // another key was entered meanwhile
    throw new KeyNeeded(message);
  }
  if ([429, 502, 503, 504].includes(status)) throw new Away(message);
  throw new Refused(answer?.errors?.[0]?.message ?? message);
}

function read(text) {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Format a recorded request as a curl command, without the key. */
export function asCurl({ url, body }) {
  const parts = ["curl", quote(url)];
  if (key) parts.push('-H "Authorization: Bearer $KEY"');
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quote(JSON.stringify(body))}`);
  return parts.join(" \\\n  ");
}

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
