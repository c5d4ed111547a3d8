/* The end of a growing log. New lines come from the run's stream; scrolling up pauses following, and a button shows how
   many lines have come since. */
import { follow } from "./event_stream.js";
import { reloadIfGone } from "./connection_notice.js";
import { showState } from "./run_status.js";

const SOON = 1000; // ms: from an event to a request, where the view is filtered
const REORDER = 5000; // ms at least between two requests of the whole order
const REMEMBERED = 5000;

export class Tail {
    constructor(page) {
        Object.assign(this, page);
        Object.assign(this, { isFollowing: false, fresh: 0, known: new Set(), lastId: null, lastTime: "", ended: false });
        this.button = document.getElementById("log-follow");
        this.news = document.querySelector(".log-new button");
    }

    async start(follow) {
        this.button.closest("li").hidden = false;
        this.button.addEventListener("click", () => this.toggle());
        this.news.addEventListener("click", () => this.resume());
        this.scroller.addEventListener("scroll", () => this.#onScroll(), { passive: true });
        await this.list.fill(this.list.tail);
        this.#readTail();
        if (follow) this.resume();
        this.#connect();
        this.poll(); // lines between the page's response and the stream
    }

    toggle() {
        if (this.isFollowing) this.pause();
        else this.resume();
    }

    resume() {
        this.#setFollowing(!this.ended);
        this.fresh = 0;
        this.news.hidden = true;
        this.list.toEnd();
    }

    pause() {
        if (this.isFollowing) this.#setFollowing(false);
    }

    async poll() {
        if (this.polling || this.ended) return;
        this.polling = true;
        try {
            while (this.lastId) {
                const found = this.#append(await this.lines({ after: this.lastId }));
                if (found < 2 * this.index.size) break;
            }
        } catch {
            // requested again soon
        } finally {
            this.polling = false;
        }
    }

    #connect() {
        if (!this.scroller.dataset.stream) return;
        follow(this.scroller.dataset.stream, {
            logs: (data) => this.#onLogs(data),
            execution: showState,
            end: () => this.#onEnd(),
            again: () => this.#onRetry(),
            back: () => this.poll(),
            gone: reloadIfGone,
        });
    }

    #onLogs(data) {
        if (this.isPlain()) this.#append(data.html);
        else this.soon ??= setTimeout(() => { this.soon = null; this.poll(); }, SOON);
    }

    async #onEnd() {
        await this.poll();
        this.ended = true;
        this.#setFollowing(false);
        this.button.disabled = true;
        this.announce(this.words.ended);
    }

    /* The run was retried. */
    #onRetry() {
        this.ended = false;
        this.button.disabled = false;
        this.announce("");
    }

    /* Append lines; one that is older than the last is inserted where it belongs. Return how many. */
    #append(html) {
        const rows = [...Object.assign(document.createElement("template"), { innerHTML: html }).content.querySelectorAll(".log-line")];
        const fresh = rows.filter((row) => !this.known.has(row.id));
        for (const row of fresh) this.#add(row);
        if (!fresh.length) return rows.length;
        this.#showNew(fresh.length);
        return rows.length;
    }

    #add(row) {
        this.#remember(row.id);
        this.#count(row);
        const tail = this.list.tail;
        if (row.dataset.time < this.lastTime) return this.#insertEarlier(row);
        [this.lastId, this.lastTime] = [row.id.slice("line-".length), row.dataset.time];
        if (row.classList.contains("line-error")) this.index.errors.push(this.list.count);
        if (tail.count >= this.index.size) {
            this.list.add({ number: tail.number + 1, first: tail.first + tail.count, count: 0, rows: 0, mark: this.lastId });
            const added = this.list.tail;
            if (tail.isFull || this.isFollowing) { added.isFull = true; added.list.removeAttribute("aria-busy"); }
        }
        this.#addToChunk(this.list.tail, row, null);
    }

    #insertEarlier(row) {
        const tail = this.list.tail;
        const behind = tail.isFull && [...tail.list.children].find((each) => each.dataset.time > row.dataset.time);
        const isError = row.classList.contains("line-error"); // its position, and those of later errors, are in the index
        if (behind && behind !== tail.list.firstElementChild && !isError) this.#addToChunk(tail, row, behind);
        else this.reorder ??= setTimeout(() => this.#reorder(), REORDER);
    }

    #addToChunk(chunk, row, behind) {
        chunk.count += 1;
        chunk.rows += 1;
        this.list.kept.delete(chunk);
        if (chunk.isFull) {
            chunk.list.style.height = "";
            chunk.list.insertBefore(row, behind);
        } else chunk.list.style.height = `${chunk.rows * this.list.row}px`;
    }

    /* Request the order again: lines came that belong far above the end. */
    async #reorder() {
        const found = await this.where({}).catch(() => null);
        this.reorder = null;
        if (!found) return;
        const top = this.list.placeOf(this.list.top());
        Object.assign(this.index, found);
        this.list.build(this.everyLine(found));
        await this.list.fill(this.list.tail);
        this.#readTail();
        if (this.isFollowing) this.list.toEnd();
        else await this.list.show(top, 0);
        this.#showCounts();
    }

    #readTail() {
        const tail = this.list.tail;
        const rows = [...tail.list.querySelectorAll(".log-line")];
        const last = rows.at(-1);
        if (!last) return;
        for (const [at, row] of rows.entries()) {
            this.#remember(row.id);
            if (at < tail.count) continue;
            this.#count(row); // it came after the index was made
            if (row.classList.contains("line-error")) this.index.errors.push(tail.first + at);
        }
        Object.assign(tail, { count: rows.length, rows: rows.length });
        this.#showCounts();
        [this.lastId, this.lastTime] = [last.id.slice("line-".length), last.dataset.time];
    }

    #remember(id) {
        this.known.add(id);
        if (this.known.size > REMEMBERED) this.known.delete(this.known.values().next().value);
    }

    #showNew(count) {
        this.#showCounts();
        if (this.isFollowing) return this.list.toEnd();
        this.fresh += count;
        this.news.hidden = false;
        this.news.textContent = `↓ ${this.counted(this.words.new, this.fresh)}`;
    }

    /* Count an error or warning for the head of the page. */
    #count(row) {
        const level = ["error", "warning"].find((each) => row.classList.contains(`line-${each}`));
        if (level) this.index.counts[level] = (this.index.counts[level] ?? 0) + 1;
    }

    #showCounts() {
        const total = document.querySelector("[data-count]");
        if (total) total.textContent = this.counted(this.words.lines, this.list.count);
        for (const [level, count] of Object.entries(this.index.counts)) this.#showCount(level, count);
        document.querySelector("[data-if-error]")?.toggleAttribute("hidden", !this.index.counts.error);
    }

    #showCount(level, count) {
        const shown = document.querySelector(`[data-count-of="${level}"]`);
        if (!shown) return;
        shown.hidden = !count;
        shown.textContent = this.counted(this.words[`${level}s`], count);
    }

    /* Scrolling up pauses following. */
    #onScroll() {
        const at = this.scroller.scrollTop;
        if (this.isFollowing && at < (this.before ?? 0) - 2 && !this.list.isAtEnd) this.pause();
        this.before = at;
    }

    #setFollowing(on) {
        if (on === this.isFollowing) return;
        this.isFollowing = on;
        this.button.setAttribute("aria-pressed", String(on));
        if (!this.ended) this.announce(on ? this.words.following : this.words.paused);
    }
}
