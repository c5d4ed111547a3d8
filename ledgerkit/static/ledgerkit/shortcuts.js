/* Keyboard shortcuts of a page. `bind(key, label, handler)` registers a single key; "?" lists all of the page's. Labels are
   translated by the template: `label` names a data attribute of _shortcuts.html, or is the text itself. Shortcuts are
   ignored while somebody types and while a menu is open, none of the browser's own combinations is used, and they can be
   turned off in the list (WCAG 2.1.4): a page without the list has none. */

const OFF = "pastetrader.keys";
const TYPED_INTO = 'textarea, select, [contenteditable]:not([contenteditable="false"]), input:not([type="checkbox"], [type="radio"], [type="button"], [type="submit"], [type="reset"])';
const MENUS = ":is(#header, .log-tools) details[open], details.filter-menu[open]";
const ROWS = "[data-row], #result_list > tbody > tr";
const SELECTED = "#result_list input.action-select";
const SEARCH = '[role="search"] input[type="text"], input[type="search"]:not(#nav-filter)';

const bound = new Map();
const dialog = document.getElementById("keys");

/* The last binding of a key counts. `handler` gets the event, whose default is prevented. */
export function bind(key, label, handler) {
    bound.set(key, { label: translated(label), handler });
}

function translated(label) {
    return dialog?.dataset[label] ?? label;
}

/* --- which key --------------------------------------------------------------------------------------------------- */
/* Return the key by its position where the layout writes no Latin: a Korean keyboard has "ㅓ" where "j" is. */
function keyOf(event) {
    if (event.key.length === 1 && event.key > "~" && event.code.startsWith("Key")) return event.code.slice(3).toLowerCase();
    return event.key;
}

function isOurs(event) {
    if (event.defaultPrevented || event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return false;
    return !document.querySelector(`dialog[open], ${MENUS}`) && !event.target.closest?.(TYPED_INTO);
}

document.addEventListener("keydown", (event) => {
    const binding = dialog && isOn() && isOurs(event) && bound.get(keyOf(event));
    if (!binding?.handler) return;
    event.preventDefault();
    binding.handler(event);
});

/* --- menus: Esc closes them, and so does a click beside them ------------------------------------------------------ */
document.addEventListener("keydown", (event) => { // after the keys of the page, which are ignored while a menu is open
    if (event.key !== "Escape" || event.isComposing || document.querySelector("dialog[open]")) return;
    const menu = event.target.closest?.(MENUS) ?? document.querySelector(MENUS);
    if (!menu) return;
    menu.open = false;
    menu.querySelector("summary").focus();
});

document.addEventListener("click", (event) => {
    for (const menu of document.querySelectorAll(MENUS)) if (!event.composedPath().includes(menu)) menu.open = false;
});

/* --- what every page has ----------------------------------------------------------------------------------------- */
const rows = () => [...document.querySelectorAll(ROWS)].filter((row) => row.checkVisibility() && target(row));
const target = (row) => row.matches("a[href], [tabindex]") ? row : row.querySelector("th a[href]") ?? row.querySelector("a[href]");

function move(step) {
    const all = rows();
    const here = all.findIndex((row) => row.contains(document.activeElement));
    const row = here < 0 ? all.find(isInSight) ?? all[0] : all[here + step];
    if (!row) return;
    target(row).focus({ preventScroll: true });
    row.scrollIntoView({ block: "nearest" });
}

function isInSight(row) {
    const { top, bottom } = row.getBoundingClientRect();
    return top >= 0 && bottom <= innerHeight;
}

/* A click, so that the admin's own script counts it. */
function select() {
    document.activeElement.closest("tr")?.querySelector(SELECTED)?.click();
}

function search() {
    const box = document.querySelector(SEARCH);
    box.focus();
    box.select();
}

bind("?", "help", show);
if (document.querySelector(SEARCH)) bind("/", "search", search);
if (document.querySelector(ROWS)) {
    bind("j", "next", () => move(1));
    bind("k", "previous", () => move(-1));
    bind("Enter", "open"); // the browser's own
}
if (document.querySelector(SELECTED)) bind("x", "select", select);

/* --- the list of them -------------------------------------------------------------------------------------------- */
function show() {
    dialog.querySelector("dl").replaceChildren(...[...bound].map(([key, { label }]) => describe(key, label)));
    dialog.querySelector("[data-switch]").checked = isOn();
    dialog.showModal();
}

function describe(key, label) {
    const [line, term, description] = ["div", "dt", "dd"].map((name) => document.createElement(name));
    term.append(Object.assign(document.createElement("kbd"), { textContent: key }));
    description.textContent = label;
    line.append(term, description);
    return line;
}

function isOn() {
    try {
        return localStorage.getItem(OFF) !== "off";
    } catch { // a browser without storage
        return true;
    }
}

function turn(on) {
    try {
        if (on) localStorage.removeItem(OFF);
        else localStorage.setItem(OFF, "off");
    } catch {} // as above: the switch shows the old state when the list is opened again
}

if (dialog) {
    dialog.querySelector("[data-switch]").addEventListener("change", (event) => turn(event.target.checked));
    dialog.addEventListener("click", (event) => event.target === dialog && dialog.close()); // beside it
    for (const hint of document.querySelectorAll("[data-keys]")) {
        hint.hidden = false;
        hint.addEventListener("click", show);
    }
}
