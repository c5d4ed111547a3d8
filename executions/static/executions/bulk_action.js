// Refresh the page of a bulk action until it has ended.
import { PartialRefresh } from "./partial_refresh.js";

const refresh = new PartialRefresh({ gone: () => location.reload() });
const isOpen = () => !document.querySelector('[data-live="bulk"] [data-has-ended]');
const next = () => isOpen() && refresh.later();
setInterval(next, 1_000);
next();
