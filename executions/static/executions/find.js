// While a name is typed, the filter offers the workflows that have it. Without scripts the form does the same.
const PAUSE_MS = 250;
const PARTS = ":scope > ul, :scope > p";

for (const form of document.querySelectorAll("form.filter-search")) {
  let timer = 0;
  let newest = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => offer(form, ++newest, () => newest), PAUSE_MS);
  });
}

// What was asked for before the newest question is not shown any more, whenever it comes.
async function offer(form, number, newest) {
  const query = new URLSearchParams(new FormData(form));
  const found = await filterOf(`${location.pathname}?${query}`);
  if (!found || number !== newest()) return;
  const filter = form.closest("details");
  for (const part of filter.querySelectorAll(PARTS)) part.remove();
  filter.append(...found.querySelectorAll(PARTS));
}

async function filterOf(address) {
  try {
    const answer = await fetch(address);
    if (!answer.ok || answer.redirected) return null;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    return page.querySelector("form.filter-search")?.closest("details");
  } catch {
    return null; // the button still asks
  }
}
