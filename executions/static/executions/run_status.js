// Show the status in the title and the icon of the tab.
function showInTab(status) {
    const name = /status-(\w+)/.exec(status.className)?.[1];
    const icon = document.getElementById("status-icon");
    if (!name || !icon) return;
    icon.href = icon.dataset[name];
    document.title = document.title.replace(/^\S+/, icon.dataset[`sign${name}`] ?? "");
}

// Show the status of a run in the head of a page, as its stream sends it: the badge, and how many nodes failed.
export function showState({ badge }) {
    const head = document.querySelector(".ledger-head");
    const status = head?.querySelector(".status");
    if (!status) return;
    head.querySelector(".failed-nodes")?.remove();
    status.outerHTML = badge;
    showInTab(head.querySelector(".status"));
}
