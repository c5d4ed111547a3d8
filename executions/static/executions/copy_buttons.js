// Buttons that copy: the text in `data-copy`, the text of the element beside it with `data-copy-beside`, or with
// `data-copy-address` the address in the link that it names, as an absolute one.

const SHOWN_MS = 2_000;

function textOf(button) {
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

document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy], button[data-copy-beside], button[data-copy-address]");
    if (!button) return;
    event.preventDefault();
    const label = button.dataset.label ?? button.textContent;
    button.dataset.label = label;
    await copy(textOf(button));
    button.textContent = button.dataset.copied;
    setTimeout(() => { button.textContent = label; }, SHOWN_MS);
});
