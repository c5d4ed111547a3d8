// Refresh parts of a page: elements marked data-live are replaced from a new response of the same address. A part under
// the pointer is replaced once the pointer has left it; focus, open details and scroll positions are kept.

import { watchedFetch, isOver } from "./connection_notice.js";

const LEAST_MS = 3_000;
const MOST_MS = 20_000; // also after a response that took long because the server was away
const JITTER_MS = 1_000;

// Requests the page at most every three seconds, and less often where the server is slow: `later()` schedules it, `soon()`
// does not wait. `gone` is called where the response is 404.
export class PartialRefresh {
    constructor({ skipped = () => false, gone = () => {} } = {}) {
        this.skipped = skipped;
        this.gone = gone;
        this.pause = LEAST_MS;
        this.done = performance.now();
    }

    later() {
        if (isOver()) return;
        if (this.isRequesting) return void (this.isWanted = true); // the response under way may be older than this event
        this.timer ??= setTimeout(() => this.#now(), Math.max(0, this.done + this.pause - performance.now()) + JITTER_MS * Math.random());
    }

    // For a change that parts of the page contradict until they are replaced.
    soon() {
        clearTimeout(this.timer);
        this.timer = undefined;
        if (this.isRequesting) this.isUrgent = true;
        else if (!isOver()) this.#now();
    }

    async #now() {
        this.isRequesting = true;
        const began = performance.now();
        const address = location.href;
        try {
            const response = await watchedFetch(address, this, { headers: { Accept: "text/html" } });
            if (response.status === 404) this.gone();
            const isSame = response.ok && !response.redirected && address === location.href; // another node may be selected by now
            if (isSame) replaceParts(new DOMParser().parseFromString(await response.text(), "text/html"), this.skipped);
        } catch {
            // connection_notice.js shows it; requested again at the next event
        }
        this.done = performance.now();
        this.pause = Math.min(MOST_MS, Math.max(LEAST_MS, 10 * (this.done - began)));
        this.timer = undefined;
        this.isRequesting = false;
        const [isUrgent, isWanted] = [this.isUrgent, this.isWanted];
        this.isUrgent = this.isWanted = false;
        if (isUrgent) this.soon();
        else if (isWanted) this.later();
    }
}

function replaceParts(page, skipped) {
    for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.querySelector(`[data-live="${old.dataset.live}"]`);
        if (!fresh || isFilledIn(old) || skipped(old) || old.innerHTML === fresh.innerHTML) continue;
        oncePointerLeft(old, () => replacePart(old, fresh));
    }
}

const isFilledIn = (part) =>
    [...part.querySelectorAll('input[type="text"], textarea')].some((input) => input.value !== input.defaultValue || input === document.activeElement);

const waiting = new WeakMap();

function oncePointerLeft(part, work) {
    if (!part.matches(":hover") || !matchMedia("(hover: hover)").matches) return work();
    if (!waiting.has(part)) {
        part.addEventListener("pointerleave", () => {
            waiting.get(part)();
            waiting.delete(part);
        }, { once: true });
    }
    waiting.set(part, work);
}

function replacePart(old, fresh) {
    if (!old.isConnected) return;
    const focused = old.contains(document.activeElement) ? selectorOf(document.activeElement) : null;
    const folds = [...old.querySelectorAll("details")].map((each) => each.open);
    const scrolled = frames(old).map((each) => [each.scrollLeft, each.scrollTop]);
    const chosen = fresh.querySelector("a[aria-current]") ? [] : [...old.querySelectorAll("a[aria-current]")].map(selectorOf);
    fresh.querySelectorAll("details").forEach((each, index) => { each.open = folds[index] ?? each.open; });
    old.replaceChildren(...fresh.childNodes);
    frames(old).forEach((each, index) => { [each.scrollLeft, each.scrollTop] = scrolled[index] ?? [0, 0]; });
    for (const find of chosen) find && old.querySelector(find)?.setAttribute("aria-current", "true");
    document.dispatchEvent(new CustomEvent("renewed", { detail: old }));
    if (focused) old.querySelector(focused)?.focus({ preventScroll: true });
}

const frames = (part) => [...part.querySelectorAll(".graph-scroll, .grid-scroll, .timeline-scroll, .nodes-scroll, .results")];

// Return a selector of the same element in the new part.
function selectorOf(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    return element.hasAttribute("href") ? `[href="${CSS.escape(element.getAttribute("href"))}"]` : null;
}
