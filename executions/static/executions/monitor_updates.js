// Live updates of the front page: its parts are refreshed soon after an event, and each minute, because numbers of the last
// 24 hours and relative times change without one.
import { follow } from "./event_stream.js";
import { PartialRefresh } from "./partial_refresh.js";

const QUIET_MS = 60_000;
const fresh = new PartialRefresh();
const later = () => document.hidden || fresh.later();

follow(document.querySelector("[data-stream]").dataset.stream, { execution: later, deleted: later, back: later });
setInterval(later, QUIET_MS);
document.addEventListener("visibilitychange", later);
