/** Lists and events of one user of a firstday service, for browsers and Node. */
import type { components } from "./api.js";

type Schemas = components["schemas"];
type Event = Schemas["EventBody"];

/** An item of a list with its place in it, for `track` and `observe`. */
export type Item = Schemas["Item"] & { list_id: string | null; position: number };
/** A list whose items know their places. */
export type List = Omit<Schemas["ListAnswer"], "items"> & { items: Item[] };
/** Options of a list: `k`, `strategy`, `rules`, ...; `after` is the list that it continues. */
export type ListOptions = Omit<Schemas["UserListBody"], "after" | "rows"> & { after?: List };
/** Options of the rows of a page. */
export type RowOptions = Omit<Schemas["UserListBody"], "after" | "rows">;
/** Fields of an event that `track` does not set, or that replace what it sets. */
export type Fields = Partial<Omit<Event, "user_id" | "entity_id" | "signal">>;

export interface Options {
  /** Address of the service. */
  url: string;
  /** Id of the user that the token is for. */
  user: string;
  /** Gets a token from your server; called again when it has expired. */
  token: () => string | Promise<string>;
  /** Where events wait to be sent. Default: localStorage in browsers, else memory. */
  storage?: Storage;
  /** Receives events that the service refuses as invalid; they are not sent again. */
  onRefused?: (event: Event, message: string) => void;
}

/** An error that the service answers with. */
export class ServiceError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    readonly errors: Schemas["FieldError"][],
  ) {
    super(message);
  }
}

const SEEN_AFTER_MS = 1000;
const SEND_AFTER_MS = 1000;
const MAX_DELAY_MS = 60_000;
const TIMEOUT_MS = 15_000;
const MAX_EVENTS = 100;
/** Characters per batch: at most 3 bytes each, since a page that closes may send 64 KiB. */
const MAX_CHARACTERS = 20_000;

const isBrowser = typeof document === "object";

/** Gets a user's lists, and sends the user's events until the service has acknowledged them. */
export class Client {
  readonly #url: string;
  readonly #user: string;
  readonly #options: Options;
  readonly #prefix: string;
  readonly #memory = new Map<string, string>();
  readonly #pending = new Map<Element, Item>();
  readonly #clocks = new Map<Element, ReturnType<typeof setTimeout>>();
  readonly #checks = new Set<Element>();
  readonly #ended = new AbortController();
  readonly #observer?: IntersectionObserver;
  #storage: Storage | undefined;
  #token: string | undefined;
  #count = 0;
  #failures = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #flushing: Promise<number> | undefined;
  #isHidden = isBrowser && document.visibilityState === "hidden";

  constructor(options: Options) {
    this.#options = options;
    this.#url = options.url.replace(/\/$/, "");
    this.#user = options.user;
    this.#prefix = `firstday:${encodeURIComponent(options.user)}:`;
    try {
      this.#storage = options.storage ?? (isBrowser ? localStorage : undefined);
    } catch {} // the browser denies storage to the page
    if (isBrowser) {
      const { signal } = this.#ended;
      this.#observer = new IntersectionObserver((entries) => entries.forEach((entry) => this.#look(entry)), {
        threshold: 0.5,
      });
      const follow = () => (document.visibilityState === "hidden" ? this.#hide() : this.#show());
      document.addEventListener("visibilitychange", follow, { signal });
      addEventListener("pagehide", () => this.#hide(), { signal });
      addEventListener("pageshow", follow, { signal });
      addEventListener("online", () => this.#plan(0), { signal });
      this.#plan(0); // what an earlier page left
    }
  }

  /** Return a list, recorded as shown unless `record` is false. */
  async list({ after, ...options }: ListOptions = {}): Promise<List> {
    const body = { record: true, ...options, ...(after && { after: after.list_id }) };
    return place(await this.#get<Schemas["ListAnswer"]>(body), after?.items.at(-1)?.position);
  }

  /** Return the rows of a page: lists without repeats, each with its own rules. */
  async rows(rows: Schemas["Row"][], options: RowOptions = {}): Promise<(List & { name: string })[]> {
    const answer = await this.#get<Schemas["PageAnswer"]>({ record: true, ...options, rows });
    return answer.rows.map((row) => place(row));
  }

  /** Store an event; it is sent with others, and again after failures. An id in place of an item has no list. */
  track(signal: string, item: Item | string | number, fields: Fields = {}): void {
    const where =
      typeof item === "object"
        ? { entity_id: item.item_id, list_id: item.list_id, position: item.position }
        : { entity_id: item };
    const order = `${Date.now().toString(36)}${(this.#count++).toString(36).padStart(4, "0")}`;
    const id = order + Array.from(crypto.getRandomValues(new Uint8Array(8)), (byte) => byte.toString(36)).join("");
    const event = { event_id: id, user_id: this.#user, signal, timestamp: new Date().toISOString(), ...where, ...fields };
    this.#store(this.#prefix + id, event);
    if (!this.#timer) {
      this.#plan(SEND_AFTER_MS);
    }
  }

  /**
   * Report an item as shown once half of its element has been in view for a second.
   *
   * Returns a function that ends this. An item of a recorded list counts once, however often it is observed.
   */
  observe(element: Element, item: Item): () => void {
    this.#pending.set(element, item);
    this.#observer?.observe(element);
    return () => this.#forget(element);
  }

  /** Send all waiting events; return how many still wait, because the service cannot be reached. */
  flush(): Promise<number> {
    return (this.#flushing ??= this.#sendInTurn().finally(() => (this.#flushing = undefined)));
  }

  /** Stop observing and sending. Waiting events stay in the storage. */
  close(): void {
    this.#ended.abort();
    clearTimeout(this.#timer);
    for (const element of this.#pending.keys()) {
      this.#forget(element);
    }
  }

  async #get<T>(body: object): Promise<T> {
    const answer = await this.#post(`/v1/users/${encodeURIComponent(this.#user)}/recommendations`, JSON.stringify(body));
    const content = await answer.json();
    if (!answer.ok) {
      throw new ServiceError(answer.status, content.code, content.message, content.errors);
    }
    return content;
  }

  async #post(path: string, body: string, keepalive = false): Promise<Response> {
    for (let isSecond = false; ; isSecond = true) {
      this.#token ??= await this.#options.token();
      const headers = { Authorization: `Bearer ${this.#token}`, "Content-Type": "application/json" };
      const signal = AbortSignal.timeout(TIMEOUT_MS);
      const answer = await fetch(this.#url + path, { method: "POST", headers, body, keepalive, signal });
      if (answer.status !== 401) {
        return answer;
      }
      this.#token = undefined;
      if (isSecond) {
        return answer;
      }
    }
  }

  #store(key: string, event: Event): void {
    const text = JSON.stringify(event);
    try {
      this.#storage!.setItem(key, text);
    } catch {
      this.#memory.set(key, text); // no storage, or it is full
    }
  }

  #remove(key: string): void {
    this.#memory.delete(key);
    this.#storage?.removeItem(key);
  }

  #waiting(): string[] {
    const stored = Array.from({ length: this.#storage?.length ?? 0 }, (_, at) => this.#storage!.key(at) ?? "");
    return [...stored.filter((key) => key.startsWith(this.#prefix)), ...this.#memory.keys()].sort();
  }

  /** Return the keys and texts of the oldest events. */
  #batch(): [string, string][] {
    const batch: [string, string][] = [];
    let left = MAX_CHARACTERS;
    for (const key of this.#waiting().slice(0, MAX_EVENTS)) {
      const text = this.#memory.get(key) ?? this.#storage?.getItem(key);
      left -= text?.length ?? 0;
      if (left < 0 && batch.length) {
        break;
      }
      if (text) {
        batch.push([key, text]); // else another tab has sent it
      }
    }
    return batch;
  }

  async #postEvents(batch: [string, string][], keepalive = false): Promise<Response> {
    const answer = await this.#post("/v1/events", `{"events":[${batch.map(([, text]) => text)}]}`, keepalive);
    if (answer.ok) {
      batch.forEach(([key]) => this.#remove(key));
    }
    return answer;
  }

  /** Send while no other tab does, where there are locks: in pages from https or localhost. */
  async #sendInTurn(): Promise<number> {
    const send = () => this.#send();
    const locks = globalThis.navigator?.locks as LockManager | undefined;
    return (await locks?.request(this.#prefix, send).catch(send)) ?? send();
  }

  async #send(): Promise<number> {
    for (let batch = this.#batch(); batch.length; batch = this.#batch()) {
      const answer = await this.#postEvents(batch).catch(() => undefined);
      if (answer?.status === 422) {
        await this.#refuse(batch, answer);
      } else if (!answer?.ok) {
        const wait = Number(answer?.headers.get("Retry-After") ?? 0) * 1000;
        const delay = Math.min(SEND_AFTER_MS * 2 ** this.#failures++, MAX_DELAY_MS);
        this.#plan(Math.max(wait, delay) * (1 + Math.random()));
        break;
      }
      this.#failures = 0;
    }
    return this.#waiting().length;
  }

  /** Give up the events that an answer names as invalid, all if it names none; those of a wrong clock lose their time. */
  async #refuse(batch: [string, string][], answer: Response): Promise<void> {
    const { message, errors } = (await answer.json()) as Schemas["ErrorBody"];
    const faults = new Map(batch.map((_, at) => [at, message]));
    const named = errors.flatMap(({ field, message }) => {
      const at = /^events\[(\d+)\]/.exec(field)?.[1];
      return at ? [[Number(at), `${field}: ${message}`] as const] : [];
    });
    for (const [at, text] of named.length ? named : faults) {
      const [key, stored] = batch[at]!;
      const event = JSON.parse(stored) as Event;
      if (event.timestamp && text.startsWith(`events[${at}].timestamp:`)) {
        delete event.timestamp;
        this.#store(key, event);
      } else {
        this.#remove(key);
        this.#options.onRefused?.(event, text);
      }
    }
  }

  #plan(delay: number): void {
    clearTimeout(this.#timer);
    if (!this.#ended.signal.aborted) {
      this.#timer = setTimeout(() => {
        this.#timer = undefined;
        void this.flush();
      }, delay);
    }
  }

  /** Start the clock of an element in view; report its item if the element is still there a second later. */
  #look({ target, intersectionRatio }: IntersectionObserverEntry): void {
    const item = this.#pending.get(target);
    const isCheck = this.#checks.delete(target);
    clearTimeout(this.#clocks.get(target));
    if (!item || this.#isHidden || intersectionRatio < 0.5) {
      return;
    }
    if (isCheck) {
      this.#forget(target);
      // The same id however often the item is seen in this list: the service counts it once.
      this.track("shown", item, item.list_id ? { event_id: `shown-${item.list_id}-${item.position}` } : {});
    } else {
      const check = () => {
        this.#checks.add(target); // a busy page may not have been told that the element has left
        this.#observeAnew(target);
      };
      this.#clocks.set(target, setTimeout(check, SEEN_AFTER_MS));
    }
  }

  #observeAnew(element: Element): void {
    this.#observer?.unobserve(element);
    this.#observer?.observe(element);
  }

  #forget(element: Element): void {
    this.#observer?.unobserve(element);
    this.#pending.delete(element);
    clearTimeout(this.#clocks.get(element));
    this.#clocks.delete(element);
  }

  #hide(): void {
    if (!this.#isHidden) {
      this.#isHidden = true;
      this.#clocks.forEach((clock) => clearTimeout(clock));
      this.#checks.clear();
      const batch = this.#batch();
      if (batch.length && this.#token) {
        this.#postEvents(batch, true).catch(() => undefined); // what is not acknowledged stays in the storage
      }
    }
  }

  #show(): void {
    this.#isHidden = document.visibilityState === "hidden";
    if (!this.#isHidden) {
      this.#pending.forEach((_, element) => this.#observeAnew(element));
    }
  }
}

/** Return a list or row whose items know their places; `last` is the last position of the list that it continues. */
function place<T extends Schemas["ListAnswer"]>(list: T, last = 0): Omit<T, "items"> & { items: Item[] } {
  const list_id = list.list_id ?? null;
  return { ...list, items: list.items.map((item, at) => ({ ...item, list_id, position: last + at + 1 })) };
}
