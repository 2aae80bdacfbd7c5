// The coloured sentence: the text, each token tinted by the attention it receives, or gets from a chosen one.

class TextView {
  constructor(app) {
    this.app = app
    this.cursor = 0
    this.hover = null
    this.root = el("div", "tv")
    this.ask = el("p", "tv-what")
    this.list = el("div", "tv-text")
    this.list.setAttribute("role", "listbox")
    this.key = el("div", "legend")
    this.root.append(this.ask, this.list, this.key)
    this.list.addEventListener("click", (event) => {
      const item = event.target.closest(".tv-token")
      if (item) this.choose(Number(item.dataset.i))
    })
    this.list.addEventListener("pointerover", (event) => this.point(event.target))
    this.list.addEventListener("pointerleave", () => this.app.say(null))
    this.list.addEventListener("focusin", (event) => this.point(event.target))
    this.list.addEventListener("focusout", () => this.app.say(null))
    this.list.addEventListener("keydown", (event) => this.onKey(event))
  }

  /** What is tinted: where the chosen token looks, or what all tokens give. In cross-attention, who looks is elsewhere. */
  update() {
    const { store, state, labels, theme } = this.app
    if (this.builtFor !== store) {
      this.builtFor = store
      this.items = store.columns.map(([, segment, special, , continues], index) => {
        const item = el("span", "tv-token")
        item.append(el("span", "tv-word", store.text("column", index)), el("span", "tv-number"))
        item.setAttribute("role", "option")
        item.dataset.i = String(index)
        item.classList.toggle("special", special === 1)
        item.classList.toggle("continues", continues === 1)
        item.classList.toggle("numbered", store.columns.length <= 60)
        item.dir = "auto"
        return item
      })
      const nodes = []
      this.items.forEach((item, index) => {
        if (index && store.columns[index][1] !== store.columns[index - 1][1]) {
          const cut = el("span", "tv-break")
          cut.setAttribute("role", "presentation")
          nodes.push(cut)
        }
        nodes.push(item)
      })
      this.list.replaceChildren(...nodes)
      this.cursor = 0
    }
    const same = store.rows === store.columns
    const from = state.row
    const weights = from === null ? this.app.received() : this.app.line("row", from)
    this.app.waiting(!weights)
    this.weights = weights
    this.list.setAttribute("aria-label", labels.views.text)
    this.ask.textContent =
      from === null ? fill(labels.tint_received, {}) : fill(labels.tint_given, { token: store.text("row", from), place: from + 1 })
    this.cursor = clamp(same && from !== null ? from : this.cursor, 0, this.items.length - 1)
    // On an even scale, so that tokens with the same share as all others stay pale.
    const top = weights ? Math.max(...weights, Math.min(1, 3 / weights.length)) : 1
    this.items.forEach((item, index) => {
      const level = weights && weights[index] > 0 ? Math.max(1, Math.round((255 * weights[index]) / top)) : 0
      item.style.backgroundColor = level ? rampColour(theme.ramp, level) : ""
      item.style.color = level ? this.app.inkOn(theme.ramp, level) : ""
      item.lastChild.textContent = weights && this.items.length <= 60 ? this.app.number(weights[index], 2) : ""
      item.tabIndex = index === this.cursor ? 0 : -1
      const chosen = same && index === from
      item.classList.toggle("chosen", chosen)
      item.setAttribute("aria-selected", String(chosen))
      if (weights) item.setAttribute("aria-label", `${store.text("column", index)}: ${this.app.weight(weights[index], from)}`)
    })
    this.key.replaceChildren(this.app.scaleLegend(top, this.app.labels.scale_even))
    if (weights) this.app.painted()
  }

  point(target) {
    const item = target.closest?.(".tv-token")
    if (!item || !this.weights) return
    const index = Number(item.dataset.i)
    const { labels, store, state } = this.app
    this.app.say(
      fill(state.row === null ? labels.received_by : labels.given_to, {
        token: store.text("column", index),
        place: index + 1,
        from: state.row === null ? "" : store.text("row", state.row),
        weight: this.app.weight(this.weights[index], state.row),
      })
    )
  }

  choose(index) {
    const { store, state } = this.app
    this.cursor = index
    // Where rows and columns are different texts, a column can be chosen, but it doesn't look anywhere.
    if (store.rows !== store.columns) this.app.select({ row: null, column: state.column === index ? null : index })
    else this.app.select({ row: state.row === index ? null : index, column: null })
  }

  onKey(event) {
    const item = event.target.closest(".tv-token")
    if (!item || !plain(event)) return
    const index = Number(item.dataset.i)
    const last = this.items.length - 1
    const to = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: last, ArrowDown: this.below(index, 1), ArrowUp: this.below(index, -1) }[event.key]
    if (to !== undefined) {
      this.items[this.cursor].tabIndex = -1
      this.cursor = clamp(to, 0, last)
      this.items[this.cursor].tabIndex = 0
      this.items[this.cursor].focus()
    } else if (event.key === "Enter" || event.key === " ") this.choose(index)
    else if (event.key === "Escape") this.app.select({ row: null, column: null })
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  /** The token nearest to this one on the next line of text. */
  below(index, way) {
    const { left, top } = this.items[index].getBoundingClientRect()
    let best = index
    let line = null
    let distance = Infinity
    for (let k = index + way; k >= 0 && k < this.items.length; k += way) {
      const box = this.items[k].getBoundingClientRect()
      if (Math.abs(box.top - top) < 4) continue
      line ??= box.top
      if (Math.abs(box.top - line) > 4) break
      if (Math.abs(box.left - left) < distance) [best, distance] = [k, Math.abs(box.left - left)]
    }
    return best
  }

  shown() {}

  size() {
    const box = this.list.getBoundingClientRect()
    return { width: box.width, height: box.height + 34 }
  }

  paint(pen) {
    const { store, theme } = this.app
    const origin = this.list.getBoundingClientRect()
    pen.text(this.ask.textContent, 4, 16, { size: 14, colour: theme.soft, most: origin.width - 8 })
    this.items.forEach((item, index) => {
      const box = item.getBoundingClientRect()
      const [x, y] = [box.left - origin.left, box.top - origin.top + 34]
      const style = getComputedStyle(item)
      if (item.style.backgroundColor) pen.rect(x, y, box.width, box.height, style.backgroundColor)
      const number = item.lastChild.textContent
      pen.text(store.text("column", index), x + box.width / 2, y + box.height * (number ? 0.36 : 0.5), { align: "center", size: 18, colour: style.color, most: box.width })
      if (number) pen.text(number, x + box.width / 2, y + box.height * 0.78, { align: "center", size: 11, colour: style.color })
    })
  }

  table() {
    const { app } = this
    const { store, labels, state } = app
    if (state.row !== null) return app.lineTable("row", state.row)
    const weights = app.received()
    return {
      head: [labels.token, labels.received],
      body: weights ? store.columns.map((_token, j) => [`${j + 1} ${store.text("column", j)}`, app.weight(weights[j], null)]) : [],
    }
  }
}
