// Buttons that copy: the text in `data-copy`, the text of the element beside it with `data-copy-beside`, or with
// `data-copy-address` the address in the link that it names, as an absolute one; with `data-copy-link` the first link of
// its row.

const SHOWN_MS = 2_000;
const labels = new WeakMap(); // before they said that it is copied

function textOf(button) {
    if (button.dataset.copyLink !== undefined) return button.closest("[data-row]").querySelector("a").href;
    if (button.dataset.copyAddress !== undefined) return new URL(button.dataset.copyAddress || location.href, location.href).href;
    return button.dataset.copy ?? button.parentElement.querySelector(button.dataset.copyBeside).textContent;
}

// navigator.clipboard is missing where the site has no TLS.
async function copy(text) {
    if (navigator.clipboard) return navigator.clipboard.writeText(text);
    const box = Object.assign(document.createElement("textarea"), { value: text });
    document.body.append(box);
    box.select();
    document.execCommand("copy");
    box.remove();
}

// A button without a text has its name in aria-label.
document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy], button[data-copy-beside], button[data-copy-address], button[data-copy-link]");
    if (!button) return;
    event.preventDefault();
    const [label, name] = labels.get(button) ?? [button.textContent, button.ariaLabel];
    labels.set(button, [label, name]);
    await copy(textOf(button));
    button.textContent = button.closest("[data-copied]").dataset.copied;
    button.ariaLabel = null;
    setTimeout(() => { [button.textContent, button.ariaLabel] = [label, name]; }, SHOWN_MS);
});
