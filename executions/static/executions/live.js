// Follow a stream of the ledger. Where a page cannot hold one open (a proxy that buffers, too many tabs) it polls the
// same address with `wait=0`, which gives what is new and ends. A hidden tab lets go: a browser opens only six
// connections to a host, and goes on from where it was once the tab is seen again.
//
//   follow(url, {logs(data), end(data), execution(data), node(data), deleted(data), again(), gone(), lost(), back()}) → {close()}
//
// `lost` is called when nothing arrives any more, `back` when it does again; each once for one loss. A run that has ended
// may be retried: it is asked for now and then, and `again` is called before what came; `gone`, where it was deleted.

const POLL_MS = 5_000;
const ENDED_MS = 60_000;
const KINDS = ["execution", "node", "logs", "deleted", "end", "poll"];
const GONE = new Set([400, 401, 403, 404, 410]);

export function follow(url, handlers) {
  const follower = new Follower(new URL(url, location.href), handlers);
  follower.open();
  return { close: () => follower.close() };
}

class Follower {
  constructor(url, handlers) {
    this.url = url;
    this.handlers = handlers;
    this.cursor = url.searchParams.get("last_event_id");
    this.isLost = false;
    this.isOver = false;
    this.isEnded = false;
    this.polls = !window.EventSource;
    this.seen = () => (document.hidden ? this.pause() : this.open());
    document.addEventListener("visibilitychange", this.seen);
  }

  open() {
    if (this.isOver || document.hidden || this.source || this.timer) return;
    if (this.polls || this.isEnded) return this.poll();
    this.source = new EventSource(this.address());
    this.source.onopen = () => this.found();
    this.source.onerror = () => this.broken();
    for (const kind of KINDS) this.source.addEventListener(kind, (event) => this.take(kind, event.data, event.lastEventId));
  }

  pause() {
    this.source?.close();
    clearTimeout(this.timer);
    this.source = this.timer = null;
  }

  close() {
    this.isOver = true;
    this.pause();
    document.removeEventListener("visibilitychange", this.seen);
  }

  // An error after which the browser tries again by itself leaves the source open; any other is for polling.
  broken() {
    this.missed();
    if (this.source?.readyState !== EventSource.CLOSED) return;
    this.pause();
    this.later(POLL_MS * Math.random());
  }

  take(kind, text, cursor) {
    if (this.isOver) return;
    if (cursor) this.cursor = cursor;
    this.found();
    if (kind === "poll") return this.instead();
    if (kind === "end") this.rest();
    if (kind === "execution") this.goOn();
    this.handlers[kind]?.(JSON.parse(text));
  }

  // This server holds no stream open: to try again each time would be to lose it each time.
  instead() {
    this.polls = true;
    this.pause();
    this.later();
  }

  rest() {
    this.isEnded = true;
    this.pause();
    this.later();
  }

  goOn() {
    if (this.isEnded) this.handlers.again?.();
    this.isEnded = false;
  }

  missed() {
    if (!this.isLost) this.handlers.lost?.();
    this.isLost = true;
  }

  found() {
    if (this.isLost) this.handlers.back?.();
    this.isLost = false;
  }

  address(more = {}) {
    const url = new URL(this.url);
    if (this.cursor) url.searchParams.set("last_event_id", this.cursor);
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
    return url;
  }

  get rhythm() {
    return this.isEnded ? ENDED_MS : POLL_MS;
  }

  later(milliseconds = this.rhythm) {
    this.timer = setTimeout(() => this.poll(), milliseconds);
  }

  async poll() {
    const turn = (this.timer = {}); // one is under way
    const wasEnded = this.isEnded;
    let pause = 0;
    try {
      const answer = await fetch(this.address({ wait: 0 }), { credentials: "same-origin", cache: "no-store" });
      if (answer.status === 404) this.handlers.gone?.();
      if (GONE.has(answer.status)) return this.close();
      pause = 1000 * (answer.headers.get("Retry-After") || 0);
      if (!answer.ok) throw new Error(answer.statusText);
      const text = await answer.text();
      if (this.timer !== turn) return; // the tab was hidden meanwhile, or the stream is over
      if (answer.status === 204) this.isEnded = true; // as it was told before
      for (const event of events(text)) this.take(event.kind, event.data, event.id);
      this.found();
    } catch {
      this.missed();
    }
    if (this.timer !== turn) return;
    this.timer = null;
    if (wasEnded && !this.isEnded) this.open();
    else this.later(pause || this.rhythm);
  }
}

// The text of a stream, as EventSource would read it.
function* events(text) {
  for (const block of text.split("\n\n")) {
    const fields = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
    const all = (name) => fields.filter((field) => field[1] === name).map((field) => field[2]);
    if (all("data").length) yield { kind: all("event")[0] ?? "message", data: all("data").join("\n"), id: all("id").at(-1) };
  }
}
