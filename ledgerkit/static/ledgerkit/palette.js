/* The palette: Ctrl-K (Cmd-K) searches everything, and lists recent pages, what can be done on this page, and the pages of
   the menu. The search itself is a page of its own, which works without scripts. Recent pages are kept in this browser alone,
   for one user: they go when that user logs out or another one comes.
   What can be done are the links and buttons of the page with data-act: to choose one is to press it, so that it asks and
   refuses as always. */
const dialog = document.getElementById("palette");
const RECENT = "pastetrader.recent";
const MOST_RECENT = 8;
const MOST_SHOWN = 40;
const MOST_MATCHES = 8;
const PAUSE_MS = 200;

const input = dialog?.querySelector("input");
const list = dialog?.querySelector("[role=listbox]");
let chosen = -1;
let newest = 0;
let timer = 0;
const controls = new WeakMap(); // of the page, by their rows in the list
let starting = null; // what the search offers before a text is typed

/* --- pages that the browser knows ---------------------------------------------------------------------------------- */
function recentPages() {
    try {
        const found = JSON.parse(localStorage.getItem(RECENT) ?? "{}");
        const pages = found.user === dialog.dataset.user && Array.isArray(found.pages) ? found.pages : [];
        return pages.filter((each) => each.address?.startsWith("/"));
    } catch { // without storage, or with something else in it
        return [];
    }
}

function remember() {
    const address = location.pathname + location.search;
    const title = document.title.split(" | ")[0];
    const pages = [{ title, address }, ...recentPages().filter((each) => each.address !== address)];
    try {
        localStorage.setItem(RECENT, JSON.stringify({ user: dialog.dataset.user, pages: pages.slice(0, MOST_RECENT + 1) }));
    } catch {} // as above
}

function forget() {
    try {
        localStorage.removeItem(RECENT);
    } catch {} // as above
}

function knownPages() {
    const { recent, page } = dialog.dataset;
    const pages = recentPages().filter((each) => each.address !== location.pathname + location.search).map((each) => ({ ...each, kind: recent }));
    const menu = [...document.querySelectorAll(".site-nav a")].map((link) => ({ kind: page, title: link.textContent.trim(), address: link.getAttribute("href") }));
    return { pages, menu: [...menu, ...(starting ?? [])] };
}

/* Those that are in a closed menu count too. */
function actsOfPage() {
    const acts = [...document.querySelectorAll("[data-act]")].filter((each) => !each.disabled && !each.hidden);
    return acts.map((control) => ({ kind: dialog.dataset.action, title: control.dataset.act || control.textContent.trim(), control }));
}

/* Return whether a title has each of the words. */
function matches({ title }, text) {
    const words = text.toLowerCase().split(/\s+/);
    return words.every((word) => title.toLowerCase().includes(word));
}

/* --- the list ------------------------------------------------------------------------------------------------------ */
function show(found, namesNothing = false) {
    list.replaceChildren(...found.map(option));
    choose(found.length ? 0 : -1);
    dialog.querySelector("[data-nothing=found]").hidden = found.length > 0;
    dialog.querySelector("[data-nothing=named]").hidden = !namesNothing;
}

function option({ kind, title, detail, address, control }, place) {
    const row = Object.assign(document.createElement("li"), { id: `palette-${place}` });
    row.setAttribute("role", "option");
    if (control) controls.set(row, control);
    else row.dataset.address = address;
    for (const [name, text] of [["find-kind", kind], ["find-title", title], ["quiet", detail ?? ""]]) {
        row.append(Object.assign(document.createElement("span"), { className: name, textContent: text }), " ");
    }
    return row;
}

function choose(place) {
    const options = [...list.children];
    chosen = options.length ? (place + options.length) % options.length : -1;
    options.forEach((row, number) => row.setAttribute("aria-selected", String(number === chosen)));
    if (chosen < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", options[chosen].id);
    options[chosen]?.scrollIntoView({ block: "nearest" });
}

/* Only this site's own addresses are opened. */
function open(row) {
    if (!row) return;
    if (controls.has(row)) return press(controls.get(row));
    const address = new URL(row.dataset.address, location.href);
    if (address?.origin === location.origin) location.assign(address);
}

function press(control) {
    dialog.close();
    control.click();
}

/* --- the search ---------------------------------------------------------------------------------------------------- */
async function search() {
    const number = ++newest;
    const text = input.value.trim();
    if (!text) return showStart();
    const { pages, menu } = knownPages();
    const acts = actsOfPage().filter((each) => matches(each, text));
    const known = [...pages, ...menu].filter((each) => matches(each, text)).slice(0, MOST_MATCHES);
    const { found, names_nothing: namesNothing } = await ask(text);
    const others = known.filter((each) => !each.address.startsWith(dialog.dataset.find)); // earlier searches are no names
    if (number === newest) show([...acts, ...found, ...known], namesNothing && acts.length + others.length === 0);
}

/* Recent pages are first: Enter alone does nothing to a run. */
function showStart() {
    const { pages, menu } = knownPages();
    show([...pages, ...menu.slice(0, 1), ...actsOfPage(), ...menu.slice(1)].slice(0, MOST_SHOWN));
}

async function ask(text) {
    const nothing = { found: [] }; // the pages that are known remain
    try {
        const response = await fetch(`${dialog.dataset.find}?${new URLSearchParams({ q: text, format: "json" })}`);
        return response.ok && !response.redirected ? await response.json() : nothing;
    } catch {
        return nothing;
    }
}

async function openPalette() {
    if (dialog.open) return dialog.close();
    input.value = "";
    showStart();
    dialog.showModal();
    input.focus();
    starting ??= (await ask("")).found;
    if (!input.value) showStart();
}

function onKey(event) {
    const steps = { ArrowDown: 1, ArrowUp: -1 };
    if (event.isComposing || !(event.key in steps || event.key === "Enter")) return;
    event.preventDefault();
    if (event.key === "Enter") open(list.children[chosen]);
    else choose(chosen + steps[event.key]);
}

if (dialog) {
    remember();
    document.getElementById("logout-form")?.addEventListener("submit", forget);
    document.addEventListener("keydown", (event) => {
        if (event.key.toLowerCase() !== "k" || !(event.ctrlKey || event.metaKey) || event.altKey || event.shiftKey) return;
        event.preventDefault();
        openPalette();
    });
    input.addEventListener("input", () => {
        clearTimeout(timer);
        timer = setTimeout(search, PAUSE_MS);
    });
    input.addEventListener("keydown", onKey);
    list.addEventListener("click", (event) => open(event.target.closest("[role=option]")));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
    for (const link of document.querySelectorAll("[data-palette]")) {
        link.addEventListener("click", (event) => {
            if (event.ctrlKey || event.metaKey || event.shiftKey) return; // a new tab
            event.preventDefault();
            openPalette();
        });
    }
}
