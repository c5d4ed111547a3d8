// Show matching workflows in the filter while a name is typed. Without scripts the form does the same.
const PAUSE_MS = 250;
const PARTS = ":scope > ul, :scope > p";

for (const form of document.querySelectorAll("form.filter-search")) {
  let timer = 0;
  let newest = 0;
  form.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => showMatches(form, ++newest, () => newest), PAUSE_MS);
  });
  form.addEventListener("submit", async (event) => {
    event.preventDefault(); // the page would scroll to its top
    clearTimeout(timer);
    if (!(await showMatches(form, ++newest, () => newest))) form.submit();
  });
}

// Replace the filter's choices. A response that is older than the newest request is dropped. Returns false without a response.
async function showMatches(form, number, newest) {
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
    const response = await fetch(address);
    if (!response.ok || response.redirected) return null;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return page.querySelector("form.filter-search")?.closest("details");
  } catch {
    return null; // the button still submits the form
  }
}
