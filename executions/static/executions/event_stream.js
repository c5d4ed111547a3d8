// Follow an event stream of the ledger, or poll the same address with `wait=0`, which returns what is new and ends.
//
//   follow(url, {logs(data), end(data), execution(data), node(data), deleted(data), again(), gone(), back()}) → {close()}
//
// A browser opens six connections to a host, which all of its tabs share, and every open stream takes one. So only visible
// tabs follow, and at most STREAMS of them hold a stream; the others poll every few seconds, and take over a stream once
// one is free. Where a stream is not possible (a proxy that buffers, a server that holds none) the page polls too.
//
// connection_notice.js shows failures. `back` is called when the server responds again. A run that has ended may be
// retried: it is polled once a minute, and `again` is called before its new events; `gone`, where it was deleted.
import { watchedFetch, isOver, onOver } from "./connection_notice.js";

const STREAMS = 2;
const POLL_MS = 3_000;
const ENDED_MS = 60_000;
const HEARTBEAT_S = 2; // of silence, after which the server sends a heartbeat
const SILENCE_MS = 3_500; // until the page polls: a heartbeat may be 1.5 s late
const AGAIN_MS = 1_000; // at most, until a poll after a broken stream: not by all readers at once
const WITHOUT_MS = 60_000; // no stream after one that sent nothing; four times as long after the next such one
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
    this.turn = null; // the request under way; results of an earlier one are dropped
    this.streamPause = WITHOUT_MS;
    this.streamsFrom = window.EventSource ? 0 : Infinity;
    this.seen = () => (document.hidden ? this.pause() : this.open());
    document.addEventListener("visibilitychange", this.seen);
    onOver(() => this.close());
  }

  async open() {
    if (this.isOver || isOver() || document.hidden || this.turn) return;
    clearTimeout(this.timer);
    const turn = (this.turn = {});
    const wantsStream = !this.isEnded && !this.isMissed && Date.now() >= this.streamsFrom;
    const release = wantsStream ? await acquirePlace() : null;
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
    this.hasReceived = false;
    this.source = new EventSource(this.address({ heartbeat: HEARTBEAT_S }));
    this.source.onopen = () => this.wait();
    this.source.onerror = () => this.broken(AGAIN_MS * Math.random());
    for (const kind of KINDS) this.source.addEventListener(kind, (event) => this.receive(kind, event));
    this.wait();
  }

  wait() {
    clearTimeout(this.silence);
    this.silence = setTimeout(() => this.broken(0), SILENCE_MS);
  }

  receive(kind, { data, lastEventId }) {
    this.hasReceived = true;
    this.streamPause = WITHOUT_MS;
    this.wait();
    this.handle(kind, data, lastEventId);
  }

  // A poll finds the reason: an EventSource has no status, and would retry for ever.
  broken(milliseconds) {
    if (!this.hasReceived) {
      this.streamsFrom = Date.now() + this.streamPause;
      this.streamPause *= 4;
    }
    this.pause();
    this.turn = {};
    this.timer = setTimeout((turn) => this.poll(turn), milliseconds, this.turn);
  }

  handle(kind, text, cursor) {
    if (this.isOver) return;
    if (cursor) this.cursor = cursor;
    if (kind === "poll") this.pollFromNowOn();
    if (kind === "end") this.pollSlowly();
    if (kind === "execution") this.resume();
    this.handlers[kind]?.(JSON.parse(text));
  }

  // This server holds no stream open: another try would be cut each time.
  pollFromNowOn() {
    this.streamsFrom = Infinity;
    this.later(POLL_MS);
  }

  pollSlowly() {
    this.isEnded = true;
    this.later(ENDED_MS);
  }

  resume() {
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
      const response = await watchedFetch(this.address({ wait: 0 }), this);
      if (response.status === 404) this.handlers.gone?.();
      const text = await response.text();
      if (turn !== this.turn) return; // the tab was hidden meanwhile, or following has ended
      if (response.ok) this.applyResponse(response, text);
      else pause = this.backOff(response);
    } catch {
      this.isMissed = true;
    }
    if (turn !== this.turn) return;
    const isRetried = wasEnded && !this.isEnded;
    this.later(isRetried ? 0 : this.isEnded && !this.isMissed ? ENDED_MS : pause);
  }

  applyResponse(response, text) {
    if (response.status === 204) this.isEnded = true; // an earlier response contained the end
    for (const event of events(text)) this.handle(event.kind, event.data, event.id);
    if (this.isMissed) this.handlers.back?.();
    this.isMissed = false;
  }

  backOff(response) {
    this.isMissed = true;
    return 1000 * (response.headers.get("Retry-After") || 0) || POLL_MS;
  }
}

// Return a function that releases one of the places for a stream; null where none is free, or where the browser has no
// locks, as over plain HTTP to another host.
async function acquirePlace() {
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

// Yield the events of a stream's text, as EventSource would.
function* events(text) {
  for (const block of text.split("\n\n")) {
    const fields = block.split("\n").map((line) => /^(\w+): ?(.*)$/.exec(line)).filter(Boolean);
    const all = (name) => fields.filter((field) => field[1] === name).map((field) => field[2]);
    if (all("data").length) yield { kind: all("event")[0] ?? "message", data: all("data").join("\n"), id: all("id").at(-1) };
  }
}
