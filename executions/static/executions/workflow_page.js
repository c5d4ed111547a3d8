// The page of a workflow: g switches graph and grid, j, k, h, l and the arrows move among what is shown, Enter opens it.
// Without scripts both are shown, one below the other, and every square is a link that the tab key reaches.
import { bind } from "../ledgerkit/shortcuts.js";

const choices = [...document.querySelectorAll(".view-choice [data-view]")];
const sections = [...document.querySelectorAll(".workflow-view")];
const shown = () => sections.find((section) => section.classList.contains("is-chosen"));

/* --- graph or grid ---------------------------------------------------------------------------------------------- */
function choose(name) {
    for (const section of sections) section.classList.toggle("is-chosen", section.dataset.shown === name);
    for (const choice of choices) {
        if (choice.dataset.view === name) choice.setAttribute("aria-current", "true");
        else choice.removeAttribute("aria-current");
    }
    const address = new URL(location);
    address.searchParams.set("view", name);
    address.hash = "";
    history.replaceState({}, "", address);
    document.dispatchEvent(new CustomEvent("shown", { detail: name }));
}

function switchView() {
    const to = choices.find((choice) => !choice.hasAttribute("aria-current"));
    choose(to.dataset.view);
    to.closest(".view-choice").scrollIntoView({ block: "nearest" });
    focusOn(current() ?? first());
}

for (const choice of choices) {
    choice.addEventListener("click", (event) => {
        if (event.button || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
        event.preventDefault();
        choose(choice.dataset.view);
    });
}

/* --- keyboard -------------------------------------------------------------------------------------------------- */
// Each row of the grid is a list of cells, some of them empty; the boxes of the graph are one list, in their order.
// They are queried each time, because parts of the page are refreshed.
const view = document.getElementById("view");
const lines = () => [...(view?.querySelectorAll(".grid [data-line]") ?? [])].map((row) => [...row.cells].map((cell) => cell.querySelector("a")));
const boxes = () => [...(view?.querySelectorAll(".workflow-view .box") ?? [])].sort(inOrder);

function inOrder(a, b) {
    const [first, second] = [a, b].map((box) => box.querySelector("g").transform.baseVal[0].matrix);
    return first.e - second.e || first.f - second.f;
}

const isGrid = () => shown()?.dataset.shown === "grid";
const current = () => shown()?.querySelector('.grid a[tabindex="0"], .box[tabindex="0"]');
const firstOf = { grid: () => (lines()[1] ?? lines()[0])?.findLast(Boolean), graph: () => boxes()[0] };
const first = () => firstOf[isGrid() ? "grid" : "graph"]();

function focusOn(link) {
    if (!link) return;
    for (const before of link.closest("table, svg").querySelectorAll('a[tabindex="0"]')) before.tabIndex = -1;
    link.setAttribute("tabindex", "0");
    link.focus({ preventScroll: true });
    link.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function placeOf(all, link) {
    const line = all.findIndex((each) => each.includes(link));
    return [line, all[line]?.indexOf(link)];
}

// Return the next cell in that direction; a run that never had the node is skipped.
function nextCell(link, down, right) {
    const all = lines();
    let [line, column] = placeOf(all, link);
    do {
        line += down;
        column += right;
    } while (all[line] && column in all[line] && !all[line][column]);
    return all[line]?.[column];
}

function move(down, right) {
    const link = document.activeElement?.closest?.(".grid a, .box") ?? null;
    if (!link || !shown().contains(link)) focusOn(current() ?? first());
    else focusOn(isGrid() ? nextCell(link, down, right) : boxes()[boxes().indexOf(link) + (down || right)]);
}

/* One element takes the tab key; the other keys reach the rest. */
function setTabStops() {
    for (const link of [...lines().flat().filter(Boolean), ...boxes()]) link.setAttribute("tabindex", "-1");
    for (const start of Object.values(firstOf)) start()?.setAttribute("tabindex", "0");
}

if (choices.length) {
    const { down, up, left, right, other: switchLabel } = document.querySelector(".view-choice").dataset;
    bind("g", switchLabel, switchView);
    bind("j", down, () => move(1, 0));
    bind("k", up, () => move(-1, 0));
    bind("h", left, () => move(0, -1));
    bind("l", right, () => move(0, 1));
    bind("Enter", "open");
    setTabStops();
    document.addEventListener("renewed", setTabStops);
    const arrows = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    view.addEventListener("keydown", (event) => {
        if (!arrows[event.key] || !event.target.matches(".grid a, .box") || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        move(...arrows[event.key]);
    });
}

/* --- row and column under the pointer -------------------------------------------------------------------------- */
function highlightColumn(target) {
    const cell = target.closest?.(".grid [data-line] > *");
    for (const lit of view.querySelectorAll(".lit")) lit.classList.remove("lit");
    if (cell?.cellIndex) for (const row of view.querySelectorAll(".grid [data-line]")) row.cells[cell.cellIndex]?.classList.add("lit");
}

if (view) {
    view.addEventListener("pointerover", (event) => highlightColumn(event.target));
    view.addEventListener("pointerleave", () => highlightColumn(document.activeElement));
    view.addEventListener("focusin", (event) => highlightColumn(event.target));
}
