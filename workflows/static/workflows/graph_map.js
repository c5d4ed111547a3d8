// The map of a large graph: each box in its colour, and a frame around the part that is seen, which a pointer moves.

const SVG = "http://www.w3.org/2000/svg";
const BOX = { width: 188, height: 44 };

const watched = new ResizeObserver((entries) => { for (const { target } of entries) later(target.closest(".graph-frame")); });
const waiting = new Set();

const parts = (frame) => ({
    map: frame.querySelector(".graph-map"),
    scroll: frame.querySelector(".graph-scroll"),
    graph: frame.querySelector("svg.graph"),
});

function make(element, name, values = {}) {
    const made = document.createElementNS(SVG, element);
    made.setAttribute("class", name);
    for (const [key, value] of Object.entries(values)) made.setAttribute(key, value);
    return made;
}

function outlineOf(box) {
    const moved = box.hasAttribute("transform") ? box : box.querySelector("[transform]");
    const [x, y] = moved.getAttribute("transform").match(/\d+/g);
    return `M${x} ${y}h${BOX.width}v${BOX.height}h-${BOX.width}z`;
}

/* One path for all boxes of a colour: a browser computes a style for each element. */
function pathsOf(graph) {
    const outlines = new Map();
    for (const box of graph.querySelectorAll(".box")) {
        const name = `map-${box.getAttribute("class")}`;
        outlines.set(name, (outlines.get(name) ?? "") + outlineOf(box));
    }
    return [...outlines].map(([name, d]) => make("path", name, { d }));
}

function draw(frame) {
    const { map, scroll, graph } = parts(frame);
    map.replaceChildren(...pathsOf(graph), make("rect", "map-seen"));
    watched.observe(scroll);
    watched.observe(graph);
    later(frame);
}

// Return the scale of the drawing, and its corner in the frame that scrolls, in pixels.
function geometry({ scroll, graph }) {
    const [outer, inner] = [scroll.getBoundingClientRect(), graph.getBoundingClientRect()];
    const { width, height } = graph.viewBox.baseVal;
    return { width, height, scale: inner.width / width, left: inner.left - outer.left, top: inner.top - outer.top };
}

function showSeen(frame) {
    const found = parts(frame);
    const { width, height, scale, left, top } = geometry(found);
    if (!scale) return; // it is folded
    const [x, y] = [Math.max(0, -left / scale), Math.max(0, -top / scale)];
    const right = Math.min(width, (found.scroll.clientWidth - left) / scale);
    const bottom = Math.min(height, (found.scroll.clientHeight - top) / scale);
    const seen = { x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y) };
    for (const [key, value] of Object.entries(seen)) found.map.lastChild.setAttribute(key, value);
}

function later(frame) {
    if (!frame?.querySelector(".graph-map") || waiting.has(frame)) return;
    waiting.add(frame);
    requestAnimationFrame(() => {
        waiting.delete(frame);
        if (frame.isConnected) showSeen(frame);
    });
}

function moveTo(map, event) {
    const found = parts(map.closest(".graph-frame"));
    const { scale, left, top } = geometry(found);
    const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(map.getScreenCTM().inverse());
    found.scroll.scrollLeft += left + point.x * scale - found.scroll.clientWidth / 2;
    found.scroll.scrollTop += top + point.y * scale - found.scroll.clientHeight / 2;
}

function drawAll() {
    for (const map of document.querySelectorAll(".graph-map")) if (!map.firstChild) draw(map.closest(".graph-frame"));
}

document.addEventListener("scroll", (event) => { if (event.target.matches?.(".graph-scroll")) later(event.target.parentElement); }, true);
document.addEventListener("pointerdown", (event) => {
    const map = event.target.closest?.(".graph-map");
    if (!map || event.button) return;
    event.preventDefault();
    map.setPointerCapture(event.pointerId);
    moveTo(map, event);
});
document.addEventListener("pointermove", (event) => {
    const map = event.target.closest?.(".graph-map");
    if (map?.hasPointerCapture(event.pointerId)) moveTo(map, event);
});
document.addEventListener("renewed", drawAll);
drawAll();
