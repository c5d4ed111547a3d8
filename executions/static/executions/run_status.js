// Show the status of a run in the head of a page, as its stream sends it: the badge, and how many nodes failed.
export function showState({ badge }) {
    const head = document.querySelector(".ledger-head");
    const status = head?.querySelector(".status");
    if (!status) return;
    head.querySelector(".failed-nodes")?.remove();
    status.outerHTML = badge;
}
