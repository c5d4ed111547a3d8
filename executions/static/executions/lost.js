/* What an open page says once it is no longer told what happens: one notice for all live pages, whose sentences stand in
   _lost.html. While one of them is shown the clocks stand still; after one of OVER nothing is asked any more. */

const OVER = ["session", "refused", "gone"];
const KINDS = [...OVER, "server", "busy"]; // the gravest first
const PATIENCE_MS = 3_000; // for an answer, until the page says that it waits for one; with the silence before it less than 10 s, on a busy machine too
const GIVEN_UP_MS = 30_000;
const STATUSES = { 400: "gone", 401: "session", 403: "refused", 404: "gone", 410: "gone" };

const notice = document.getElementById("lost");
const troubles = new Map(); // of each that asks: what is wrong with its last answer
const listeners = new Set();
let shown = null;

export const isLost = () => shown !== null;
export const isOver = () => OVER.includes(shown);

/* Calls `listener` once nothing is to be asked any more. */
export function whenOver(listener) {
    listeners.add(listener);
}

export function lose(asker, kind) {
    troubles.set(asker, kind);
    show();
}

export function found(asker) {
    if (troubles.delete(asker)) show();
}

function show() {
    if (isOver()) return;
    const all = [...troubles.values()];
    shown = KINDS.find((kind) => all.includes(kind)) ?? null;
    for (const each of notice?.querySelectorAll("[data-lost]") ?? []) each.hidden = each.dataset.lost !== shown;
    if (isOver()) for (const listener of listeners) listener();
}

/* The answer to a question of the page itself, whatever its status. What is wrong with it is shown until `asker` gets a
   better one. Rejects where there is no answer. */
export async function asked(address, asker, options = {}) {
    const late = setTimeout(() => lose(asker, "server"), PATIENCE_MS);
    try {
        const answer = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(GIVEN_UP_MS), ...options });
        judge(answer, asker);
        return answer;
    } catch (error) {
        lose(asker, "server");
        throw error;
    } finally {
        clearTimeout(late);
    }
}

function judge(answer, asker) {
    const kind = verdict(answer);
    if (kind) lose(asker, kind);
    else found(asker);
}

/* Says so where an answer to somebody's click shows that it is over with the page; any other failure is theirs to tell. */
export function checkOver(answer, asker) {
    const kind = verdict(answer);
    if (["session", "refused"].includes(kind)) lose(asker, kind);
}

function verdict(answer) {
    if (answer.redirected && new URL(answer.url).pathname === notice?.dataset.login) return "session";
    return STATUSES[answer.status] ?? (answer.status === 429 || answer.status >= 500 ? "busy" : null);
}
