/* Lets the durations of what is running tick. Each stands in a <time class="clock"> whose datetime is the start; the
   words, and the server's time, in #clocks. They stand still while the page is lost. Without this, a page shows them as they were when it was made. */

import { isLost } from "./lost.js";

const words = JSON.parse(document.getElementById("clocks")?.textContent ?? "null");

function filled(format, values) {
    return format.replace(/%\((\w+)\)d/g, (_, name) => values[name]);
}

export function human(seconds) {
    const [minutes, hours, days] = [60, 3600, 86400].map(size => Math.floor(seconds / size));
    if (days) return filled(words.days, {days, hours: hours % 24});
    if (hours) return filled(words.hours, {hours, minutes: minutes % 60});
    if (minutes) return filled(words.minutes, {minutes, seconds: seconds % 60});
    return filled(words.seconds, {seconds});
}

function tick(ahead) {
    if (isLost()) return;
    const now = Date.now() + ahead;
    for (const clock of document.querySelectorAll("time.clock")) {
        const text = human(Math.max(0, Math.floor((now - Date.parse(clock.dateTime)) / 1000)));
        if (clock.textContent !== text) clock.textContent = text;
    }
}

if (words) {
    const ahead = Date.parse(words.now) - Date.now();
    tick(ahead);
    setInterval(tick, 1000, ahead);
}
