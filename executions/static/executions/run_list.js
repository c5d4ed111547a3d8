/* Live updates of the list of runs. Changed rows are fetched from the list itself (the same address with part=rows), so
   that they match its filters. Rows that are shown are updated in place; new ones wait behind a button, or are inserted at
   once while nobody works in the table: nothing moves under a pointer. Without scripts the list changes on reload. */
import { follow } from "./event_stream.js";
import { watchedFetch, isOver } from "./connection_notice.js";

const RETRY_MS = 10_000; // after a failure
const QUIET_MS = 60_000; // without events: relative times get old
const DEBOUNCE_MS = 1_000;
const MOST = 300; // rows; the oldest are removed as new ones are inserted
const UUID = /[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}/;

const news = document.getElementById("list-news");
const form = document.getElementById("changelist-form");
const table = () => document.getElementById("result_list");
const body = () => table()?.tBodies[0];

const idOf = (row) => UUID.exec(row.querySelector("th a[href]")?.getAttribute("href") ?? "")?.[0];
const rowsOf = (of) => new Map([...(of?.rows ?? [])].map((row) => [idOf(row), row]).filter(([id]) => id));

let waiting = []; // rows that are new, the newest first
let timer = null;
let isUnderWay = false;
let isSoon = false; // a request follows within DEBOUNCE_MS
let isWanted = false; // an event came during a request

/* --- requests ------------------------------------------------------------------------------------------------------ */
function refreshIn(milliseconds) {
    clearTimeout(timer);
    if (!document.hidden && !isOver()) timer = setTimeout(refresh, milliseconds);
}

async function refresh() {
    if (isUnderWay || isOver()) return;
    [isUnderWay, isSoon, isWanted] = [true, false, false];
    let next = RETRY_MS; // connection_notice.js shows the failure
    try {
        applyRows(await fetchRows());
        showNotice();
        next = QUIET_MS;
    } catch {} finally {
        isUnderWay = false;
        refreshIn(isWanted ? DEBOUNCE_MS : next);
    }
}

async function fetchRows() {
    const address = new URL(location.href);
    address.searchParams.set("part", "rows");
    const response = await watchedFetch(address, "list", { headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) throw new Error(`${response.status}`);
    return new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#result_list tbody");
}

/* --- rows ----------------------------------------------------------------------------------------------- */
function applyRows(fresh) {
    const [shown, now] = [rowsOf(body()), rowsOf(fresh)];
    for (const [id, row] of shown) {
        if (now.has(id)) updateRow(row, now.get(id));
        mark(row, hasLeft(id, now));
    }
    const newest = shown.keys().next().value ?? "";
    waiting = [...now].filter(([id]) => !shown.has(id) && id > newest).map(([, row]) => document.importNode(row, true));
    if (waiting.length && isAtRest()) insertWaiting();
}

/* Cell by cell, except the checkbox, which holds a selection. A link with the focus stays, with its new text. */
function updateRow(row, now) {
    [...row.cells].forEach((cell, place) => {
        const fresh = now.cells[place];
        if (cell.matches(".action-checkbox") || !fresh || comparableHtml(cell) === comparableHtml(fresh)) return;
        const focused = cell.contains(document.activeElement) ? document.activeElement : null;
        if (!focused) cell.innerHTML = fresh.innerHTML;
        else if (focused.matches("a")) replaceText(focused, fresh.querySelector("a"));
    });
}

function replaceText(link, fresh) {
    if (fresh) link.replaceChildren(...document.importNode(fresh, true).childNodes);
}

/* A running duration is no change, nor is our own mark. */
function comparableHtml(cell) {
    const copy = cell.cloneNode(true);
    for (const clock of copy.querySelectorAll("time.clock")) clock.textContent = "";
    copy.querySelector(".has-left")?.remove();
    return copy.innerHTML;
}

/* Return whether the row no longer matches the filters: ids are in the order of time, and older rows are only on the next page. */
function hasLeft(id, now) {
    const oldest = [...now.keys()].at(-1);
    return !now.has(id) && (oldest === undefined ? false : id > oldest);
}

function mark(row, isGone) {
    const mark = row.querySelector(".has-left");
    if (isGone === Boolean(mark)) return;
    if (mark) mark.remove();
    else row.querySelector(".field-state")?.append(Object.assign(document.createElement("span"), { className: "has-left quiet", textContent: news.dataset.left }));
}

/* Return whether the table has neither pointer, focus nor selection, and its first row is in sight. */
function isAtRest() {
    const of = table();
    if (!of || scrollY > 0) return false;
    return !of.matches(":hover") && !of.contains(document.activeElement) && !of.querySelector("input:checked");
}

function insertWaiting() {
    const fresh = waiting;
    waiting = [];
    if (!body()) return location.reload(); // the list was empty
    for (const row of fresh) row.classList.add("is-new");
    body().prepend(...fresh);
    for (const row of [...body().rows].slice(MOST)) if (!isHeld(row)) row.remove();
    count();
    return fresh[0];
}

const isHeld = (row) => row.contains(document.activeElement) || Boolean(row.querySelector("input:checked"));

/* Remove the row of a deleted run; where somebody works in the table, mark it instead. */
function removeRow(id) {
    waiting = waiting.filter((row) => idOf(row) !== id);
    const row = rowsOf(body()).get(id);
    if (row && isAtRest()) row.remove();
    else if (row) mark(row, true);
    count();
    showNotice();
}

/* --- notices --------------------------------------------------------------------------------------------------- */
function showNotice() {
    const number = waiting.length;
    const text = number && (number === 1 ? news.dataset.one : news.dataset.other).replace("%n", number);
    const button = news.querySelector("button");
    if (text && button.textContent !== text) button.textContent = text;
    button.hidden = !number;
}

/* The admin's own counter counts the rows of the first response. */
function count() {
    const counter = form.querySelector(".action-counter");
    const all = [...form.querySelectorAll("input.action-select")];
    if (!counter || !window.interpolate) return;
    const sel = all.filter((box) => box.checked).length;
    const text = ngettext("%(sel)s of %(cnt)s selected", "%(sel)s of %(cnt)s selected", sel);
    counter.textContent = interpolate(text, { sel, cnt: all.length }, true);
    const toggle = document.getElementById("action-toggle");
    if (toggle) toggle.checked = sel > 0 && sel === all.length;
}

function onToggle(event) {
    if (event.target.id === "action-toggle") {
        for (const box of form.querySelectorAll(".is-new input.action-select")) {
            box.checked = event.target.checked;
            box.closest("tr").classList.toggle("selected", box.checked);
        }
    }
    if (form.querySelector(".is-new")) setTimeout(count); // after the admin's own
}

/* Schedule a request; later events do not delay it. */
function refreshSoon() {
    if (isUnderWay) isWanted = true;
    else if (!isSoon) refreshIn(DEBOUNCE_MS);
    isSoon = true;
}

/* --- start ------------------------------------------------------------------------------------------------ */
if (news && form) {
    news.querySelector("button").addEventListener("click", () => {
        const first = insertWaiting();
        showNotice();
        first?.querySelector("th a")?.focus({ preventScroll: true });
        first?.scrollIntoView({ block: "nearest" });
    });
    form.addEventListener("click", onToggle);
    form.addEventListener("change", onToggle);
    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : refreshIn(0)));
    if (news.dataset.stream) {
        follow(news.dataset.stream, {
            execution: refreshSoon,
            deleted: ({ id }) => removeRow(id),
            back: () => refreshIn(0),
        });
    }
    refreshIn(QUIET_MS);
}
