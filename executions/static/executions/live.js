// Follow a stream of the ledger, or ask the same address with `wait=0`, which gives what is new and ends.
//
//   follow(url, {logs(data), end(data), execution(data), node(data), deleted(data), again(), gone(), back()}) → {close()}
//
// A browser opens six connections to a host, which all of its tabs share, and every open stream takes one. So only tabs
// that are seen follow, and no more than STREAMS of them hold a stream; the others ask every few seconds, and take a
// place once there is one. Where a stream cannot be had (a proxy that buffers, a server that holds none) it is asked too.
//
// What went wrong is said by lost.js. `back` is called when the server answers again. A run that has ended may be retried:
// it is asked for now and then, and `again` is called before what came; `gone`, where it was deleted.
import { asked, isOver, whenOver } from "./lost.js";

const STREAMS = 2;
const POLL_MS = 3_000;
const ENDED_MS = 60_000;
const HEARTBEAT_S = 2; // of silence, after which the server shows that it is there
const SILENCE_MS = 3_500; // after which it is asked whether it is: a heartbeat may be 1.5 s late
const AGAIN_MS = 1_000; // at most, until it is asked why a stream broke: not by all of its readers at once
const WITHOUT_MS = 60_000; // without a stream after one that told nothing; four times as long after the next such one
const KINDS = ["execution", "node", "logs", "deleted", "end", "poll", "heartbeat"];

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
    this.isOver = false;
    this.isEnded = false;
    this.isMissed = false;
    this.turn = null; // what is under way; what comes of an earlier turn is dropped
    this.without = WITHOUT_MS;
    this.streamsFrom = window.EventSource ? 0 : Infinity;
    this.seen = () => (document.hidden ? this.pause() : this.open());
    document.addEventListener("visibilitychange", this.seen);
    whenOver(() => this.close());
  }

  async open() {
    if (this.isOver || isOver() || document.hidden || this.turn) return;
    clearTimeout(this.timer);
    const turn = (this.turn = {});
    const wantsStream = !this.isEnded && !this.isMissed && Date.now() >= this.streamsFrom;
    const release = wantsStream ? await place() : null;
    if (turn !== this.turn) return release?.();
    if (release) this.listen(release);
    else this.poll(turn);
  }

  pause() {
    clearTimeout(this.timer);
    clearTimeout(this.silence);
    this.source?.close();
    this.release?.();
    this.turn = this.source = this.release = null;
  }

  close() {
    this.isOver = true;
    this.pause();
    document.removeEventListener("visibilitychange", this.seen);
  }

  later(milliseconds) {
    this.pause();
    this.timer = setTimeout(() => this.open(), milliseconds);
  }

  listen(release) {
    this.release = release;
    this.hasHeard = false;
    this.source = new EventSource(this.address({ heartbeat: HEARTBEAT_S }));
    this.source.onopen = () => this.wait();
    this.source.onerror = () => this.broken(AGAIN_MS * Math.random());
    for (const kind of KINDS) this.source.addEventListener(kind, (event) => this.hear(kind, event));
    this.wait();
  }

  wait() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.broken(0), SILENCE_MS);
  }

  hear(kind, { data, lastEventId }) {
    this.hasHeard = true;
    this.without = WITHOUT_MS;
    this.wait();
    this.take(kind, data, lastEventId);
  }

  // Why, a question tells: an EventSource knows no status, and would go on trying.
  broken(milliseconds) {
    if (!this.hasHeard) {
      this.streamsFrom = Date.now() + this.without;
      this.without *= 4;
    }
    this.pause();
    this.turn = {};
    this.timer = setTimeout((turn) => this.poll(turn), milliseconds, this.turn);
  }

  take(kind, text, cursor) {
    if (this.isOver) return;
    if (cursor) this.cursor = cursor;
    if (kind === "poll") this.instead();
    if (kind === "end") this.rest();
    if (kind === "execution") this.goOn();
    this.handlers[kind]?.(JSON.parse(text));
  }

  // This server holds no stream open: to try again each time would be to lose it each time.
  instead() {
    this.streamsFrom = Infinity;
    this.later(POLL_MS);
  }

  rest() {
    this.isEnded = true;
    this.later(ENDED_MS);
  }

  goOn() {
    if (this.isEnded) this.handlers.again?.();
    this.isEnded = false;
  }

  address(more) {
    const url = new URL(this.url);
    if (this.cursor) url.searchParams.set("last_event_id", this.cursor);
    for (const [name, value] of Object.entries(more)) url.searchParams.set(name, value);
    return url;
  }

  async poll(turn) {
    const wasEnded = this.isEnded;
    let pause = POLL_MS;
    try {
      const answer = await asked(this.address({ wait: 0 }), this);
      if (answer.status === 404) this.handlers.gone?.();
      const text = await answer.text();
      if (turn !== this.turn) return; // the tab was hidden meanwhile, or it is over
      if (answer.ok) this.came(answer, text);
      else pause = this.missed(answer);
    } catch {
      this.isMissed = true;
    }
    if (turn !== this.turn) return;
    const isRetried = wasEnded && !this.isEnded;
    this.later(isRetried ? 0 : this.isEnded && !this.isMissed ? ENDED_MS : pause);
  }

  came(answer, text) {
    if (answer.status === 204) this.isEnded = true; // as it was told before
    for (const event of events(text)) this.take(event.kind, event.data, event.id);
    if (this.isMissed) this.handlers.back?.();
    this.isMissed = false;
  }

  missed(answer) {
    this.isMissed = true;
    return 1000 * (answer.headers.get("Retry-After") || 0) || POLL_MS;
  }
}

// How to give back one of the places for a stream; null where none is free, or where the browser keeps no count of them,
// as over plain HTTP to another host.
async function place() {
  if (!navigator.locks) return null;
  for (let number = 0; number < STREAMS; number += 1) {
    const release = await hold(`ledger-stream-${number}`);
    if (release) return release;
  }
  return null;
}

function hold(name) {
  return new Promise((resolve) => {
    const held = (lock) => (lock ? new Promise((release) => resolve(release)) : resolve(null));
    navigator.locks.request(name, { ifAvailable: true }, held).catch(() => resolve(null));
  });
}

// The text of a stream, as EventSource would read it.
function* events(text) {
  for (const block of text.split("\n\n")) {
    const fields = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
    const all = (name) => fields.filter((field) => field[1] === name).map((field) => field[2]);
    if (all("data").length) yield { kind: all("event")[0] ?? "message", data: all("data").join("\n"), id: all("id").at(-1) };
  }
}
