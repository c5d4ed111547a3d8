// The front page while runs move: made anew, part by part, soon after something happened; every 15 seconds where nothing
// tells of it.
import { follow } from "./live.js";
import { Freshener } from "./fresh.js";

const POLL_MS = 15_000;
const fresh = new Freshener();
let isLost = false;

follow(document.querySelector("[data-moves]").dataset.moves, {
    execution: () => fresh.later(),
    deleted: () => fresh.later(),
    lost: () => { isLost = true; },
    back: () => { isLost = false; fresh.later(); },
});
setInterval(() => isLost && !document.hidden && fresh.later(), POLL_MS);
