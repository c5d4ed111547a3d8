// Suggest names of nodes in a filter while a part of one is typed. Without scripts the part is typed whole.
const PAUSE_MS = 200;

for (const input of document.querySelectorAll("input[data-suggest]")) {
  let timer = 0;
  let newest = 0;
  input.addEventListener("input", () => {
    clearTimeout(timer);
    const number = ++newest;
    timer = setTimeout(async () => {
      const names = await ask(input);
      if (number === newest) input.list.replaceChildren(...names.map((value) => Object.assign(document.createElement("option"), { value })));
    }, PAUSE_MS);
  });
}

async function ask(input) {
  try {
    const response = await fetch(`${input.dataset.suggest}?${new URLSearchParams({ q: input.value.trim() })}`);
    return response.ok && !response.redirected ? (await response.json()).names : [];
  } catch {
    return []; // nothing is suggested
  }
}
