// Live updates of the page of a run: statuses are changed in place, log lines are added, other parts are refreshed.
import { follow } from "./event_stream.js";
import { reloadIfGone } from "./connection_notice.js";
import { PartialRefresh } from "./partial_refresh.js";
import { showState } from "./run_status.js";

const LINES = 1_000;
const STATUS = /\bstatus-\w+/;
const live = document.getElementById("live");
const announcement = live.querySelector("[data-announcement]");
const table = () => document.querySelector('[data-live="log"] .ledger-log tbody');
const fresh = new PartialRefresh({ skipped: (part) => part.dataset.live === "log" && table(), gone: () => location.reload() });

function paint(element, { status }) {
    if (!element) return;
    element.setAttribute("class", element.getAttribute("class").replace(STATUS, `status-${status}`));
    element.querySelector("use")?.setAttribute("href", `#${element.localName === "a" ? "box" : "icon"}-${status}`);
}

function node(data) {
    paint(document.querySelector(`a.box[href^="?node=${CSS.escape(data.id)}"]`), data);
    const status = document.querySelector(`#node-${CSS.escape(data.id)} .status`);
    paint(status, data);
    if (status) status.lastChild.textContent = data.word;
    paint(document.querySelector(`.lane[href^="?node=${CSS.escape(data.id)}"]`), data);
    fresh.later();
}

function execution(data) {
    showState(data);
    if (announcement.dataset.status === data.status) return fresh.later();
    announcement.textContent = data.announcement;
    announcement.dataset.status = data.status;
    fresh.soon(); // the duration and the buttons are those of the status before
}

function logs(data) {
    const body = table();
    if (!body) return fresh.later();
    if (data.left_out) body.replaceChildren(); // the table shows the newest lines, and those before them are not here
    const rows = Object.assign(document.createElement("template"), { innerHTML: data.html }).content;
    for (const row of rows.querySelectorAll("tr[id]")) if (!document.getElementById(row.id)) body.append(row);
    while (body.rows.length > LINES) body.rows[0].remove();
}

follow(live.dataset.stream, {
    node,
    execution,
    logs,
    end: () => fresh.later(),
    gone: reloadIfGone,
    back: () => fresh.later(),
});
