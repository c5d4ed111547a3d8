// Parts of a page made anew: what is marked data-live is taken out of the page as the server makes it now. A part under
// the pointer stays until the pointer has gone; focus, folds and scroll positions are kept.

import { asked, isOver } from "./lost.js";

const LEAST_MS = 3_000;
const MOST_MS = 20_000; // also after an answer that was waited for while the server was away
const JITTER_MS = 1_000;

// Requests the page at most every three seconds, and less often where the server is slow: `later()` schedules it. `gone` is
// called where the answer is 404.
export class Freshener {
    constructor({ skipped = () => false, gone = () => {} } = {}) {
        this.skipped = skipped;
        this.gone = gone;
        this.pause = LEAST_MS;
        this.done = performance.now();
    }

    later() {
        if (isOver()) return;
        if (this.isAsking) return void (this.isWanted = true); // the answer on its way may not know of it
        this.timer ??= setTimeout(() => this.#now(), Math.max(0, this.done + this.pause - performance.now()) + JITTER_MS * Math.random());
    }

    async #now() {
        this.isAsking = true;
        const began = performance.now();
        const address = location.href;
        try {
            const answer = await asked(address, this, { headers: { Accept: "text/html" } });
            if (answer.status === 404) this.gone();
            const isSame = answer.ok && !answer.redirected && address === location.href; // another node may be chosen by now
            if (isSame) put(new DOMParser().parseFromString(await answer.text(), "text/html"), this.skipped);
        } catch {
            // lost.js says so; asked again at the next event
        }
        this.done = performance.now();
        this.pause = Math.min(MOST_MS, Math.max(LEAST_MS, 10 * (this.done - began)));
        this.timer = undefined;
        this.isAsking = false;
        if (!this.isWanted) return;
        this.isWanted = false;
        this.later();
    }
}

function put(page, skipped) {
    for (const old of document.querySelectorAll("[data-live]")) {
        const fresh = page.querySelector(`[data-live="${old.dataset.live}"]`);
        if (!fresh || isFilledIn(old) || skipped(old) || old.innerHTML === fresh.innerHTML) continue;
        whenLeft(old, () => swap(old, fresh));
    }
}

const isFilledIn = (part) => [...part.querySelectorAll('input[type="text"]')].some((input) => input.value || input === document.activeElement);

const waiting = new WeakMap();

function whenLeft(part, work) {
    if (!part.matches(":hover") || !matchMedia("(hover: hover)").matches) return work();
    if (!waiting.has(part)) {
        part.addEventListener("pointerleave", () => {
            waiting.get(part)();
            waiting.delete(part);
        }, { once: true });
    }
    waiting.set(part, work);
}

function swap(old, fresh) {
    if (!old.isConnected) return;
    const focused = old.contains(document.activeElement) ? same(document.activeElement) : null;
    const folds = [...old.querySelectorAll("details")].map((each) => each.open);
    const scrolled = frames(old).map((each) => [each.scrollLeft, each.scrollTop]);
    const chosen = [...old.querySelectorAll('a[aria-current]')].map(same);
    fresh.querySelectorAll("details").forEach((each, index) => { each.open = folds[index] ?? each.open; });
    old.replaceChildren(...fresh.childNodes);
    frames(old).forEach((each, index) => { [each.scrollLeft, each.scrollTop] = scrolled[index] ?? [0, 0]; });
    for (const find of chosen) find && old.querySelector(find)?.setAttribute("aria-current", "true");
    document.dispatchEvent(new CustomEvent("renewed", { detail: old }));
    if (focused) old.querySelector(focused)?.focus({ preventScroll: true });
}

const frames = (part) => [...part.querySelectorAll(".graph-scroll, .grid-scroll, .timeline-scroll, .nodes-scroll, .results")];

// How to find the same element in the new part.
function same(element) {
    if (element.id) return `#${CSS.escape(element.id)}`;
    return element.hasAttribute("href") ? `[href="${CSS.escape(element.getAttribute("href"))}"]` : null;
}
