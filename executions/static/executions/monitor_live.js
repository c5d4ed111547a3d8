// The front page while runs move: made anew, part by part, soon after something happened, and each minute: what is told
// of the last 24 hours, and how long ago things were, changes without that.
import { follow } from "./live.js";
import { Freshener } from "./fresh.js";

const QUIET_MS = 60_000;
const fresh = new Freshener();
const later = () => document.hidden || fresh.later();

follow(document.querySelector("[data-moves]").dataset.moves, { execution: later, deleted: later, back: later });
setInterval(later, QUIET_MS);
document.addEventListener("visibilitychange", later);
