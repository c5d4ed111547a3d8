// The page of a run: a selected node is shown beside the graph without a reload. Every link works without scripts too.
import { bind } from "../ledgerkit/shortcuts.js";

const view = document.querySelector(".run-view");
const aside = view?.querySelector(".run-aside");
let latest = 0;

async function fetchPart(name, query) {
    const address = new URL(location.pathname, location.origin);
    address.search = new URLSearchParams({ ...query, part: name });
    const response = await fetch(address, { cache: "no-store", headers: { Accept: "text/html" } }); // not older than the page
    if (!response.ok || response.redirected) throw new Error(`${response.status}`);
    return response.text();
}

// Links to a node, and the box of a folded fan-out that has it.
const to = (node) => `[href="?node=${CSS.escape(node)}#node"], [data-executions~="${CSS.escape(node)}"]`;
const nodeOf = (link) => link.getAttribute("href").slice("?node=".length, -"#node".length);

function mark(node) {
    for (const link of document.querySelectorAll('[href^="?node="][aria-current], .box[aria-current]')) link.removeAttribute("aria-current");
    if (!node) return;
    for (const link of document.querySelectorAll(to(node))) link.setAttribute("aria-current", "true");
}

async function showNode(node) {
    const turn = ++latest;
    mark(node);
    if (!node) {
        aside.replaceChildren();
        return;
    }
    aside.setAttribute("aria-busy", "true");
    try {
        const html = await fetchPart("panel", { node });
        if (turn === latest) aside.innerHTML = html.trim() && html; // :empty where there is no panel
    } catch {
        if (turn === latest) location.reload(); // the address names the node already
    } finally {
        aside.removeAttribute("aria-busy");
    }
}

function selectNode(node) {
    const query = new URLSearchParams(location.search);
    if (node) query.set("node", node);
    else query.delete("node");
    const open = view.querySelector("#graph")?.dataset.open;
    if (open !== undefined && !query.has("open")) query.set("open", (shownOpen = open)); // the graph stays as it is
    history.pushState({}, "", query.size ? `?${query}` : location.pathname);
    return showNode(node);
}

async function choose(link) {
    await selectNode(nodeOf(link));
    for (const frame of view.querySelectorAll(".graph-scroll, .timeline-scroll")) {
        const other = !frame.contains(link) && frame.querySelector(to(nodeOf(link)));
        if (other) centre(frame, other);
    }
    const panel = aside.querySelector(".node-panel");
    panel?.focus({ preventScroll: true });
    panel?.scrollIntoView({ block: matchMedia("(min-width: 1100px)").matches ? "nearest" : "start" });
}

function close() {
    const node = new URLSearchParams(location.search).get("node");
    selectNode(null);
    if (node) view.querySelector(to(node))?.focus({ preventScroll: true });
}

async function compare(holder) {
    try {
        holder.outerHTML = await fetchPart("comparison", { compare: "1" });
    } catch {
        location.assign("?compare=1#compare");
    }
}

// Return what the address opens, or null where that depends on its node.
function openOf(address) {
    const query = new URL(address, location.href).searchParams;
    return query.get("open") ?? (query.has("node") ? null : "");
}

let shownOpen = openOf(location.href);

// Replace the graph by that of the address, which opens or folds fan-outs.
async function showGraph(address) {
    const query = Object.fromEntries(new URL(address, location.href).searchParams);
    const html = await fetchPart("graph", query);
    shownOpen = openOf(address);
    view.querySelector("#graph").outerHTML = html;
    document.dispatchEvent(new CustomEvent("renewed", { detail: view }));
}

// Return the present address with these fan-outs opened.
function withOpen(open, hash = "") {
    const address = new URL(location.href);
    address.searchParams.set("open", open);
    address.hash = hash;
    return address;
}

// Only `open` is taken from the link: a node may have been selected since the server wrote it.
async function toggleFanOut(link) {
    const [open, key] = [openOf(link.getAttribute("href")), link.dataset.fanOut];
    try {
        await showGraph(withOpen(open));
    } catch {
        location.assign(withOpen(open, "graph"));
        return;
    }
    history.pushState({}, "", withOpen(open));
    mark(new URLSearchParams(location.search).get("node"));
    const frame = view.querySelector(".graph-scroll");
    const box = frame.querySelector(`a[data-fan-out="${CSS.escape(key)}"]`);
    if (box) centre(frame, box);
    (box ?? view.querySelector(`[data-fan-out="${CSS.escape(key)}"]`) ?? frame).focus({ preventScroll: true });
}

/* From the graph to the table of the same nodes, and back. */
function switchView() {
    const [graph, table] = [view.querySelector(".graph-scroll"), document.querySelector(".nodes-scroll")];
    const to = !graph || (table && !table.contains(document.activeElement)) ? table : graph;
    to.closest("details").open = true;
    (to === table ? to.querySelector("th a") : to).focus({ preventScroll: true });
    to.scrollIntoView({ block: "start" });
}

function centre(frame, box) {
    const [outer, inner] = [frame.getBoundingClientRect(), box.getBoundingClientRect()];
    frame.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
    frame.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
}

if (view) {
    document.addEventListener("click", (event) => {
        if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        const link = event.target.closest('[href^="?node="], [data-close], [data-compare], [data-fan-out]');
        if (!link) return;
        event.preventDefault();
        if (link.hasAttribute("data-fan-out")) toggleFanOut(link);
        else if (link.hasAttribute("data-compare")) compare(link.closest(".comparison"));
        else if (link.hasAttribute("data-close")) close();
        else choose(link);
    });
    document.addEventListener("keydown", (event) => {
        if (event.key === "Escape" && aside.querySelector(".node-panel")) close();
    });
    document.querySelector("#compare > details")?.addEventListener("toggle", (event) => {
        const link = event.target.querySelector("[data-compare]");
        if (event.target.open && link) compare(link.closest(".comparison"));
    });
    if (document.querySelector(".graph-scroll, .nodes-scroll")) bind("g", view.dataset.otherKey, switchView);
    // A large graph opens at the node that matters.
    const shortcut = document.querySelector("[data-focus]");
    const box = shortcut && document.getElementById(shortcut.hash.slice(1));
    const frame = view.querySelector(".graph-scroll");
    const first = box ?? frame?.querySelector(".box");
    if (first) centre(frame, first);
    document.addEventListener("click", (event) => {
        const link = event.target.closest("[data-focus]");
        const target = link && document.getElementById(link.hash.slice(1));
        if (!target) return;
        event.preventDefault();
        centre(view.querySelector(".graph-scroll"), target);
        target.focus({ preventScroll: true });
    });
    addEventListener("popstate", () => {
        showNode(new URLSearchParams(location.search).get("node"));
        if (openOf(location.href) !== shownOpen) showGraph(location.href).catch(() => location.reload());
    });
    mark(new URLSearchParams(location.search).get("node"));
    aside.querySelector(".node-panel")?.focus({ preventScroll: true });
}
