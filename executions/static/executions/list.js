/* The list of runs, alive. What has changed is fetched as the list itself has it (the same address with part=rows), so
   that what appears fits its filters. The rows that are shown change in their places; new ones wait behind a button, or
   go in at once while nobody is at work in the table: nothing moves under a pointer. Without this, one reloads. */
import { follow } from "./live.js";
import { asked, isOver } from "./lost.js";

const RETRY_MS = 10_000; // after a failure
const QUIET_MS = 60_000; // while nothing moves: what is said of times gets old
const DEBOUNCE_MS = 1_000;
const MOST = 300; // rows that are kept; older ones go as new ones come
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
let isSoon = false; // it is to be asked within DEBOUNCE_MS
let isWanted = false; // something happened while an answer was awaited

/* --- asking ------------------------------------------------------------------------------------------------------ */
function later(milliseconds) {
    clearTimeout(timer);
    if (!document.hidden && !isOver()) timer = setTimeout(refresh, milliseconds);
}

async function refresh() {
    if (isUnderWay || isOver()) return;
    [isUnderWay, isSoon, isWanted] = [true, false, false];
    let next = RETRY_MS; // lost.js says what is wrong
    try {
        take(await fetched());
        tell();
        next = QUIET_MS;
    } catch {} finally {
        isUnderWay = false;
        later(isWanted ? DEBOUNCE_MS : next);
    }
}

async function fetched() {
    const address = new URL(location.href);
    address.searchParams.set("part", "rows");
    const response = await asked(address, "list", { headers: { Accept: "text/html" } });
    if (!response.ok || response.redirected) throw new Error(`${response.status}`);
    return new DOMParser().parseFromString(await response.text(), "text/html").querySelector("#result_list tbody");
}

/* --- what has come ----------------------------------------------------------------------------------------------- */
function take(fresh) {
    const [shown, now] = [rowsOf(body()), rowsOf(fresh)];
    for (const [id, row] of shown) {
        if (now.has(id)) renew(row, now.get(id));
        mark(row, hasLeft(id, now));
    }
    const newest = shown.keys().next().value ?? "";
    waiting = [...now].filter(([id]) => !shown.has(id) && id > newest).map(([, row]) => document.importNode(row, true));
    if (waiting.length && isAtRest()) put();
}

/* Cell by cell, but for the checkbox, which holds what one has chosen. A link that has the focus stays, with new words. */
function renew(row, now) {
    [...row.cells].forEach((cell, place) => {
        const fresh = now.cells[place];
        if (cell.matches(".action-checkbox") || !fresh || bare(cell) === bare(fresh)) return;
        const focused = cell.contains(document.activeElement) ? document.activeElement : null;
        if (!focused) cell.innerHTML = fresh.innerHTML;
        else if (focused.matches("a")) replaceWords(focused, fresh.querySelector("a"));
    });
}

function replaceWords(link, fresh) {
    if (fresh) link.replaceChildren(...document.importNode(fresh, true).childNodes);
}

/* What a clock shows by now is no change, nor is our own mark. */
function bare(cell) {
    const copy = cell.cloneNode(true);
    for (const clock of copy.querySelectorAll("time.clock")) clock.textContent = "";
    copy.querySelector(".has-left")?.remove();
    return copy.innerHTML;
}

/* It fits the filters no longer: ids are in the order of time, and older ones have only been pushed off the page. */
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

/* Nobody has a pointer, the focus or a choice in the table, and its start is in sight. */
function isAtRest() {
    const of = table();
    if (!of || scrollY > 0) return false;
    return !of.matches(":hover") && !of.contains(document.activeElement) && !of.querySelector("input:checked");
}

function put() {
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

/* Of a run that was deleted nothing is left to look at; where somebody is at work in the table it only says so. */
function drop(id) {
    waiting = waiting.filter((row) => idOf(row) !== id);
    const row = rowsOf(body()).get(id);
    if (row && isAtRest()) row.remove();
    else if (row) mark(row, true);
    count();
    tell();
}

/* --- saying so --------------------------------------------------------------------------------------------------- */
function tell() {
    const number = waiting.length;
    const text = number && (number === 1 ? news.dataset.one : news.dataset.other).replace("%n", number);
    const button = news.querySelector("button");
    if (text && button.textContent !== text) button.textContent = text;
    button.hidden = !number;
}

/* The admin's own counter knows the rows that were there when the page was made. */
function count() {
    const counter = form.querySelector(".action-counter");
    const all = [...form.querySelectorAll("input.action-select")];
    if (!counter || !window.interpolate) return;
    const sel = all.filter((box) => box.checked).length;
    const words = ngettext("%(sel)s of %(cnt)s selected", "%(sel)s of %(cnt)s selected", sel);
    counter.textContent = interpolate(words, { sel, cnt: all.length }, true);
    const toggle = document.getElementById("action-toggle");
    if (toggle) toggle.checked = sel > 0 && sel === all.length;
}

function toggled(event) {
    if (event.target.id === "action-toggle") {
        for (const box of form.querySelectorAll(".is-new input.action-select")) {
            box.checked = event.target.checked;
            box.closest("tr").classList.toggle("selected", box.checked);
        }
    }
    if (form.querySelector(".is-new")) setTimeout(count); // after the admin's own
}

/* Soon; what happens meanwhile does not put it off. */
function moved() {
    if (isUnderWay) isWanted = true;
    else if (!isSoon) later(DEBOUNCE_MS);
    isSoon = true;
}

/* --- from here on ------------------------------------------------------------------------------------------------ */
if (news && form) {
    news.querySelector("button").addEventListener("click", () => {
        const first = put();
        tell();
        first?.querySelector("th a")?.focus({ preventScroll: true });
        first?.scrollIntoView({ block: "nearest" });
    });
    form.addEventListener("click", toggled);
    form.addEventListener("change", toggled);
    document.addEventListener("visibilitychange", () => (document.hidden ? clearTimeout(timer) : later(0)));
    if (news.dataset.stream) {
        follow(news.dataset.stream, {
            execution: moved,
            deleted: ({ id }) => drop(id),
            back: () => later(0),
        });
    }
    later(QUIET_MS);
}
