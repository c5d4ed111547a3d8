// Live updates of the page of a workflow: its parts are refreshed soon after an event of its runs, and each minute.
import { follow } from "./event_stream.js";
import { PartialRefresh } from "./partial_refresh.js";

const QUIET_MS = 60_000;
const { stream, workflow, isEmpty } = document.getElementById("workflow-live").dataset;
const fresh = new PartialRefresh();

function later() {
    if (document.hidden) return;
    if (isEmpty) location.reload(); // its first run brings parts that are not there yet
    else fresh.later();
}

follow(stream, { execution: (run) => run.workflow === workflow && later(), deleted: later, back: () => fresh.later() });
setInterval(() => document.hidden || fresh.later(), QUIET_MS);
