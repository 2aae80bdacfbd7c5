// The model view: a thumbnail for each head of each layer, in a grid with one tab stop.

class ModelView {
  constructor(app) {
    this.app = app
    this.root = el("div", "mo")
    this.grid = el("div", "mo-grid")
    this.grid.setAttribute("role", "grid")
    this.note = el("p", "note")
    this.root.append(this.grid, this.note)
    this.cells = []
    this.grid.addEventListener("click", (event) => {
      const cell = event.target.closest(".mo-cell")
      if (cell) this.open(Number(cell.dataset.layer), Number(cell.dataset.head))
    })
    this.grid.addEventListener("keydown", (event) => this.onKey(event))
    this.grid.addEventListener("pointerover", (event) => this.onPoint(event.target))
    this.grid.addEventListener("focusin", (event) => this.onPoint(event.target))
    this.grid.addEventListener("pointerleave", () => app.say(null))
  }

  build() {
    const { store, labels, theme } = this.app
    const signature = [store.id, theme.name].join(" ")
    if (this.builtFor === signature) return
    const focused = this.grid.contains(this.grid.getRootNode().activeElement)
    this.builtFor = signature
    const { layers, heads } = store
    this.grid.style.setProperty("--heads", String(heads))
    this.grid.style.setProperty("--most", layers * heads > 80 ? "74px" : heads === 1 ? "220px" : "92px")
    this.grid.setAttribute("aria-label", fill(labels.grid, { layers, heads }))
    this.grid.setAttribute("aria-rowcount", String(layers + 1))
    this.grid.setAttribute("aria-colcount", String(heads + 1))
    const top = el("div", "mo-row")
    top.setAttribute("role", "row")
    const corner = el("span", "mo-name", labels.layer_head)
    corner.setAttribute("role", "columnheader")
    top.append(corner)
    for (let head = 0; head < heads; head++) {
      const name = el("span", "mo-name", String(head + 1))
      name.setAttribute("role", "columnheader")
      name.setAttribute("aria-label", fill(labels.head_n, { n: head + 1 }))
      top.append(name)
    }
    this.cells = []
    const rows = []
    for (let layer = 0; layer < layers; layer++) {
      const row = el("div", "mo-row")
      row.setAttribute("role", "row")
      const name = el("span", "mo-name", String(layer + 1))
      name.setAttribute("role", "rowheader")
      name.setAttribute("aria-label", fill(labels.layer_n, { n: layer + 1 }))
      row.append(name)
      const line = []
      for (let head = 0; head < heads; head++) {
        const holder = el("span", "mo-hold")
        holder.setAttribute("role", "gridcell")
        const cell = button("mo-cell", undefined, this.app.name(layer, head))
        cell.removeAttribute("title")
        cell.dataset.layer = String(layer)
        cell.dataset.head = String(head)
        cell.tabIndex = -1
        const image = this.image(layer, head)
        if (image) cell.append(image)
        holder.append(cell)
        row.append(holder)
        line.push(cell)
      }
      this.cells.push(line)
      rows.push(row)
    }
    this.grid.replaceChildren(top, ...rows)
    this.note.textContent = store.small && (store.small.shape[2] < store.rows.length || store.small.shape[3] < store.columns.length)
      ? fill(labels.reduced, { rows: store.rows.length, columns: store.columns.length, n: Math.max(store.small.shape[2], store.small.shape[3]) })
      : labels.open_hint
    if (focused) this.current().focus()
  }

  image(layer, head) {
    const { store, theme } = this.app
    const small = store.thumbnail(layer, head)
    if (!small) return null
    const canvas = picture(small.values, small.rows, small.columns, theme.ramp)
    canvas.setAttribute("aria-hidden", "true")
    return canvas
  }

  current() {
    const { state } = this.app
    return this.cells[state.layer][state.heads[0]]
  }

  update() {
    this.build()
    const { state } = this.app
    this.cells.forEach((line, layer) =>
      line.forEach((cell, head) => {
        const on = layer === state.layer && state.heads.includes(head)
        cell.classList.toggle("on", on)
        cell.setAttribute("aria-pressed", String(on))
        cell.tabIndex = layer === state.layer && head === state.heads[0] ? 0 : -1
        cell.style.setProperty("--head", this.app.colour(head))
        const label = this.app.name(layer, head) + (this.app.captions ? `. ${this.app.captions[layer][head]}` : "")
        if (cell.getAttribute("aria-label") !== label) cell.setAttribute("aria-label", label)
      })
    )
    this.app.waiting(false)
    this.app.painted()
  }

  onPoint(target) {
    const cell = target.closest?.(".mo-cell")
    if (!cell) return
    const [layer, head] = [Number(cell.dataset.layer), Number(cell.dataset.head)]
    const caption = this.app.captions?.[layer]?.[head]
    this.app.say(this.app.name(layer, head) + (caption ? `: ${caption}` : ""))
  }

  open(layer, head) {
    this.app.select({ view: "head", layer, heads: [head] })
    this.app.focusView()
  }

  onKey(event) {
    const cell = event.target.closest(".mo-cell")
    if (!cell || !plain(event)) return
    let [layer, head] = [Number(cell.dataset.layer), Number(cell.dataset.head)]
    const { layers, heads } = this.app.store
    if (ARROWS[event.key]) {
      layer = clamp(layer + ARROWS[event.key][0], 0, layers - 1)
      head = clamp(head + ARROWS[event.key][1], 0, heads - 1)
    } else if (event.key === "Home") head = 0
    else if (event.key === "End") head = heads - 1
    else if (event.key === "PageUp") layer = 0
    else if (event.key === "PageDown") layer = layers - 1
    else return
    cell.tabIndex = -1
    this.cells[layer][head].tabIndex = 0
    this.cells[layer][head].focus()
    event.preventDefault()
    event.stopPropagation()
  }

  shown() {}

  side() {
    return this.app.store.heads > 4 ? 72 : 140
  }

  size() {
    const { store } = this.app
    const side = this.side() + 6
    return { width: 70 + store.heads * side, height: 40 + store.layers * side }
  }

  paint(pen) {
    const { store, labels, theme } = this.app
    const side = this.side()
    pen.text(labels.layer_head, 64, 20, { align: "right", size: 12, colour: theme.soft })
    for (let head = 0; head < store.heads; head++) pen.text(String(head + 1), 70 + (head + 0.5) * (side + 6), 20, { align: "center", size: 14 })
    for (let layer = 0; layer < store.layers; layer++) {
      pen.text(String(layer + 1), 60, 40 + (layer + 0.5) * (side + 6), { align: "right", size: 14 })
      for (let head = 0; head < store.heads; head++) {
        const [x, y] = [70 + head * (side + 6), 40 + layer * (side + 6)]
        pen.rect(x, y, side, side, theme.panel)
        const image = this.image(layer, head)
        if (image) pen.image(image, x, y, side, side)
      }
    }
  }

  table() {
    const { labels, captions, store } = this.app
    if (!captions) return this.app.views.head.table()
    const body = []
    for (let layer = 0; layer < store.layers; layer++) {
      for (let head = 0; head < store.heads; head++) body.push([`${layer + 1}`, `${head + 1}`, captions[layer][head]])
    }
    return { head: [labels.layer, labels.head, labels.what], body }
  }
}
