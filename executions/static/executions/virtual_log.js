/* A list of any length of which only the part near the viewport is rendered. It is cut into chunks: each is an <ol> as
   high as its lines would be, filled as it comes near and emptied as it leaves. A chunk is requested by the id of its first
   line, so that lines which arrive elsewhere move nothing. */

const NEAR = "1200px 0px";
const KEPT = 40; // chunks whose HTML is remembered
const PATIENCE = 60; // ms: chunks that are scrolled past are not requested

export class LogList {
    /* `ask(chunk, signal)` returns the HTML of a chunk; `words` are the page's translated texts. */
    constructor(scroller, ask, words) {
        Object.assign(this, { scroller, ask, words, chunks: [], kept: new Map(), row: 0, drawn: () => {} });
        this.watch = new IntersectionObserver((entries) => entries.forEach((each) => this.#moved(each)), { root: scroller, rootMargin: NEAR });
    }

    /* Each chunk: {first, count, rows, ...what ask() needs}; `first` is the position of its first line, `rows` how many
       it shows. `seed` is an <ol> that the server filled, and is chunk `at`. */
    build(chunks, seed = null, at = 0) {
        this.watch.disconnect();
        this.row = this.#rowHeight();
        if (this.chunks !== chunks) this.kept.clear();
        this.chunks = chunks;
        chunks.forEach((chunk, number) => this.#make(chunk, seed && number === at ? seed : null));
        this.scroller.replaceChildren(...chunks.map((chunk) => chunk.list));
        this.setHeights();
        chunks.forEach((chunk) => this.watch.observe(chunk.list));
    }

    /* Load the chunks in sight before build(), so that the server's rows are replaced without a gap. */
    async warm(chunks, place) {
        this.kept.clear();
        this.chunks = chunks;
        const { number } = this.chunkOf(place);
        const near = chunks.slice(Math.max(0, number - 1), number + 2);
        await Promise.all(near.map(async (chunk) => this.#keep(chunk, await this.ask(chunk))));
    }

    add(chunk) {
        this.chunks.push(chunk);
        this.#make(chunk);
        this.scroller.append(chunk.list);
        this.#height(chunk);
        this.watch.observe(chunk.list);
    }

    get tail() {
        return this.chunks.at(-1);
    }

    get count() {
        return this.tail ? this.tail.first + this.tail.count : 0;
    }

    /* Bisect: chunks grow where late lines are inserted. */
    chunkOf(place) {
        let [low, high] = [0, this.chunks.length - 1];
        while (low < high) {
            const middle = (low + high + 1) >> 1;
            if (this.chunks[middle].first <= place) low = middle;
            else high = middle - 1;
        }
        return this.chunks[low];
    }

    rowAt(chunk, place) {
        return chunk.list.querySelector(`[data-place="${place}"]`) ?? chunk.list.children[place - chunk.first];
    }

    /* Scroll a line into sight and return its row. */
    async show(place, part = 0.3) {
        const chunk = this.chunkOf(place);
        if (!chunk) return null;
        const already = chunk.isFull && this.rowAt(chunk, place);
        if (!already) this.#scrollTo(chunk.list, part, Math.min(place - chunk.first, chunk.rows - 1) * this.row);
        await this.fill(chunk);
        const row = this.rowAt(chunk, place);
        if (row) this.#scrollTo(row, part);
        return row;
    }

    /* Scroll it to `part` of the scroller's height. */
    #scrollTo(element, part, offset = 0) {
        const from = this.scroller.getBoundingClientRect().top + this.scroller.clientHeight * part;
        this.scroller.scrollTop += element.getBoundingClientRect().top + offset - from;
    }

    toEnd() {
        this.scroller.scrollTop = this.scroller.scrollHeight;
    }

    get isAtEnd() {
        const { scrollTop, clientHeight, scrollHeight } = this.scroller;
        return scrollHeight - scrollTop - clientHeight < 2 * (this.row || 20);
    }

    /* Return the first row in sight. */
    top() {
        const edge = this.scroller.getBoundingClientRect().top;
        for (const chunk of this.chunks.filter((each) => each.isFull)) {
            if (chunk.list.getBoundingClientRect().bottom <= edge) continue;
            for (const row of chunk.list.children) if (row.getBoundingClientRect().bottom > edge + 1) return row;
        }
        return null;
    }

    placeOf(row) {
        if (!row) return 0;
        if (row.dataset.place) return Number(row.dataset.place);
        const chunk = row.parentElement.chunk;
        return chunk ? chunk.first + [...chunk.list.children].indexOf(row) : 0;
    }

    setHeights() {
        this.row = this.#rowHeight() || this.row;
        for (const chunk of this.chunks) this.#height(chunk);
    }

    /* Run `change`, after which rows have other heights, and keep the first row in sight where it is. */
    keepingTop(change) {
        const row = this.top();
        const before = row?.getBoundingClientRect().top;
        change();
        this.setHeights();
        if (row?.isConnected) this.scroller.scrollTop += row.getBoundingClientRect().top - before;
    }

    /* Request all lines again. */
    async refill() {
        this.kept.clear();
        const full = this.chunks.filter((chunk) => chunk.isFull);
        await Promise.all(full.map((chunk) => this.fill(chunk, true)));
    }

    async fill(chunk, anew = false) {
        if (chunk.isFull && !anew) return;
        chunk.filling ??= this.#fill(chunk).finally(() => (chunk.filling = null));
        await chunk.filling;
    }

    #make(chunk, list = null) {
        chunk.list = list ?? Object.assign(document.createElement("ol"), { className: "log-lines" });
        chunk.list.chunk = chunk;
        chunk.isFull = Boolean(list);
        if (!list) chunk.list.setAttribute("aria-busy", "true");
        else this.#number(chunk, list.children);
    }

    async #fill(chunk) {
        chunk.asking ??= new AbortController();
        try {
            const html = this.kept.get(chunk) ?? (await this.ask(chunk, chunk.asking.signal));
            this.#keep(chunk, html);
            this.#put(chunk, html);
        } catch (error) {
            if (error.name !== "AbortError") this.#failed(chunk);
        } finally {
            chunk.asking = null;
        }
    }

    #put(chunk, html) {
        const made = document.createElement("template");
        made.innerHTML = html;
        this.#number(chunk, made.content.children);
        chunk.list.style.height = "";
        chunk.list.removeAttribute("aria-busy");
        chunk.isFull = true;
        chunk.list.replaceChildren(made.content);
        this.drawn(chunk);
    }

    /* Set position and number of lines for screen readers. */
    #number(chunk, rows) {
        let place = chunk.first;
        const count = this.count || -1;
        for (const row of rows) {
            row.setAttribute("aria-setsize", count);
            row.setAttribute("aria-posinset", ++place);
        }
    }

    #keep(chunk, html) {
        this.kept.delete(chunk);
        this.kept.set(chunk, html);
        if (this.kept.size > KEPT) this.kept.delete(this.kept.keys().next().value);
    }

    #failed(chunk) {
        const [line, again] = [document.createElement("li"), document.createElement("button")];
        line.className = "log-failed";
        line.append(`${this.words.failed} `, again);
        Object.assign(again, { type: "button", className: "log-button", textContent: this.words.again });
        again.addEventListener("click", () => this.fill(chunk));
        chunk.list.removeAttribute("aria-busy");
        chunk.list.replaceChildren(line);
    }

    #moved({ target, isIntersecting }) {
        const chunk = target.chunk;
        clearTimeout(chunk.timer);
        if (isIntersecting && !chunk.isFull) {
            if (this.kept.has(chunk)) this.fill(chunk);
            else chunk.timer = setTimeout(() => this.fill(chunk), PATIENCE);
        } else if (!isIntersecting) {
            chunk.asking?.abort();
            this.#empty(chunk);
        }
    }

    #empty(chunk) {
        if (!chunk.isFull || chunk.list.contains(document.activeElement)) return;
        chunk.height = chunk.list.offsetHeight;
        chunk.isFull = false;
        chunk.list.setAttribute("aria-busy", "true");
        chunk.list.style.height = `${chunk.height}px`;
        chunk.list.replaceChildren();
    }

    #height(chunk) {
        if (!chunk.isFull) chunk.list.style.height = `${Math.round(chunk.rows * this.row)}px`;
    }

    /* Return the mean height of the rendered lines, in pixels. */
    #rowHeight() {
        const lists = [...this.scroller.querySelectorAll(".log-lines")].filter((list) => list.children.length);
        const rows = lists.reduce((sum, list) => sum + list.children.length, 0);
        return rows ? lists.reduce((sum, list) => sum + list.offsetHeight, 0) / rows : 0;
    }
}
