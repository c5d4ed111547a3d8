// The state of a run in the head of a page, as its stream tells it: the sign, and how many nodes failed beside it.
export function showState({ sign }) {
    const head = document.querySelector(".ledger-head");
    const status = head?.querySelector(".status");
    if (!status) return;
    head.querySelector(".failed-nodes")?.remove();
    status.outerHTML = sign;
}
