// Show matching workflows in the filter while a name is typed: of those in the page where it offers all (`data-all`), else,
// and for a former name, by a request. Without scripts the form of the filters does the same.
const PAUSE_MS = 250;
const PARTS = ":scope > ul, :scope > p";

for (const search of document.querySelectorAll("#find-workflow")) {
  const input = search.querySelector("input");
  let timer = 0;
  let newest = 0;
  const show = () => isFoundInPage(search, input.value) || showMatches(search, ++newest, () => newest);
  const showNow = (event) => {
    event.preventDefault(); // the form would be sent
    clearTimeout(timer);
    show();
  };
  input.addEventListener("input", () => {
    clearTimeout(timer);
    if (!isFoundInPage(search, input.value)) timer = setTimeout(show, PAUSE_MS);
  });
  input.addEventListener("keydown", (event) => event.key === "Enter" && showNow(event));
  search.querySelector("button").addEventListener("click", showNow);
}

// Show those of the page that match or are chosen. Return whether all are in the page, and one of them matches.
function isFoundInPage(search, text) {
  if (!("all" in search.dataset)) return false;
  const part = plain(text);
  const options = [...search.closest("fieldset").querySelectorAll(".filter-options > li")];
  const found = options.filter((each) => plain(each.querySelector("label").textContent).includes(part));
  for (const each of options) each.hidden = !found.includes(each) && !each.querySelector(":checked");
  return found.length > 0;
}

const plain = (text) => text.normalize("NFC").toLowerCase().trim();

// Replace the filter's choices. A response that is older than the newest request is dropped.
async function showMatches(search, number, newest) {
  const query = new URLSearchParams([...new FormData(search.closest("form"))].filter(([, value]) => value));
  const found = await filterOf(`${location.pathname}?${query}`);
  if (!found || number !== newest()) return;
  delete search.dataset.all; // from now on the page has those that were found
  const filter = search.closest("fieldset");
  for (const part of filter.querySelectorAll(PARTS)) part.remove();
  filter.append(...found.querySelectorAll(PARTS));
}

async function filterOf(address) {
  try {
    const response = await fetch(address);
    if (!response.ok) return null;
    const page = new DOMParser().parseFromString(await response.text(), "text/html");
    return page.querySelector("#find-workflow")?.closest("fieldset");
  } catch {
    return null; // the button still sends the form where scripts fail
  }
}
