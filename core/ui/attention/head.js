// The head view: who looks on the left, who is looked at on the right, a line for each weight.
//
// Two canvases the size of the window on the list, not of the list: one holds the lines of all tokens, drawn
// strongest first and some thousands at a time; the other the lines of the token that is pointed at, drawn anew
// with each movement. The tokens' names are buttons, so that a keyboard and a screen reader find them.

const STRONGEST = 16000 // lines of all tokens that are drawn; the view says so when there are more
const ISOLATED = 1600 // lines of one token
const SLICE = 4000 // lines of all tokens between two breaths
const TOGETHER = 16 // lines of one look in one stroke: far quicker than one by one

class HeadView {
  constructor(app) {
    this.app = app
    this.hover = null // {side, index}
    this.root = el("div", "hv")
    this.titles = el("div", "hv-titles")
    this.left = el("span", "", app.labels.looks)
    this.right = el("span", "", app.labels.looked)
    this.titles.append(this.left, this.right)
    this.scroller = el("div", "hv-scroll")
    this.scroller.tabIndex = -1
    this.content = el("div", "hv-content")
    this.layers = el("div", "hv-canvases")
    this.base = el("canvas", "hv-base")
    this.over = el("canvas", "hv-over")
    for (const canvas of [this.base, this.over]) canvas.setAttribute("aria-hidden", "true")
    this.layers.append(this.base, this.over)
    this.lists = { row: this.list("row"), column: this.list("column") }
    this.content.append(this.layers, this.lists.row.node, this.lists.column.node)
    this.scroller.append(this.content)
    this.note = el("p", "note")
    this.root.append(this.titles, this.scroller, this.note)
    this.paintOver = everyFrame(() => this.drawOver())
    this.restart = everyFrame(() => this.drawBase())
    this.scroller.addEventListener("scroll", () => this.onScroll(), { passive: true })
    this.scroller.addEventListener("pointermove", (event) => this.onPointer(event), { passive: true })
    this.scroller.addEventListener("pointerleave", () => this.point(null))
    this.root.addEventListener("keydown", (event) => this.onKey(event))
    this.root.addEventListener("click", (event) => this.onClick(event))
    this.root.addEventListener("focusin", (event) => {
      const found = this.tokenOf(event.target)
      if (found && event.target.matches(":focus-visible")) this.point(found)
    })
    this.root.addEventListener("focusout", () => this.point(null))
  }

  list(side) {
    const node = el("div", `hv-list ${side}`)
    node.setAttribute("role", "listbox")
    node.setAttribute("aria-label", side === "row" ? this.app.labels.looks : this.app.labels.looked)
    return { node, cursor: 0, items: [] }
  }

  tokenOf(node) {
    const item = node.closest?.(".hv-token")
    return item ? { side: item.dataset.side, index: Number(item.dataset.i) } : null
  }

  // -------------------------------------------------------------- building

  build() {
    const { store } = this.app
    if (this.builtFor !== store) {
      this.builtFor = store
      this.hover = null
      this.ranked = null
      for (const side of ["row", "column"]) {
        const list = this.lists[side]
        const tokens = side === "row" ? store.rows : store.columns
        list.cursor = clamp(list.cursor, 0, tokens.length - 1)
        list.items = tokens.map(([, segment, special, , continues], index) => {
          const item = el("div", "hv-token", store.text(side, index))
          item.setAttribute("role", "option")
          item.dataset.side = side
          item.dataset.i = String(index)
          item.tabIndex = -1
          item.classList.toggle("special", special === 1)
          item.classList.toggle("continues", continues === 1)
          item.classList.toggle("second", segment === 1)
          item.dir = "auto"
          return item
        })
        list.node.replaceChildren(...list.items)
      }
      this.measureNames()
    }
    this.layout()
  }

  measureNames() {
    const context = this.over.getContext("2d")
    context.font = `400 15px ${this.app.theme.font}`
    let widest = 40
    for (const tokens of [this.builtFor.rows, this.builtFor.columns]) {
      for (const token of tokens) widest = Math.max(widest, context.measureText(visible(token[0])).width)
    }
    this.widest = Math.min(widest + 26, 210)
  }

  layout() {
    const { store } = this.app
    const most = Math.max(store.rows.length, store.columns.length)
    this.width = Math.max(this.scroller.clientWidth || this.app.width(), 200)
    this.step = most <= 24 ? 27 : 23
    this.total = most * this.step
    const tall = Math.max(320, Math.min(window.innerHeight * 0.72, 720))
    this.height = Math.min(this.total, tall)
    // The strips of weights beside the names of the tokens that are looked at.
    const active = this.app.state.heads.length
    this.cell = clamp(64 / active, this.width < 500 ? 4 : 6, 14)
    this.names = Math.min(this.widest + (active > 1 ? active * this.cell : 0), this.width * 0.31)
    this.scroller.style.height = `${this.height}px`
    this.content.style.height = `${this.total}px`
    this.content.style.setProperty("--step", `${this.step}px`)
    this.content.style.setProperty("--names", `${this.names}px`)
    this.x0 = this.names + 4
    this.x1 = this.width - this.names - 4
    this.shift = { row: (this.total - store.rows.length * this.step) / 2, column: (this.total - store.columns.length * this.step) / 2 }
    for (const side of ["row", "column"]) this.lists[side].node.style.top = `${this.shift[side]}px`
  }

  y(side, index) {
    return this.shift[side] + (index + 0.5) * this.step
  }

  update() {
    this.build()
    const { state } = this.app
    for (const side of ["row", "column"]) {
      const list = this.lists[side]
      const chosen = state[side]
      if (chosen !== null) list.cursor = chosen
      list.items.forEach((item, index) => {
        item.tabIndex = index === list.cursor ? 0 : -1
        item.setAttribute("aria-selected", String(chosen === index))
        item.classList.toggle("chosen", chosen === index)
      })
    }
    this.drawBase()
    this.drawOver()
  }

  // -------------------------------------------------------------- the lines

  /** Whether a pair passes the filter A→A, A→B …: the segments of both, or all. */
  passes() {
    const { store, state } = this.app
    if (!store.pairs || state.only === "all") return null
    const [from, to] = state.only === "aa" ? [0, 0] : state.only === "ab" ? [0, 1] : state.only === "ba" ? [1, 0] : [1, 1]
    return { from, to }
  }

  /** The strongest lines of the chosen heads, strongest first: {row, column, head, level}, and how many there are. */
  rank() {
    const { store, state } = this.app
    const levels = store.levels(state.layer)
    if (!levels) return null
    const signature = [store.id, state.layer, state.heads.join(), state.only].join(" ")
    if (this.ranked?.signature === signature) return this.ranked
    const [n, m] = [store.rows.length, store.columns.length]
    const pass = this.passes()
    const rowIn = store.rows.map((t) => !pass || t[1] === pass.from)
    const columnIn = Uint8Array.from(store.columns, (t) => (!pass || t[1] === pass.to ? 1 : 0))
    const counts = new Uint32Array(256)
    for (const head of state.heads) {
      for (let i = 0; i < n; i++) {
        if (!rowIn[i]) continue
        const at = (head * n + i) * m
        for (let j = 0; j < m; j++) if (columnIn[j]) counts[levels[at + j]]++
      }
    }
    // Levels from the threshold up fit whole; of the next one, as many as there is room for.
    let [threshold, kept, all] = [256, 0, 0]
    for (let level = 255; level >= 1; level--) {
      all += counts[level]
      if (threshold === level + 1 && kept + counts[level] <= STRONGEST) {
        threshold = level
        kept += counts[level]
      }
    }
    const next = new Uint32Array(256) // where the next line of each level goes
    for (let level = 255, place = 0; level >= Math.max(threshold - 1, 1); level--) {
      next[level] = place
      place += counts[level]
    }
    let spare = Math.min(STRONGEST - kept, all - kept)
    const size = kept + spare
    const row = new Uint16Array(size)
    const column = new Uint16Array(size)
    const headOf = new Uint8Array(size)
    const level = new Uint8Array(size)
    for (const head of state.heads) {
      for (let i = 0; i < n; i++) {
        if (!rowIn[i]) continue
        const at = (head * n + i) * m
        for (let j = 0; j < m; j++) {
          const l = levels[at + j]
          if (l < threshold - 1 || l === 0 || !columnIn[j]) continue
          if (l === threshold - 1) {
            if (spare === 0) continue
            spare--
          }
          const place = next[l]++
          row[place] = i
          column[place] = j
          headOf[place] = head
          level[place] = l
        }
      }
    }
    this.ranked = { signature, size, all, row, column, head: headOf, level }
    return this.ranked
  }

  /** Colour, dashes and place of a head among the chosen ones. */
  style(head) {
    return { colour: this.app.colour(head), dash: head >= this.app.theme.heads.length ? [4, 3] : null }
  }

  drawBase() {
    this.restart.cancel()
    clearTimeout(this.timer)
    this.layout()
    const context = fit(this.base, this.width, this.height)
    const lines = this.rank()
    this.app.waiting(lines === null)
    if (!lines) return
    const pen = new CanvasPen(context, this.app.theme)
    const { labels } = this.app
    this.note.textContent =
      lines.size < lines.all
        ? fill(labels.strongest, {
            n: this.app.count(lines.size),
            all: this.app.count(lines.all),
            weight: this.app.number(WEIGHT8[lines.level[lines.size - 1]], 3),
          })
        : fill(labels.all_lines, { n: this.app.count(lines.all) })
    let k = 0
    const goOn = () => {
      k = this.lines(pen, lines, this.scroller.scrollTop, this.height, k, SLICE)
      if (k < lines.size) this.timer = setTimeout(goOn, 0)
      else this.app.painted()
    }
    goOn()
  }

  /** Draws lines from the k-th on that cross the window, so many at most, and says which comes next. */
  lines(pen, lines, top, height, k = 0, most = Infinity) {
    const few = lines.size < 2500
    let ends = []
    let [head, level] = [-1, -1]
    const flush = () => {
      if (!ends.length) return
      const { colour, dash } = this.style(head)
      const strength = level / 255
      pen.curves(this.x0, this.x1, ends, colour, strength, few ? 1 + 1.8 * strength : 1, dash)
      ends = []
    }
    for (let drawn = 0; k < lines.size && drawn < most; k++) {
      const y0 = this.y("row", lines.row[k]) - top
      const y1 = this.y("column", lines.column[k]) - top
      if ((y0 < 0 && y1 < 0) || (y0 > height && y1 > height)) continue
      if (lines.head[k] !== head || lines.level[k] !== level || ends.length >= 2 * TOGETHER) {
        flush()
        head = lines.head[k]
        level = lines.level[k]
      }
      const shift = this.offset(head)
      ends.push(y0 + shift, y1 + shift)
      drawn++
    }
    flush()
    return k
  }

  /** Lines of several heads run side by side and not on top of one another. */
  offset(head) {
    const { heads } = this.app.state
    if (heads.length < 2) return 0
    return (heads.indexOf(head) - (heads.length - 1) / 2) * Math.min(2.2, (this.step * 0.7) / heads.length)
  }

  /** The token in the light: pointed at, or chosen. */
  lit() {
    if (this.hover) return this.hover
    const { state } = this.app
    if (state.row !== null) return { side: "row", index: state.row }
    if (state.column !== null) return { side: "column", index: state.column }
    return null
  }

  drawOver() {
    this.paintOver.cancel()
    const context = fit(this.over, this.width, this.height)
    const lit = this.lit()
    this.base.classList.toggle("dim", lit !== null)
    if (lit && this.app.store.has(this.app.state.layer)) this.isolated(new CanvasPen(context, this.app.theme), lit, this.scroller.scrollTop, this.height)
  }

  /** The lines of one token, and beside each token of the other side a cell a head as dark as its weight. */
  isolated(pen, lit, top, height) {
    const { store, state, theme } = this.app
    const [n, m] = [store.rows.length, store.columns.length]
    const levels = store.levels(state.layer)
    const isRow = lit.side === "row"
    const other = isRow ? "column" : "row"
    const pass = this.passes()
    const own = (isRow ? store.rows : store.columns)[lit.index][1]
    const blocked = pass && own !== (isRow ? pass.from : pass.to)
    const others = isRow ? store.columns : store.rows
    let found = new Int32Array(others.length * state.heads.length)
    let size = 0
    const y0 = this.y(lit.side, lit.index) - top
    const edge = isRow ? 0 : this.width - this.names
    pen.rect(edge, y0 - this.step / 2, this.names, this.step, theme.accent, 0.22)
    if (blocked) return
    for (const head of state.heads) {
      for (let k = 0; k < others.length; k++) {
        if (pass && others[k][1] !== (isRow ? pass.to : pass.from)) continue
        const level = levels[isRow ? (head * n + lit.index) * m + k : (head * n + k) * m + lit.index]
        if (level) found[size++] = (level << 20) | (head << 12) | k
      }
    }
    found = found.subarray(0, size).sort().subarray(Math.max(0, size - ISOLATED))
    // By head, and weak ones first; eight levels of strength of one head make a group, which goes in few strokes.
    found = found.map((code) => (((code >>> 12) & 255) << 20) | ((code >>> 20) << 12) | (code & 4095)).sort()
    const group = (code) => code >>> 15
    const alone = state.heads.length === 1
    const each = Math.min(this.cell, (this.names - 6) / state.heads.length)
    const farthest = this.width - this.names
    let ends = []
    found.forEach((code, index) => {
      const [head, level, k] = [code >>> 20, (code >>> 12) & 255, code & 4095]
      const y1 = this.y(other, k) - top
      const { colour, dash } = this.style(head)
      // The strip: at the outer edge, where short names leave room, one cell a head.
      if (y1 > -this.step && y1 < height + this.step) {
        if (alone) pen.rect(isRow ? farthest : 0, y1 - this.step / 2 + 1, this.names, this.step - 2, colour, (level / 255) * 0.6)
        else {
          const place = state.heads.indexOf(head)
          const x = isRow ? this.width - (state.heads.length - place) * each : place * each
          pen.rect(x, y1 - this.step / 2 + 1, each - 1, this.step - 2, colour, (level / 255) * 0.75)
        }
      }
      if (level > 8 && !((y0 < 0 && y1 < 0) || (y0 > height && y1 > height))) {
        const shift = this.offset(head)
        if (isRow) ends.push(y0 + shift, y1 + shift)
        else ends.push(y1 + shift, y0 + shift)
      }
      if (ends.length && (index === found.length - 1 || ends.length >= 2 * TOGETHER || group(found[index + 1]) !== group(code))) {
        const strength = Math.min(1, ((level | 7) + 1) / 256)
        // A line of one pixel is drawn many times faster than a thick one; where there are many, the strong are thick.
        const thick = found.length < 250 || strength > 0.4 ? 1 + 2.6 * strength : 1
        pen.curves(this.x0, this.x1, ends, colour, strength, thick, dash)
        ends = []
      }
    })
  }

  // -------------------------------------------------------------- pointing

  onScroll() {
    // Another token is under the pointer now, and the next movement will say which.
    if (this.pointed) this.point(null)
    this.restart()
    this.paintOver()
  }

  onPointer(event) {
    if (event.pointerType === "touch") return
    const box = this.scroller.getBoundingClientRect()
    const x = event.clientX - box.left
    const side = x < this.width / 2 ? "row" : "column"
    if (x > this.names + 30 && x < this.width - this.names - 30) return this.point(null)
    const y = event.clientY - box.top + this.scroller.scrollTop - this.shift[side]
    const index = Math.floor(y / this.step)
    const tokens = side === "row" ? this.app.store.rows : this.app.store.columns
    this.point(index >= 0 && index < tokens.length ? { side, index } : null)
    this.pointed = this.hover !== null
  }

  point(found) {
    if (found?.side === this.hover?.side && found?.index === this.hover?.index) return
    this.hover = found
    this.pointed = false
    this.paintOver()
    const lit = this.lit()
    this.app.say(lit ? this.sentence(lit) : null)
  }

  /** "«it» mira sobre todo a …", with the five largest weights, meant over the chosen heads. */
  sentence({ side, index }) {
    const { app } = this
    const { labels, store } = app
    const weights = app.line(side, index)
    if (!weights) return labels.loading
    const order = app.strongest(weights, 5)
    const other = side === "row" ? "column" : "row"
    const targets = order.map((k) => `${store.text(other, k)} ${app.weight(weights[k], side === "row" ? index : k)}`)
    return fill(side === "row" ? labels.looks_at : labels.looked_by, {
      token: store.text(side, index),
      place: index + 1,
      targets: targets.join(" · ") || "–",
    })
  }

  onClick(event) {
    const found = this.tokenOf(event.target)
    if (found) this.choose(found)
    else if (event.target.closest(".hv-scroll")) this.app.select({ row: null, column: null })
  }

  choose({ side, index }) {
    const { state } = this.app
    const again = state[side] === index
    this.lists[side].cursor = index
    this.app.select(side === "row" ? { row: again ? null : index, column: null } : { row: null, column: again ? null : index })
  }

  onKey(event) {
    const found = this.tokenOf(event.target)
    if (!found || !plain(event)) return
    const { side, index } = found
    const other = side === "row" ? "column" : "row"
    const last = this.lists[side].items.length - 1
    const page = Math.max(1, Math.floor(this.height / this.step) - 1)
    const to = { ArrowDown: index + 1, ArrowUp: index - 1, Home: 0, End: last, PageDown: index + page, PageUp: index - page }[event.key]
    if (to !== undefined) this.focus(side, clamp(to, 0, last))
    else if ((event.key === "ArrowRight" && side === "row") || (event.key === "ArrowLeft" && side === "column")) this.focus(other, clamp(index, 0, this.lists[other].items.length - 1))
    else if (event.key === "Enter" || event.key === " ") this.choose(found)
    else if (event.key === "Escape") this.app.select({ row: null, column: null })
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  focus(side, index) {
    const list = this.lists[side]
    list.items[list.cursor].tabIndex = -1
    list.cursor = index
    const item = list.items[index]
    item.tabIndex = 0
    item.focus({ preventScroll: true })
    this.reveal(side, index)
    this.point({ side, index })
  }

  reveal(side, index) {
    const y = this.y(side, index)
    const { scrollTop } = this.scroller
    if (y - this.step < scrollTop) this.scroller.scrollTop = y - this.step
    else if (y + this.step > scrollTop + this.height) this.scroller.scrollTop = y + this.step - this.height
  }

  shown() {
    const lit = this.lit()
    if (lit) this.reveal(lit.side, lit.index)
  }

  // -------------------------------------------------------------- taking it away

  size() {
    return { width: this.width, height: this.total }
  }

  paint(pen) {
    const { store, state } = this.app
    const lines = this.rank()
    const lit = this.lit()
    if (lit && lines) this.isolated(pen, lit, 0, this.total)
    else if (lines) this.lines(pen, lines, 0, this.total)
    store.rows.forEach((_token, i) =>
      pen.text(store.text("row", i), this.names - 8, this.y("row", i), { align: "right", size: 14, most: this.names - 12, weight: state.row === i ? 700 : 400 })
    )
    store.columns.forEach((_token, j) =>
      pen.text(store.text("column", j), this.width - this.names + 8, this.y("column", j), { size: 14, most: this.names - 12, weight: state.column === j ? 700 : 400 })
    )
  }

  /** Column titles and lines of the table: each token and where it looks most, or all weights of the chosen one. */
  table() {
    const { app } = this
    const { store, labels } = app
    const lit = this.lit()
    if (lit) return app.lineTable(lit.side, lit.index)
    return {
      head: [labels.token, labels.looks_most],
      body: store.rows.map((_token, i) => {
        const weights = app.line("row", i)
        if (!weights) return [`${i + 1} ${store.text("row", i)}`, labels.loading]
        const best = app.strongest(weights, 3)
        return [
          `${i + 1} ${store.text("row", i)}`,
          best.map((j) => `${j + 1} ${store.text("column", j)}: ${app.weight(weights[j], i)}`).join("; "),
        ]
      }),
    }
  }
}
