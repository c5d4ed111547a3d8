// Tools above the graph of a run: zoom, fit, and the search of a node. The graph is dragged by its background. What was
// chosen stays when the graph is refreshed.

const STEP = 1.25;
const LEAST = 0.1;
const MOST = 4;
let zoom = null; // of the size that the server drew; null as long as nobody chose one

const frame = () => document.querySelector(".run-main .graph-scroll");

function sizeOf(svg) {
    const [, , width, height] = svg.getAttribute("viewBox").split(" ").map(Number);
    return { width, height };
}

function apply(next, around = frame()) {
    const svg = around?.querySelector("svg.graph");
    if (!svg) return;
    const { width, height } = sizeOf(svg);
    const before = svg.getBoundingClientRect().width;
    const middle = [(around.scrollLeft + around.clientWidth / 2) / before, (around.scrollTop + around.clientHeight / 2) / before];
    zoom = Math.min(MOST, Math.max(LEAST, next));
    svg.classList.remove("fits");
    svg.setAttribute("width", width * zoom);
    svg.setAttribute("height", height * zoom);
    const after = svg.getBoundingClientRect().width;
    around.scrollLeft = middle[0] * after - around.clientWidth / 2;
    around.scrollTop = middle[1] * after - around.clientHeight / 2;
}

function current() {
    const svg = frame().querySelector("svg.graph");
    return svg.getBoundingClientRect().width / sizeOf(svg).width;
}

function fit() {
    const { width, height } = sizeOf(frame().querySelector("svg.graph"));
    const room = parseFloat(getComputedStyle(frame()).maxHeight) || frame().clientHeight;
    apply(Math.min(1, frame().clientWidth / width, room / height));
}

function find(text) {
    const wanted = text.trim().toLocaleLowerCase();
    if (!wanted) return;
    const boxes = [...frame().querySelectorAll("a.box")];
    const name = (box) => `${box.getAttribute("aria-label")}\n${box.dataset.names ?? ""}`.toLocaleLowerCase();
    const start = boxes.indexOf(document.activeElement) + 1;
    const found = [...boxes.slice(start), ...boxes.slice(0, start)].find((box) => name(box).includes(wanted));
    if (!found) return;
    found.scrollIntoView({ block: "nearest", inline: "center" });
    found.focus({ preventScroll: true });
}

document.addEventListener("click", (event) => {
    const tool = event.target.closest?.("[data-graph-tool]")?.dataset.graphTool;
    if (tool === "closer") apply(current() * STEP);
    if (tool === "farther") apply(current() / STEP);
    if (tool === "fit") fit();
});

document.addEventListener("submit", (event) => {
    if (!event.target.matches(".graph-find")) return;
    event.preventDefault();
    find(event.target.elements.node.value);
});

document.addEventListener("pointerdown", (event) => {
    const around = event.target.closest?.(".run-main .graph-scroll");
    if (!around || event.button || event.pointerType !== "mouse" || event.target.closest("a")) return;
    const [x, y, left, top] = [event.clientX, event.clientY, around.scrollLeft, around.scrollTop];
    const drag = (move) => { [around.scrollLeft, around.scrollTop] = [left + x - move.clientX, top + y - move.clientY]; };
    document.addEventListener("pointermove", drag);
    document.addEventListener("pointerup", () => document.removeEventListener("pointermove", drag), { once: true });
});

document.addEventListener("renewed", () => { if (zoom !== null) apply(zoom); });
