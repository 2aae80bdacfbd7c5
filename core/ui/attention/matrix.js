// The matrix of one head: a heat map with zoom, exact values and the causal triangle shown as what it is.

const DEEPEST = 64 // pixels a cell at most

class MatrixView {
  constructor(app) {
    this.app = app
    this.cell = null // {row, column}: pointed at, or the keyboard's place
    this.zoom = 1
    this.x = 0
    this.y = 0
    this.root = el("div", "mv")
    this.frame = el("div", "mv-frame")
    this.frame.tabIndex = 0
    this.frame.setAttribute("role", "application")
    this.base = el("canvas", "mv-base")
    this.over = el("canvas", "mv-over")
    for (const canvas of [this.base, this.over]) canvas.setAttribute("aria-hidden", "true")
    this.frame.append(this.base, this.over)
    this.tools = el("div", "mv-tools")
    const { labels } = app
    const tool = (text, label, act) => {
      const node = button("tool", text, label)
      node.onclick = act
      this.tools.append(node)
    }
    tool("+", labels.zoom_in, () => this.scale(1.6))
    tool("−", labels.zoom_out, () => this.scale(1 / 1.6))
    tool("⤢", labels.zoom_all, () => this.whole())
    this.key = el("div", "legend")
    this.tools.append(this.key)
    this.root.append(this.tools, this.frame)
    this.paint_ = everyFrame(() => this.drawBase())
    this.paintOver = everyFrame(() => this.drawOver())
    this.touches = new Map()
    this.frame.addEventListener("pointerdown", (event) => this.onDown(event))
    this.frame.addEventListener("pointermove", (event) => this.onMove(event))
    for (const name of ["pointerup", "pointercancel"]) this.frame.addEventListener(name, (event) => this.onUp(event))
    this.frame.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && this.point(null))
    this.frame.addEventListener("wheel", (event) => this.onWheel(event), { passive: false })
    this.frame.addEventListener("dblclick", (event) => this.scale(2, event))
    this.frame.addEventListener("keydown", (event) => this.onKey(event))
    this.frame.addEventListener("focus", () => this.frame.matches(":focus-visible") && this.point(this.cell ?? this.chosen() ?? { row: 0, column: 0 }))
    this.frame.addEventListener("blur", () => this.point(null))
  }

  chosen() {
    const { row, column } = this.app.state
    return row === null && column === null ? null : { row, column }
  }

  update() {
    const { store, labels, state } = this.app
    if (this.builtFor !== store) {
      this.builtFor = store
      this.cell = null
      this.zoom = 1
      this.x = this.y = 0
    }
    this.frame.setAttribute("aria-label", fill(labels.matrix_of, { layer: state.layer + 1, head: state.heads[0] + 1 }))
    this.frame.setAttribute("aria-description", labels.matrix_keys)
    this.key.replaceChildren(this.app.scaleLegend())
    if (store.causal) {
      const masked = el("span", "key")
      masked.append(el("span", "masked-sample"), el("span", "", labels.masked))
      this.key.append(masked)
    }
    this.drawBase()
    this.drawOver()
  }

  shown() {
    const chosen = this.chosen()
    if (chosen && this.zoom > 1) this.reveal(chosen.row ?? 0, chosen.column ?? 0)
  }

  // -------------------------------------------------------------- geometry

  layout() {
    const { store } = this.app
    const [n, m] = [store.rows.length, store.columns.length]
    this.width = Math.max(220, this.frame.clientWidth || this.app.width())
    const narrow = this.width < 520
    const context = this.over.getContext("2d")
    context.font = `400 13px ${this.app.theme.font}`
    const widest = (tokens) => tokens.reduce((most, t) => Math.max(most, context.measureText(visible(t[0])).width), 20)
    if (this.measured !== store) {
      this.measured = store
      this.widest = [widest(store.rows), widest(store.columns)]
    }
    const limit = narrow ? 78 : 130
    this.left = Math.min(this.widest[0] + 14, limit)
    this.top = Math.min(this.widest[1] + 14, limit)
    const tall = Math.max(280, Math.min(window.innerHeight * 0.66, 760) - this.top)
    this.fitted = clamp(Math.min((this.width - this.left - 6) / m, tall / n), 0.2, 44)
    const side = this.fitted * this.zoom
    this.side = side
    this.inner = {
      width: Math.min(this.width - this.left - 4, Math.max(this.fitted * m, this.zoom > 1 ? this.width - this.left - 4 : 0)),
      height: Math.min(tall, Math.max(this.fitted * n, this.zoom > 1 ? Math.min(tall, side * n) : 0)),
    }
    this.inner.width = Math.min(this.inner.width, side * m)
    this.height = this.top + this.inner.height + 4
    this.x = clamp(this.x, 0, Math.max(0, side * m - this.inner.width))
    this.y = clamp(this.y, 0, Math.max(0, side * n - this.inner.height))
    this.frame.style.height = `${this.height}px`
  }

  at(event) {
    const box = this.frame.getBoundingClientRect()
    const [px, py] = [event.clientX - box.left - this.left, event.clientY - box.top - this.top]
    const { store } = this.app
    const [n, m] = [store.rows.length, store.columns.length]
    const column = px < 0 ? null : Math.floor((px + this.x) / this.side)
    const row = py < 0 ? null : Math.floor((py + this.y) / this.side)
    if ((row === null && column === null) || row >= n || column >= m || px > this.inner.width || py > this.inner.height) return null
    return { row, column }
  }

  scale(factor, event = null) {
    const before = this.side
    const deepest = Math.max(1, DEEPEST / this.fitted)
    const zoom = clamp(this.zoom * factor, 1, deepest)
    const box = this.frame.getBoundingClientRect()
    let [px, py] = [this.inner.width / 2, this.inner.height / 2]
    if (event) [px, py] = [event.clientX - box.left - this.left, event.clientY - box.top - this.top]
    else if (this.cell?.row != null && this.cell.column != null) {
      px = clamp((this.cell.column + 0.5) * before - this.x, 0, this.inner.width)
      py = clamp((this.cell.row + 0.5) * before - this.y, 0, this.inner.height)
    }
    this.zoom = zoom
    const after = this.fitted * zoom
    this.x = ((this.x + px) * after) / before - px
    this.y = ((this.y + py) * after) / before - py
    this.drawBase()
    this.drawOver()
    this.app.say(fill(this.app.labels.zoomed, { n: this.app.number(zoom, zoom < 10 ? 1 : 0) }))
  }

  whole() {
    this.zoom = 1
    this.x = this.y = 0
    this.drawBase()
    this.drawOver()
  }

  reveal(row, column) {
    const [x, y, side] = [column * this.side, row * this.side, this.side]
    if (x < this.x) this.x = x
    else if (x + side > this.x + this.inner.width) this.x = x + side - this.inner.width
    if (y < this.y) this.y = y
    else if (y + side > this.y + this.inner.height) this.y = y + side - this.inner.height
    this.paint_()
  }

  // -------------------------------------------------------------- drawing

  bitmap() {
    const { store, state, theme } = this.app
    const levels = store.levels(state.layer)
    const head = state.heads[0]
    const signature = [store.id, state.layer, head, theme.name, levels !== null].join(" ")
    if (this.bitmapFor !== signature) {
      this.bitmapFor = signature
      const [n, m] = [store.rows.length, store.columns.length]
      if (levels) this.made = picture(levels.subarray(head * n * m, (head + 1) * n * m), n, m, theme.ramp)
      else {
        const small = store.thumbnail(state.layer, head)
        this.made = small && picture(small.values, small.rows, small.columns, theme.ramp)
      }
    }
    return this.made
  }

  drawBase() {
    this.paint_.cancel()
    this.layout()
    const context = fit(this.base, this.width, this.height)
    this.picture(new CanvasPen(context, this.app.theme), context)
    const loaded = this.app.store.has(this.app.state.layer)
    this.app.waiting(!loaded)
    if (loaded) this.app.painted()
  }

  picture(pen, context = null) {
    const { store, theme } = this.app
    const [n, m] = [store.rows.length, store.columns.length]
    const { left, top, side, inner } = this
    const map = this.bitmap()
    if (context) {
      context.save()
      context.beginPath()
      context.rect(left, top, inner.width, inner.height)
      context.clip()
    }
    const [x0, y0] = [left - this.x, top - this.y]
    pen.rect(x0, y0, m * side, n * side, theme.panel)
    if (store.causal) {
      // The steps of the diagonal: everything right of it lies in the future of the token that looks.
      const points = []
      for (let i = 0; i < n; i++) points.push([x0 + (i + 1) * side, y0 + i * side], [x0 + (i + 1) * side, y0 + (i + 1) * side])
      points.push([x0 + m * side, y0 + n * side], [x0 + m * side, y0])
      pen.hatch(points)
    }
    if (map) pen.image(map, x0, y0, m * side, n * side)
    if (side >= 12) {
      const gap = side >= 24 ? 1.5 : 1
      for (let i = 1; i < n; i++) pen.rect(x0, y0 + i * side - gap / 2, m * side, gap, theme.paper)
      for (let j = 1; j < m; j++) pen.rect(x0 + j * side - gap / 2, y0, gap, n * side, theme.paper)
    }
    if (side >= 33) this.numbers(pen, x0, y0)
    if (context) context.restore()
    this.axes(pen)
  }

  numbers(pen, x0, y0) {
    const { app } = this
    const { store, state, theme } = app
    const [n, m] = [store.rows.length, store.columns.length]
    const levels = store.levels(state.layer)
    if (!levels) return
    const head = state.heads[0]
    const [i0, i1] = [Math.max(0, Math.floor(this.y / this.side)), Math.min(n, Math.ceil((this.y + this.inner.height) / this.side))]
    const [j0, j1] = [Math.max(0, Math.floor(this.x / this.side)), Math.min(m, Math.ceil((this.x + this.inner.width) / this.side))]
    for (let i = i0; i < i1; i++) {
      for (let j = j0; j < j1; j++) {
        const level = levels[(head * n + i) * m + j]
        if (!level) continue
        pen.text(app.number(store.at(state.layer, head, i, j), 2), x0 + (j + 0.5) * this.side, y0 + (i + 0.5) * this.side, {
          size: 12,
          align: "center",
          colour: app.inkOn(theme.ramp, level),
        })
      }
    }
  }

  axes(pen) {
    const { store, state, theme } = this.app
    const { side, left, top, inner } = this
    const every = Math.max(1, Math.ceil(14 / side))
    const size = clamp(side * 0.72, 11, 14)
    store.rows.forEach((token, i) => {
      const y = top + (i + 0.5) * side - this.y
      if (i % every || y < top || y > top + inner.height) return
      pen.text(store.text("row", i), left - 6, y, { align: "right", size, most: left - 8, colour: token[2] ? theme.soft : theme.ink, weight: state.row === i ? 700 : 400 })
    })
    store.columns.forEach((token, j) => {
      const x = left + (j + 0.5) * side - this.x
      if (j % every || x < left || x > left + inner.width) return
      pen.text(store.text("column", j), x, top - 6, { size, most: top - 8, turn: -Math.PI / 2, colour: token[2] ? theme.soft : theme.ink, weight: state.column === j ? 700 : 400 })
    })
  }

  drawOver() {
    this.paintOver.cancel()
    const context = fit(this.over, this.width, this.height)
    const pen = new CanvasPen(context, this.app.theme)
    const { theme, store, state } = this.app
    const { left, top, side, inner } = this
    const chosen = this.chosen()
    const mark = (cell, colour, thick, light) => {
      const x = left + (cell.column ?? 0) * side - this.x
      const y = top + (cell.row ?? 0) * side - this.y
      context.save()
      context.beginPath()
      context.rect(0, top, left + inner.width, inner.height)
      context.rect(left, 0, inner.width, top)
      context.clip()
      if (cell.row !== null && light) pen.rect(0, y, left + inner.width, side, theme.accent, light)
      if (cell.column !== null && light) pen.rect(x, 0, side, top + inner.height, theme.accent, light)
      const grow = Math.max(0, (9 - side) / 2)
      if (cell.row !== null && cell.column !== null) pen.ring(x - grow - 1, y - grow - 1, side + 2 * grow + 2, side + 2 * grow + 2, colour, thick)
      else if (cell.row !== null) pen.ring(left - 1, y - 1, inner.width + 2, side + 2, colour, thick)
      else pen.ring(x - 1, top - 1, side + 2, inner.height + 2, colour, thick)
      context.restore()
    }
    if (chosen) mark(chosen, theme.accent, 2.5, this.cell ? 0 : 0.12)
    if (!this.cell) return
    mark(this.cell, theme.ink, 2, 0.14)
    if (this.cell.row === null || this.cell.column === null) return
    const text = `${store.text("row", this.cell.row)} → ${store.text("column", this.cell.column)}`
    const value = this.app.weight(store.at(state.layer, state.heads[0], this.cell.row, this.cell.column), this.cell.row)
    context.font = `600 15px ${theme.font}`
    const most = Math.min(240, this.width - 24)
    const shown = shorten(context, text, most)
    const wide = Math.max(context.measureText(shown).width, context.measureText(value).width) + 20
    let x = left + (this.cell.column + 1) * side - this.x + 10
    if (x + wide > this.width) x = Math.max(2, left + this.cell.column * side - this.x - wide - 10)
    const y = clamp(top + this.cell.row * side - this.y - 54, 2, this.height - 52)
    pen.rect(x, y, wide, 48, theme.paper)
    pen.ring(x + 0.5, y + 0.5, wide - 1, 47, theme.ink, 1)
    pen.text(shown, x + 10, y + 15, { size: 15 })
    pen.text(value, x + 10, y + 34, { size: 15, weight: 700 })
  }

  // -------------------------------------------------------------- pointing

  point(cell) {
    if (cell?.row === this.cell?.row && cell?.column === this.cell?.column) return
    this.cell = cell
    this.paintOver()
    this.app.say(cell ? this.sentence(cell) : null)
  }

  sentence({ row, column }) {
    const { app } = this
    const { store, state, labels } = app
    if (!store.has(state.layer)) return labels.loading
    if (row === null || column === null) return app.views.head.sentence(row === null ? { side: "column", index: column } : { side: "row", index: row })
    const weight = store.at(state.layer, state.heads[0], row, column)
    return fill(store.causal && column > row ? labels.cell_masked : labels.cell, {
      row: store.text("row", row),
      i: row + 1,
      column: store.text("column", column),
      j: column + 1,
      weight: app.weight(weight, row),
    })
  }

  onDown(event) {
    this.touches.set(event.pointerId, { x: event.clientX, y: event.clientY })
    this.moved = 0
    if (event.pointerType !== "touch" || this.zoom > 1) {
      try {
        this.frame.setPointerCapture(event.pointerId)
      } catch {
        // A made-up event in a test has no pointer to capture.
      }
    }
  }

  onMove(event) {
    const last = this.touches.get(event.pointerId)
    if (!last) {
      if (event.pointerType !== "touch") this.point(this.at(event))
      return
    }
    const [dx, dy] = [event.clientX - last.x, event.clientY - last.y]
    if (this.touches.size === 2) {
      const [a, b] = [...this.touches.values()]
      const before = Math.hypot(a.x - b.x, a.y - b.y)
      Object.assign(last, { x: event.clientX, y: event.clientY })
      const after = Math.hypot(a.x - b.x, a.y - b.y)
      this.moved = 99
      if (before > 0) this.scale(after / before, { clientX: (a.x + b.x) / 2, clientY: (a.y + b.y) / 2 })
      return
    }
    this.moved += Math.abs(dx) + Math.abs(dy)
    Object.assign(last, { x: event.clientX, y: event.clientY })
    if (this.moved > 4 && this.zoom > 1) {
      this.x -= dx
      this.y -= dy
      this.frame.classList.add("grabbing")
      this.cell = null
      this.paint_()
      this.paintOver()
    }
  }

  onUp(event) {
    const known = this.touches.delete(event.pointerId)
    this.frame.classList.remove("grabbing")
    if (!known || event.type === "pointercancel" || this.moved > 6) return
    const cell = this.at(event)
    this.point(cell)
    if (cell) this.choose(cell)
  }

  choose(cell) {
    const { state } = this.app
    const again = state.row === cell.row && state.column === cell.column
    this.app.select(again ? { row: null, column: null } : cell)
  }

  onWheel(event) {
    // A plain wheel scrolls the page; with Ctrl (which a pinch on a touchpad sends too) it zooms.
    if (!event.ctrlKey && !event.metaKey) return
    event.preventDefault()
    this.scale(Math.exp(-event.deltaY / 240), event)
  }

  onKey(event) {
    const { store } = this.app
    if (event.key === "+" || event.key === "=") this.scale(1.6)
    else if (event.key === "-") this.scale(1 / 1.6)
    else if (event.key === "0") this.whole()
    else if (event.key === "Escape") {
      this.app.select({ row: null, column: null })
    } else if (plain(event)) {
      const now = { row: this.cell?.row ?? 0, column: this.cell?.column ?? 0 }
      const [n, m] = [store.rows.length - 1, store.columns.length - 1]
      if (ARROWS[event.key]) {
        const by = event.shiftKey ? 10 : 1
        const [di, dj] = ARROWS[event.key]
        now.row = clamp(now.row + di * by, 0, n)
        now.column = clamp(now.column + dj * by, 0, m)
      } else if (event.key === "Home") now.column = 0
      else if (event.key === "End") now.column = m
      else if (event.key === "PageUp") now.row = 0
      else if (event.key === "PageDown") now.row = n
      else if (event.key === "Enter" || event.key === " ") {
        this.choose(now)
        event.preventDefault()
        return
      } else return
      this.point(now)
      this.reveal(now.row, now.column)
    } else return
    event.preventDefault()
    event.stopPropagation()
  }

  // -------------------------------------------------------------- taking it away

  size() {
    return { width: this.left + this.inner.width + 8, height: this.height }
  }

  paint(pen) {
    if (this.zoom === 1) return this.picture(pen)
    // Zoomed in, what is outside the window has to be cut off: drawn on a canvas first.
    const canvas = document.createElement("canvas")
    const { width, height } = this.size()
    canvas.width = width * 2
    canvas.height = height * 2
    const context = canvas.getContext("2d")
    context.scale(2, 2)
    this.picture(new CanvasPen(context, this.app.theme), context)
    pen.image(canvas, 0, 0, width, height)
  }

  table() {
    const { row, column } = this.app.state
    if (row !== null) return this.app.lineTable("row", row)
    if (column !== null) return this.app.lineTable("column", column)
    return this.app.views.head.table()
  }
}
