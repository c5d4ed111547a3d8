// The page of a workflow: g switches graph and grid, j, k, h, l and the arrows move among what is shown, Enter opens it.
// Without this both are shown, one below the other, and every square is a link that can be reached by the tab key.
import { bind } from "./keys.js";

const choices = [...document.querySelectorAll(".view-choice [data-view]")];
const sections = [...document.querySelectorAll(".workflow-view")];
const shown = () => sections.find((section) => section.classList.contains("is-chosen"));

/* --- which of the two ---------------------------------------------------------------------------------------------- */
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

function other() {
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

/* --- moving in it -------------------------------------------------------------------------------------------------- */
// Each line of the grid is a run of places, some of them empty; the boxes of the graph are one line, in their order.
const grid = document.querySelector(".grid");
const lines = [...(grid?.querySelectorAll("[data-line]") ?? [])].map((row) => [...row.cells].map((cell) => cell.querySelector("a")));
const boxes = [...document.querySelectorAll(".workflow-view .box")].sort(inOrder);

function inOrder(a, b) {
    const [first, second] = [a, b].map((box) => box.querySelector("g").transform.baseVal[0].matrix);
    return first.e - second.e || first.f - second.f;
}

const isGrid = () => shown()?.dataset.shown === "grid";
const current = () => shown()?.querySelector('.grid a[tabindex="0"], .box[tabindex="0"]');
const first = () => (isGrid() ? (lines[1] ?? lines[0])?.findLast(Boolean) : boxes[0]);

function focusOn(link) {
    if (!link) return;
    for (const before of link.closest("table, svg").querySelectorAll('a[tabindex="0"]')) before.tabIndex = -1;
    link.setAttribute("tabindex", "0");
    link.focus({ preventScroll: true });
    link.scrollIntoView({ block: "nearest", inline: "nearest" });
}

function placeOf(link) {
    const line = lines.findIndex((each) => each.includes(link));
    return [line, lines[line]?.indexOf(link)];
}

// The next one in that direction that is there: a run that never had the node is passed over.
function next(link, down, right) {
    let [line, column] = placeOf(link);
    do {
        line += down;
        column += right;
    } while (lines[line] && column in lines[line] && !lines[line][column]);
    return lines[line]?.[column];
}

function move(down, right) {
    const link = document.activeElement?.closest?.(".grid a, .box") ?? null;
    if (!link || !shown().contains(link)) focusOn(current() ?? first());
    else focusOn(isGrid() ? next(link, down, right) : boxes[boxes.indexOf(link) + (down || right)]);
}

if (choices.length) {
    bind("g", "graph", other);
    const { down, up, left, right } = document.querySelector(".view-choice").dataset;
    bind("j", down, () => move(1, 0));
    bind("k", up, () => move(-1, 0));
    bind("h", left, () => move(0, -1));
    bind("l", right, () => move(0, 1));
    bind("Enter", "open");
    // One stop for the tab key, and the rest by keys.
    for (const link of [...lines.flat().filter(Boolean), ...boxes]) link.setAttribute("tabindex", "-1");
    for (const name of ["grid", "graph"]) {
        const start = name === "grid" ? (lines[1] ?? lines[0])?.findLast(Boolean) : boxes[0];
        start?.setAttribute("tabindex", "0");
    }
    const arrows = { ArrowDown: [1, 0], ArrowUp: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] };
    document.getElementById("view").addEventListener("keydown", (event) => {
        if (!arrows[event.key] || !event.target.matches(".grid a, .box") || event.altKey || event.ctrlKey || event.metaKey) return;
        event.preventDefault();
        move(...arrows[event.key]);
    });
}

/* --- row and column of what is pointed at -------------------------------------------------------------------------- */
function light(target) {
    const cell = target.closest?.(".grid [data-line] > *");
    for (const lit of grid.querySelectorAll(".lit")) lit.classList.remove("lit");
    if (cell?.cellIndex) for (const row of grid.querySelectorAll("[data-line]")) row.cells[cell.cellIndex]?.classList.add("lit");
}

if (grid) {
    grid.addEventListener("pointerover", (event) => light(event.target));
    grid.addEventListener("pointerleave", () => light(document.activeElement));
    grid.addEventListener("focusin", (event) => light(event.target));
}
