/* The log of a run: any number of lines under one scrollbar, shortcuts, and new lines from the run's stream. Without
   scripts the page is lines, links and a form, rendered by the server in the same way. */

import { bind } from "../ledgerkit/shortcuts.js";
import { LogList } from "./virtual_log.js";
import { follow } from "./event_stream.js";
import { Tail } from "./log_tail.js";
import { checkOver, reloadIfGone } from "./connection_notice.js";
import { showState } from "./run_status.js";

const scroller = document.getElementById("log");
const read = (id) => JSON.parse(document.getElementById(id)?.textContent ?? "null");
const words = read("log-words");
const index = read("log-index");
const form = document.getElementById("log-form");
const number = new Intl.NumberFormat(document.documentElement.lang || undefined);
const parameters = new URLSearchParams(location.search);
const FOUND = 25; // matches of one chunk, where only they and the lines around them are shown
const TIMES = ["absolute", "relative", "start"];

const onlyMatches = Boolean(index?.matches) && parameters.get("context") !== "all";
const around = Number(parameters.get("context") ?? 3);
const status = document.getElementById("log-status");
let [match, error, current] = [-1, -1, null];

export const counted = (forms, count) => forms[count === 1 ? 0 : 1].replace("%(count)s", number.format(count));
export const filled = (form, values) => form.replace(/%\((\w+)\)s/g, (_, name) => number.format(values[name]));
export const announce = (text) => (status.textContent = text);

/* --- requests ------------------------------------------------------------------------------- */
function query(more) {
    const all = new URLSearchParams(parameters);
    for (const name of ["at", "after", "before", "context", "wrap"]) all.delete(name);
    for (const [name, value] of Object.entries(more)) if (value != null) all.set(name, value);
    all.set("fragment", "1");
    return all;
}

async function get(address, more, signal) {
    const response = await fetch(`${address}?${query(more)}`, { cache: "no-store", signal, headers: { Accept: "text/html" } }); // from no replica: it may lack lines of this page
    checkOver(response, "log");
    if (response.status === 404) reloadIfGone();
    if (!response.ok || response.redirected) throw new Error(`${response.status}`);
    return response;
}

export const lines = async (more, signal) => (await get(scroller.dataset.lines, more, signal)).text();
const where = async (more) => (await get(scroller.dataset.index, more)).json();

/* --- chunks ---------------------------------------------------------------------------------------------------- */
const askLines = (chunk, signal) => lines({ mark: chunk.mark, until: list.chunks[chunk.number + 1]?.mark }, signal);
const askMatches = (chunk, signal) => lines({ places: chunk.places.map((each) => each.join("-")).join(","), mark: chunk.mark, base: chunk.base, skip: chunk.skip }, signal);

function everyLine({ marks, size, count }) {
    return marks.map((mark, at) => {
        const rows = Math.min(size, count - at * size);
        return { number: at, first: at * size, count: rows, rows, mark };
    });
}

/* Return the positions of `matches` and of the lines around them, as ranges. */
function ranges(matches, count) {
    const found = [];
    for (const place of matches) {
        const [start, end] = [Math.max(0, place - around), Math.min(count - 1, place + around)];
        if (found.length && start <= found.at(-1)[1] + 1) found.at(-1)[1] = end;
        else found.push([start, end]);
    }
    return found;
}

function foundLines({ matches, marks, size, count }) {
    const chunks = [];
    let skip = 0; // the first position that has not been shown yet
    for (let at = 0; at < matches.length; at += FOUND) {
        const places = ranges(matches.slice(at, at + FOUND), count).map(([start, end]) => [Math.max(start, skip), end]).filter(([start, end]) => start <= end);
        if (!places.length) continue;
        const mark = Math.floor(places[0][0] / size);
        const own = places.reduce((sum, [start, end]) => sum + end - start + 1, 0);
        const gaps = places.filter(([start], each) => start > (each ? places[each - 1][1] + 1 : skip)).length;
        chunks.push({ number: chunks.length, first: places[0][0], count: places.at(-1)[1] - places[0][0] + 1, rows: own + gaps, places, skip, mark: marks[mark], base: mark * size });
        skip = places.at(-1)[1] + 1;
    }
    return chunks;
}

const list = new LogList(scroller, onlyMatches ? askMatches : askLines, words);
list.drawn = (chunk) => { // a chunk that is rendered again
    const row = current && chunk.list.querySelector(`#${current}`);
    if (row) mark(row, true);
};

/* --- jumping to a line ------------------------------------------------------------------------------------- */
function setCurrent(row) {
    current = row?.id ?? null;
    for (const other of scroller.querySelectorAll(".is-requested")) mark(other, false);
    if (row) mark(row, true);
}

function mark(row, on) {
    row.classList.toggle("is-requested", on);
    if (on) row.setAttribute("aria-current", "true");
    else row.removeAttribute("aria-current");
}

async function jumpTo(place) {
    tail?.pause();
    const row = await list.show(place);
    setCurrent(row);
    return row;
}

/* Return the index of the first of `places` beyond the last jump, or else beyond the first line in sight. */
function nextIndex(places, last, step) {
    if (last >= 0 && places[last] !== undefined) return (last + step + places.length) % places.length;
    const here = list.placeOf(list.top());
    const beyond = places.findIndex((place) => place >= here);
    return step > 0 ? Math.max(0, beyond) : (beyond < 0 ? places.length : beyond) - 1 < 0 ? places.length - 1 : (beyond < 0 ? places.length : beyond) - 1;
}

function toMatch(step) {
    if (!index?.matches?.length) return;
    match = nextIndex(index.matches, match, step);
    document.querySelector("[data-match]").textContent = filled(words.match, { place: match + 1, count: index.matches.length });
    jumpTo(index.matches[match]);
}

/* Jump to the first error, whatever is in sight; with `isOn`, from the last jump to the next. */
function toError(isOn) {
    if (!index?.errors.length) return announce(words.noError);
    if (onlyMatches) return document.querySelector('[data-to="error"]')?.click();
    error = isOn && error >= 0 ? nextIndex(index.errors, error, 1) : 0;
    jumpTo(index.errors[error]);
}

/* --- display options ------------------------------------------------------------------------------------------ */
function storeOptions() {
    const now = new URLSearchParams(parameters);
    history.replaceState(history.state, "", `${now.size ? `?${now}` : location.pathname}${location.hash}`);
}

function setWrap(on) {
    const box = form.elements.wrap;
    box.checked = on;
    if (on) parameters.set("wrap", "1");
    else parameters.delete("wrap");
    storeOptions();
    list.keepingTop(() => scroller.classList.toggle("is-wrapped", on));
}

function setTimeMode(mode) {
    form.elements.time.value = mode;
    if (mode === TIMES[0]) parameters.delete("time");
    else parameters.set("time", mode);
    storeOptions();
    return list.refill();
}

async function expandLine(link) {
    const row = link.closest(".log-line");
    if (link.hasAttribute("data-long")) {
        link.setAttribute("aria-busy", "true");
        row.querySelector(".log-text").innerHTML = await lines({ whole: link.dataset.more });
        link.removeAttribute("data-long");
        link.removeAttribute("aria-busy");
        link.hidden = scroller.classList.contains("is-wrapped");
    }
    row.classList.toggle("is-open");
}

/* --- the page ------------------------------------------------------------------------------------------------------ */
const plain = (event) => !(event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey);

function onClick(event) {
    const link = event.target.closest(".log-time, [data-more], [data-to], [data-step]");
    if (!link || !plain(event)) return;
    const to = link.dataset.to;
    if (to === "error" && (onlyMatches || !index.errors.length)) return;
    if (to === "first" && onlyMatches) return;
    event.preventDefault();
    if (link.matches(".log-time")) permalink(link);
    else if (link.dataset.more) expandLine(link).catch(() => location.assign(link.href));
    else if (link.dataset.step) toMatch(Number(link.dataset.step));
    else if (to === "first") jumpTo(0).then(() => setCurrent(null));
    else if (to === "end") tail ? tail.resume() : list.show(list.count - 1, 0.9);
    else if (to === "error") toError(false);
}

function permalink(link) {
    const row = link.closest(".log-line");
    setCurrent(row);
    for (const name of ["after", "before"]) parameters.delete(name);
    parameters.set("at", row.id.slice("line-".length));
    history.replaceState(history.state, "", `?${parameters}#${row.id}`);
    announce(words.copied);
}

function bindKeys() {
    bind("/", words.search, () => { form.elements.q.focus(); form.elements.q.select(); });
    bind("n", words.next, () => toMatch(1));
    bind("N", words.previous, () => toMatch(-1));
    bind("e", words.error, () => toError(true));
    bind("w", words.wrap, () => setWrap(!form.elements.wrap.checked));
    bind("t", words.times, () => setTimeMode(TIMES[(TIMES.indexOf(form.elements.time.value) + 1) % TIMES.length]));
    if (tail) bind("f", words.follow, () => tail.toggle());
}

function bindForm() {
    form.elements.wrap.addEventListener("change", () => setWrap(form.elements.wrap.checked));
    form.elements.time.addEventListener("change", () => setTimeMode(form.elements.time.value));
    for (const each of form.querySelectorAll("[data-now]")) each.addEventListener("change", () => form.requestSubmit());
    form.addEventListener("submit", () => { // an address without empty fields
        for (const each of form.elements) if (each.name && (!each.value || (each.name === "time" && each.value === TIMES[0]) || (each.name === "context" && (!form.elements.q.value || each.value === "3")))) each.disabled = true;
    });
    addEventListener("pageshow", () => { for (const each of form.elements) each.disabled = false; });
}

/* Return the position of the line that the address names, if any. */
async function requestedPlace() {
    const hash = location.hash.startsWith("#line-") ? location.hash.slice("#line-".length) : null;
    if (hash && hash !== parameters.get("at")) return (await where({ at: hash }).catch(() => null))?.place ?? index.place;
    if (index.place == null && (parameters.get("at") === "end" || isLive())) return index.count - 1;
    return index.place;
}

const isLive = () => scroller.hasAttribute("data-active") && !onlyMatches && !index.more;
const hasTarget = () => ["at", "after", "before"].some((name) => parameters.has(name)) || location.hash.startsWith("#line-");

async function start() {
    const place = await requestedPlace();
    const chunks = onlyMatches ? foundLines(index) : everyLine(index);
    const first = scroller.querySelector(".log-lines");
    const seed = place == null && !onlyMatches && !scroller.hasAttribute("data-partial") && !hasTarget() && first?.children.length === chunks[0]?.count ? first : null;
    if (!seed && chunks.length) await list.warm(chunks, place ?? chunks[0].first).catch(() => {}); // each chunk shows its own failure
    list.build(chunks, seed);
    document.getElementById("content-main").classList.add("is-alive");
    fitHeight();
    addEventListener("resize", fitHeight); // not before: there are no lists yet
    if (hasTarget() && place != null) {
        const row = await list.show(place, parameters.get("at") === "end" ? 0.9 : 0.3);
        if (parameters.get("at") !== "end" && (parameters.has("at") || location.hash)) setCurrent(row);
    } else if (index.matches?.length) toMatch(1);
}

/* Set the height to the rest of the window. */
function fitHeight() {
    const top = scroller.getBoundingClientRect().top + scrollY;
    scroller.style.setProperty("--log-top", `${Math.round(Math.min(top, innerHeight / 2))}px`);
    list.setHeights();
}

const narrowing = ["level", "node", "attempt", "q", "time", "start"]; // filters that the stream does not apply
const page = { scroller, list, words, index, lines, where, everyLine, announce, counted, isPlain: () => !narrowing.some((name) => parameters.has(name)) };
let tail = null;
if (index && form) {
    if (isLive()) tail = new Tail(page);
    for (const each of document.querySelectorAll(".log-steps")) each.hidden = !index.matches?.length;
    document.addEventListener("click", onClick);
    bindForm();
    bindKeys();
    start().then(() => tail?.start(!hasTarget() && !index.matches));
} else if (!form && scroller?.querySelector("[data-silent]")) {
    // The log is empty: the first line reloads the page, and so does the end of the run.
    if (scroller.dataset.stream) follow(scroller.dataset.stream, { logs: () => location.reload(), end: () => location.reload(), execution: showState, gone: reloadIfGone });
}
