// HTTP client: one request function, three kinds of errors, and a log of recent requests.

const BASE = new URL(".", document.baseURI);
const TIMEOUT_MS = 8000;
const KEPT = 20;

/** The service is unreachable or temporarily unavailable. */
export class Away extends Error {}

/** The key is missing or lacks the right. */
export class KeyNeeded extends Error {
  constructor(message, right) {
    super(message);
    this.right = right;
  }
}

/** The service rejected the request. */
export class Refused extends Error {
  constructor(status, body) {
    super(body?.message ?? `The service answered with status ${status}.`);
    this.status = status;
    this.code = body?.code ?? "";
  }
}

const KEPT_KEYS = "firstday.keys";
const keys = readKeys(); // {read, write}

function readKeys() {
  try {
    return JSON.parse(sessionStorage.getItem(KEPT_KEYS)) ?? {};
  } catch {
    return {}; // storage is blocked
  }
}

/** Whether a read key is set. */
export const hasKey = () => Boolean(keys.read);

/** Store the keys for this tab. */
export function setKeys(read, write) {
  Object.assign(keys, { read, write: write || read });
  try {
    sessionStorage.setItem(KEPT_KEYS, JSON.stringify(keys));
  } catch {
    // storage is blocked: the keys last until the page is closed
  }
}

const rightOf = (method) => (method === "GET" ? "read" : "write");

/** Recent requests, newest first: {method, url, path, body, status, answer, took_ms}. */
export const record = [];
const watchers = [];

/** Call `act` after each recorded request. */
export const watchRecord = (act) => watchers.push(act);

/**
 * Send a request.
 * @param {string} method
 * @param {string} path relative to the page, such as "v1/model"
 * @param {{query?: object, body?: object, quiet?: boolean, right?: string}} options query: values may be lists;
 *   quiet: not recorded; right: read or write; by default GET needs read, other methods write
 * @returns {Promise<any>} parsed JSON body; null if there is none
 */
export async function ask(method, path, { query = {}, body, quiet = false, right = rightOf(method) } = {}) {
  const url = new URL(path, BASE);
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== null && one !== "") url.searchParams.append(name, one);
    }
  }
  const headers = {};
  const key = keys[right];
  if (key) headers.Authorization = `Bearer ${key}`;
  if (body !== undefined) headers["Content-Type"] = "application/json";
  const began = performance.now();
  let response;
  let text;
  try {
    response = await fetch(url, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
      credentials: "omit",
      cache: "no-store",
    });
    text = await response.text();
  } catch {
    throw new Away("The service does not answer.");
  }
  const answer = read(text);
  if (!quiet) {
    const took_ms = performance.now() - began;
    record.unshift({ method, url: url.href, path: url.pathname + url.search, body, status: response.status, answer, took_ms });
    record.length = Math.min(record.length, KEPT);
    watchers.forEach((act) => act());
  }
  if (response.ok) return answer;
  if (response.status === 401 || response.status === 403) {
    if (keys[right] !== key) return ask(method, path, { query, body, quiet, right }); // another key was entered meanwhile
    throw new KeyNeeded(answer?.message ?? "", right);
  }
  if ([429, 502, 503, 504].includes(response.status)) throw new Away(answer?.message ?? "The service is busy.");
  throw new Refused(response.status, answer);
}

function read(text) {
  if (!text) return null;
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Format a recorded request as a curl command, without the key. */
export function asCurl({ method, url, body }) {
  const parts = [method === "GET" ? "curl" : `curl -X ${method}`, quote(url)];
  if (keys.read) parts.push('-H "Authorization: Bearer $KEY"');
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quote(JSON.stringify(body))}`);
  return parts.join(" \\\n  ");
}

const quote = (text) => `'${text.replaceAll("'", `'\\''`)}'`;
