/* Update the durations of running rows each second: every <time class="clock"> has its start as datetime; #clocks has the
   texts and the server's time. They stop while the page is disconnected. Without scripts a page shows them as of its load. */

import { isDisconnected } from "./connection_notice.js";

const texts = JSON.parse(document.getElementById("clocks")?.textContent ?? "null");

function fill(format, values) {
    return format.replace(/%\((\w+)\)d/g, (_, name) => values[name]);
}

function formatDuration(seconds) {
    const [minutes, hours, days] = [60, 3600, 86400].map(size => Math.floor(seconds / size));
    if (days) return fill(texts.days, {days, hours: hours % 24});
    if (hours) return fill(texts.hours, {hours, minutes: minutes % 60});
    if (minutes) return fill(texts.minutes, {minutes, seconds: seconds % 60});
    return fill(texts.seconds, {seconds});
}

function tick(ahead) {
    if (isDisconnected()) return;
    const now = Date.now() + ahead;
    for (const clock of document.querySelectorAll("time.clock")) {
        const text = formatDuration(Math.max(0, Math.floor((now - Date.parse(clock.dateTime)) / 1000)));
        if (clock.textContent !== text) clock.textContent = text;
    }
}

if (texts) {
    const ahead = Date.parse(texts.now) - Date.now();
    tick(ahead);
    setInterval(tick, 1000, ahead);
}
