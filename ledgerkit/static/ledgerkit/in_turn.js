/* Parts of a large page take turns, so that the browser's thread is never busy for long: each frame displays one more of
   those of class `in-turn`, in their order, so that nothing moves. This script runs before the page is read, and hides
   them; without it, on paper and in a tab that nobody looks at, all are there at once. So they are where the browser has
   a place to scroll to, and when a page takes long to come. */
"use strict";
{
    const LONGEST = 3000; // ms from the beginning
    const hidden = new CSSStyleSheet();
    const shown = new Set(); // names, so that a part stays when it is refreshed

    function hideOthers() {
        const others = shown.size ? `.in-turn:not(${[...shown].map((name) => `[data-turn="${name}"]`).join()})` : ".in-turn";
        // Chromium lays out what is in a hidden <g>, which may have gradients for others.
        hidden.replaceSync(`@media screen { ${others}:not(g), g${others} > * { display: none; } }`);
    }

    function showAll() {
        document.adoptedStyleSheets = document.adoptedStyleSheets.filter((each) => each !== hidden);
    }

    function next() {
        const part = [...document.querySelectorAll(".in-turn")].find((each) => !shown.has(each.dataset.turn));
        if (!part || performance.now() > LONGEST) {
            showAll();
            return;
        }
        shown.add(part.dataset.turn);
        hideOthers();
        requestAnimationFrame(next);
    }

    const [way] = performance.getEntriesByType("navigation");
    // The name has what is linked, also a text (#:~:text=), which `location` does not have.
    if (way?.type === "navigate" && !way.name.includes("#") && document.visibilityState === "visible") {
        hideOthers();
        document.adoptedStyleSheets.push(hidden);
        document.addEventListener("readystatechange", () => requestAnimationFrame(next), { once: true });
        setTimeout(showAll, LONGEST);
    }
}
