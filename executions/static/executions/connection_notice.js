/* One notice for all live pages that lost their connection; its texts are in _connection_notice.html. While it is shown,
   running durations stop; after a kind of OVER the page sends no more requests. */

const OVER = ["session", "refused", "gone"];
const KINDS = [...OVER, "server", "busy"]; // the most serious first
const NOTICE_MS = 3_000; // without a response, until the notice; with the silence before it less than 10 s, on a busy machine too
const TIMEOUT_MS = 30_000;
const STATUSES = { 400: "gone", 401: "session", 403: "refused", 404: "gone", 410: "gone" };

const notice = document.getElementById("lost");
const troubles = new Map(); // requester → kind of failure of its last request
const listeners = new Set();
let shown = null;

export const isDisconnected = () => shown !== null;
export const isOver = () => OVER.includes(shown);

/* Call `listener` once no more requests may be sent. */
export function onOver(listener) {
    listeners.add(listener);
}

function report(requester, kind) {
    troubles.set(requester, kind);
    show();
}

export function resolve(requester) {
    if (troubles.delete(requester)) show();
}

function show() {
    if (isOver()) return;
    const all = [...troubles.values()];
    shown = KINDS.find((kind) => all.includes(kind)) ?? null;
    for (const each of notice?.querySelectorAll("[data-lost]") ?? []) each.hidden = each.dataset.lost !== shown;
    if (isOver()) for (const listener of listeners) listener();
}

/* Return the response to a request of the page itself, whatever its status. A failure is shown until `requester` gets a
   better response. Rejects where there is no response. */
export async function watchedFetch(address, requester, options = {}) {
    const late = setTimeout(() => report(requester, "server"), NOTICE_MS);
    try {
        const response = await fetch(address, { cache: "no-store", signal: AbortSignal.timeout(TIMEOUT_MS), ...options });
        showFailure(response, requester);
        return response;
    } catch (error) {
        report(requester, "server");
        throw error;
    } finally {
        clearTimeout(late);
    }
}

function showFailure(response, requester) {
    const kind = failureOf(response);
    if (kind) report(requester, kind);
    else resolve(requester);
}

/* Show the page that says that a run was deleted. Where the page itself is still there, its notice says what is gone. */
export async function reloadIfGone() {
    const response = await fetch(location.href, { cache: "no-store" }).catch(() => null);
    if (response?.status === 404) location.reload();
}

/* Show the notice where the response to a click ends the page's connection; the caller shows any other failure. */
export function checkOver(response, requester) {
    const kind = failureOf(response);
    if (["session", "refused"].includes(kind)) report(requester, kind);
}

function failureOf(response) {
    if (response.redirected && new URL(response.url).pathname === notice?.dataset.login) return "session";
    return STATUSES[response.status] ?? (response.status === 429 || response.status >= 500 ? "busy" : null);
}
