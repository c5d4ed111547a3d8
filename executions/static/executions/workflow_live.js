// The page of a workflow while its runs move: made anew, part by part, soon after one did, and each minute.
import { follow } from "./live.js";
import { Freshener } from "./fresh.js";

const QUIET_MS = 60_000;
const { moves, workflow, isEmpty } = document.getElementById("workflow-live").dataset;
const fresh = new Freshener();

function later() {
    if (document.hidden) return;
    if (isEmpty) location.reload(); // its first run brings parts that are not there yet
    else fresh.later();
}

follow(moves, { execution: (run) => run.workflow === workflow && later(), deleted: later, back: () => fresh.later() });
setInterval(() => document.hidden || fresh.later(), QUIET_MS);
