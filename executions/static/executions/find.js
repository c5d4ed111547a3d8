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
  form.addEventListener("submit", async (event) => {
    event.preventDefault(); // the page would begin at its top again
    clearTimeout(timer);
    if (!(await offer(form, ++newest, () => newest))) form.submit();
  });
}

// What was asked for before the newest question is not shown any more, whenever it comes. False without an answer.
async function offer(form, number, newest) {
  const query = new URLSearchParams(new FormData(form));
  const found = await filterOf(`${location.pathname}?${query}`);
  if (!found) return false;
  if (number !== newest()) return true;
  const filter = form.closest("details");
  for (const part of filter.querySelectorAll(PARTS)) part.remove();
  filter.append(...found.querySelectorAll(PARTS));
  return true;
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
