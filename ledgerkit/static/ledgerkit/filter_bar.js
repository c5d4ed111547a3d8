/* The filters above a list. shortcuts.js closes their menus. Without scripts they are a plain form, whose empty fields the server removes from the address. */
const form = document.querySelector("form.filter-bar");
const menus = () => [...(form?.querySelectorAll("details.filter-menu") ?? [])];

/* Send only the fields that are filled in. */
function leaveOutEmpty() {
    for (const field of form.elements) if (field.name && !field.value) field.disabled = true;
    setTimeout(() => [...form.elements].forEach((field) => (field.disabled = false))); // the page may come back
}

/* Name what is chosen in the head of a menu, before it is applied. */
function showChosen(menu) {
    const chosen = [...menu.querySelectorAll(".filter-options input:checked")].map((box) => {
        const label = box.closest("label");
        return Object.assign(document.createElement("span"), { className: "chosen", textContent: label.title || label.textContent.trim() });
    });
    for (const old of menu.querySelectorAll("summary .chosen")) old.remove();
    menu.querySelector("summary .nothing-chosen").before(...chosen);
}

/* A value is taken in or left out, not both. */
function untickOpposite(box) {
    if (!box.checked) return;
    for (const other of box.closest("li").querySelectorAll("input:checked")) if (other !== box) other.checked = false;
}

/* Move the panel of an open menu to the left if the window ends before it. */
function keepInWindow(menu) {
    const panel = menu.querySelector("fieldset");
    panel.style.insetInlineStart = "";
    const beyond = panel.getBoundingClientRect().right - document.documentElement.clientWidth;
    if (beyond > 0) panel.style.insetInlineStart = `${-beyond}px`;
}

function opened(menu) {
    keepInWindow(menu);
    menu.querySelector('input[type="search"]')?.focus();
}

/* A page that the browser kept comes back with what was chosen for the page after it. */
function returned(event) {
    if (!event.persisted) return;
    form.reset();
    menus().forEach(showChosen);
}

if (form) {
    form.addEventListener("submit", leaveOutEmpty);
    addEventListener("pageshow", returned);
    form.addEventListener("change", (event) => {
        if (!event.target.matches(".filter-options input")) return;
        untickOpposite(event.target);
        showChosen(event.target.closest("details"));
    });
    for (const menu of menus()) menu.addEventListener("toggle", () => menu.open && opened(menu));
}
