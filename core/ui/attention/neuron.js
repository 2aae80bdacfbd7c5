// The neuron view: from the query and key vectors of one head to its weights, one step at a time.
//
// Every number is computed here from the model's own vectors: score(i, j) = q(i)·k(j) × scale + bias(i, j), and the
// softmax of the scores is the weight that the other views draw.

const STEPS = 5

class NeuronView {
  constructor(app) {
    this.app = app
    this.step = STEPS
    this.row = 0
    this.cursor = null
    this.hover = null
    const { labels } = app
    this.root = el("div", "nv")
    this.bar = el("div", "nv-bar")
    this.picker = el("select", "nv-token")
    this.picker.setAttribute("aria-label", labels.query_token)
    const pick = el("label", "nv-pick")
    pick.append(el("span", "", labels.query_token), this.picker)
    this.steps = el("div", "nv-steps")
    this.steps.setAttribute("role", "group")
    this.steps.setAttribute("aria-label", labels.steps)
    this.buttons = labels.step_names.map((name, index) => {
      const node = button("nv-step", undefined, fill(labels.step_n, { n: index + 1, all: STEPS, name }))
      node.append(el("b", "", String(index + 1)), el("span", "", name))
      node.onclick = () => this.go(index + 1)
      this.steps.append(node)
      return node
    })
    this.bar.append(pick, this.steps)
    this.explain = el("p", "nv-explain")
    this.frame = el("div", "nv-frame")
    this.frame.tabIndex = 0
    this.frame.setAttribute("role", "application")
    this.frame.setAttribute("aria-label", labels.neuron_label)
    this.frame.setAttribute("aria-description", labels.neuron_keys)
    this.content = el("div", "nv-content")
    this.canvas = el("canvas", "nv-canvas")
    this.canvas.setAttribute("aria-hidden", "true")
    this.content.append(this.canvas)
    this.frame.append(this.content)
    this.sum = el("div", "nv-sum")
    this.missing = el("p", "note")
    this.root.append(this.bar, this.explain, this.frame, this.sum, this.missing)
    this.paint_ = everyFrame(() => this.draw())
    this.picker.onchange = () => app.select({ row: Number(this.picker.value), column: null })
    this.frame.addEventListener("scroll", () => this.paint_(), { passive: true })
    this.frame.addEventListener("pointermove", (event) => this.onPointer(event), { passive: true })
    this.frame.addEventListener("pointerleave", () => this.point(null))
    this.frame.addEventListener("click", (event) => {
      const index = this.indexAt(event)
      if (index !== null) app.select({ row: this.row, column: app.state.column === index ? null : index })
    })
    this.frame.addEventListener("focus", () => this.frame.matches(":focus-visible") && this.point(this.cursor ?? 0))
    this.frame.addEventListener("blur", () => this.point(null))
    this.frame.addEventListener("keydown", (event) => this.onKey(event))
  }

  go(step) {
    this.step = clamp(step, 1, STEPS)
    this.show()
  }

  /** The vectors, if they are this head's. */
  vectors() {
    const { store, state } = this.app
    const found = store.vectors
    return found && found.layer === state.layer && found.head === state.heads[0] ? found : null
  }

  update() {
    const { store, state, labels } = this.app
    if (this.builtFor !== store) {
      this.builtFor = store
      this.picker.replaceChildren(
        ...store.rows.map((_token, index) => {
          const option = el("option", "", `${index + 1} · ${store.text("row", index)}`)
          option.value = String(index)
          return option
        })
      )
      this.cursor = null
      // The first token of the text says more than [CLS].
      this.row = Math.max(0, store.rows.findIndex((token) => token[2] === 0))
    }
    if (state.row !== null) this.row = state.row
    this.row = clamp(this.row, 0, store.rows.length - 1)
    this.picker.value = String(this.row)
    const vectors = this.vectors()
    const unknown = !vectors
    this.missing.textContent = unknown ? (this.app.noVectors ? labels.no_vectors : labels.loading) : ""
    this.app.waiting(unknown && !this.app.noVectors)
    for (const node of [this.bar, this.explain, this.frame, this.sum]) node.hidden = unknown
    if (unknown) return
    this.compute(vectors)
    this.show()
  }

  compute({ query, key, dimensions, scale, bias }) {
    const { store } = this.app
    const m = store.columns.length
    const d = dimensions
    this.d = d
    this.q = query.subarray(this.row * d, (this.row + 1) * d)
    this.k = key
    this.dots = new Float64Array(m)
    this.scores = new Float64Array(m)
    for (let j = 0; j < m; j++) {
      let sum = 0
      for (let c = 0; c < d; c++) sum += this.q[c] * key[j * d + c]
      this.dots[j] = sum
      this.scores[j] = sum * scale + (bias ? bias[this.row * m + j] : 0)
    }
    const top = Math.max(...this.scores)
    const powers = this.scores.map((s) => Math.exp(s - top))
    const total = powers.reduce((a, b) => a + b, 0)
    this.soft = powers.map((p) => p / total)
    this.largest = { q: 1e-9, k: 1e-9, p: 1e-9, dot: 1e-9, score: 1e-9 }
    const most = (name, value) => (this.largest[name] = Math.max(this.largest[name], Math.abs(value)))
    this.q.forEach((v) => most("q", v))
    for (let j = 0; j < m; j++) {
      if (this.scores[j] === -Infinity) continue
      most("dot", this.dots[j])
      most("score", this.scores[j])
      for (let c = 0; c < d; c++) {
        most("k", key[j * d + c])
        most("p", key[j * d + c] * this.q[c])
      }
    }
  }

  show() {
    const { labels, store } = this.app
    this.buttons.forEach((node, index) => {
      node.classList.toggle("on", index + 1 === this.step)
      node.classList.toggle("done", index + 1 < this.step)
      node.setAttribute("aria-pressed", String(index + 1 === this.step))
    })
    this.explain.textContent = fill(labels.step_texts[this.step - 1], {
      token: store.text("row", this.row),
      d: this.d,
      scale: this.app.number(1 / this.vectors().scale, 2),
    })
    this.draw()
    this.summary()
    this.app.painted()
  }

  // -------------------------------------------------------------- drawing

  layout() {
    const { store } = this.app
    this.width = Math.max(260, this.frame.clientWidth || this.app.width())
    this.narrow = this.width < 640
    this.line = 30
    this.head = this.narrow ? 92 : 84
    const total = this.head + store.columns.length * this.line + 6
    this.height = Math.min(total, Math.max(300, Math.min(window.innerHeight * 0.72, 700)))
    this.total = total
    this.frame.style.height = `${this.height}px`
    this.content.style.height = `${total}px`
    const names = Math.min(130, this.width * 0.24)
    const rest = this.width - names - 16
    // From left to right: the key, q×k, the sum, the scaled sum, the softmax. A narrow screen shows the step's own.
    const every = [
      { step: 1, kind: "strip", share: 0.27 },
      { step: 2, kind: "strip", share: 0.27 },
      { step: 3, kind: "bar", share: 0.15 },
      { step: 4, kind: "bar", share: 0.15 },
      { step: 5, kind: "soft", share: 0.16 },
    ]
    let x = names + 10
    if (this.narrow) this.places = every.filter((c) => c.step === this.step).map((c) => ({ ...c, x, width: rest }))
    else {
      this.places = every.map((c) => {
        const place = { ...c, x, width: rest * c.share - 14 }
        x += rest * c.share
        return place
      })
    }
    this.names = names
  }

  draw() {
    this.paint_.cancel()
    if (!this.vectors()) return
    this.layout()
    const context = fit(this.canvas, this.width, this.height)
    this.picture(new CanvasPen(context, this.app.theme), this.frame.scrollTop, this.height, true)
  }

  picture(pen, top, height, live) {
    const { app } = this
    const { store, theme, labels, state } = app
    const m = store.columns.length
    const lit = live ? (this.hover ?? state.column) : state.column
    const [first, last] = [Math.max(0, Math.floor(top / this.line) - 1), Math.min(m, Math.ceil((top + height) / this.line))]
    for (let j = first; j < last; j++) {
      const y = this.head + j * this.line - top
      const middle = y + this.line / 2
      if (j === lit) pen.rect(0, y, this.width, this.line, theme.accent, 0.16)
      pen.text(store.text("column", j), this.names, middle, { align: "right", size: 14, most: this.names - 6, weight: j === lit ? 700 : 400, colour: store.columns[j][2] ? theme.soft : theme.ink })
      const masked = this.scores[j] === -Infinity
      for (const place of this.places) {
        if (place.step > this.step) continue
        if (place.step === 1) this.strip(pen, place, y + 6, this.line - 12, (c) => this.k[j * this.d + c], this.largest.k)
        else if (place.step === 2) this.strip(pen, place, y + 6, this.line - 12, (c) => this.k[j * this.d + c] * this.q[c], this.largest.p)
        else if (place.step === 3) this.signed(pen, place, middle, this.dots[j], this.largest.dot)
        else if (masked) pen.text(place.step === 4 ? "−∞" : app.number(0, 4), place.x + 4, middle, { size: 13, colour: theme.soft })
        else if (place.step === 4) this.signed(pen, place, middle, this.scores[j], this.largest.score)
        else {
          const wide = Math.max(8, place.width - 58)
          pen.rect(place.x, middle - 8, wide, 16, theme.panel)
          pen.rect(place.x, middle - 8, wide * this.soft[j], 16, app.colour(state.heads[0]))
          pen.text(app.number(this.soft[j], 4), place.x + place.width, middle, { align: "right", size: 13 })
        }
      }
    }
    // The heading, with the query's own vector, stays in place.
    pen.rect(0, 0, this.width, this.head - 4, theme.paper)
    pen.rect(0, this.head - 5, this.width, 1, theme.line)
    pen.text("q", this.names - 2 - 14, 24, { align: "right", size: 17, weight: 700 })
    pen.text(store.text("row", this.row), this.names, 48, { align: "right", size: 13, most: this.names - 6, colour: theme.soft })
    const strip = this.places.find((place) => place.kind === "strip") ?? this.places[0]
    this.strip(pen, strip, 14, 22, (c) => this.q[c], this.largest.q)
    if (!this.narrow) this.scaleKey(pen, this.places[1].x, 25)
    for (const place of this.places) {
      if (place.step > this.step) continue
      pen.text(labels.columns[place.step - 1], place.x, this.head - 19, { size: 13, weight: 700, most: place.width })
    }
  }

  scaleKey(pen, x, y) {
    const { theme, labels } = this.app
    pen.rect(x, y - 7, 14, 14, theme.minus)
    pen.text(labels.negative, x + 20, y, { size: 13, colour: theme.soft })
    const width = this.canvas.getContext("2d").measureText(labels.negative).width
    pen.rect(x + 34 + width, y - 7, 14, 14, theme.plus)
    pen.text(labels.positive, x + 54 + width, y, { size: 13, colour: theme.soft })
  }

  /** One cell a dimension: its colour is the sign, its strength the size. */
  strip(pen, place, y, height, value, most) {
    const { theme } = this.app
    const each = place.width / this.d
    pen.rect(place.x, y, place.width, height, theme.panel)
    for (let c = 0; c < this.d; c++) {
      const v = value(c)
      const strength = Math.min(1, Math.sqrt(Math.abs(v) / most))
      if (strength > 0.02) pen.rect(place.x + c * each, y, Math.max(each - (each > 4 ? 1 : 0), 0.6), height, v < 0 ? theme.minus : theme.plus, strength)
    }
  }

  /** A bar from the middle, to the left if negative, and its number. */
  signed(pen, place, middle, value, most) {
    const { theme } = this.app
    const wide = Math.max(10, place.width - 56)
    const centre = place.x + wide / 2
    const length = (Math.abs(value) / most) * (wide / 2)
    pen.rect(centre - 0.5, middle - 10, 1, 20, theme.line)
    pen.rect(value < 0 ? centre - length : centre, middle - 7, length, 14, value < 0 ? theme.minus : theme.plus)
    pen.text(this.app.number(value, 2), place.x + place.width, middle, { align: "right", size: 13 })
  }

  /** The arithmetic of the pair in the light, in words and numbers. */
  summary() {
    const { app } = this
    const { labels, store, state } = app
    const j = this.hover ?? state.column ?? this.strongest()
    this.sum.replaceChildren()
    const masked = this.scores[j] === -Infinity
    const vectors = this.vectors()
    const title = el("div", "nv-pair", fill(labels.pair, { row: store.text("row", this.row), column: store.text("column", j) }))
    const line = el("div", "nv-line")
    const part = (name, value, step) => {
      const node = el("span", step > this.step ? "nv-part later" : "nv-part")
      node.append(el("span", "", name), el("b", "", value))
      line.append(node)
    }
    part("q · k", app.number(this.dots[j], 3), 3)
    part(fill(labels.divided, { n: app.number(1 / vectors.scale, 2) }), app.number(this.dots[j] * vectors.scale, 3), 4)
    if (vectors.bias) part(labels.bias, masked ? "−∞" : app.number(vectors.bias[this.row * store.columns.length + j], 3), 4)
    part("softmax", app.number(this.soft[j], 4), 5)
    const order = Array.from({ length: this.d }, (_, c) => c)
      .sort((a, b) => Math.abs(this.q[b] * this.k[j * this.d + b]) - Math.abs(this.q[a] * this.k[j * this.d + a]))
      .slice(0, 4)
    const terms = order.map((c) =>
      fill(labels.term, { n: c + 1, q: app.number(this.q[c], 2), k: app.number(this.k[j * this.d + c], 2), p: app.number(this.q[c] * this.k[j * this.d + c], 2) })
    )
    this.sum.append(title, line, el("div", "nv-terms", `${labels.largest_terms} ${terms.join(" · ")}`))
  }

  strongest() {
    let best = 0
    this.soft.forEach((weight, j) => weight > this.soft[best] && (best = j))
    return best
  }

  // -------------------------------------------------------------- pointing

  indexAt(event) {
    const y = event.clientY - this.frame.getBoundingClientRect().top
    if (y < this.head) return null
    const index = Math.floor((y + this.frame.scrollTop - this.head) / this.line)
    return index >= 0 && index < this.app.store.columns.length ? index : null
  }

  onPointer(event) {
    if (event.pointerType !== "touch" && this.vectors()) this.point(this.indexAt(event))
  }

  point(index) {
    if (index === this.hover || !this.vectors()) return
    this.hover = index
    if (index !== null) this.cursor = index
    this.paint_()
    this.summary()
    this.app.say(index === null ? null : this.sentence(index))
  }

  sentence(j) {
    const { app } = this
    return fill(app.labels.neuron_sentence, {
      row: app.store.text("row", this.row),
      column: app.store.text("column", j),
      dot: app.number(this.dots[j], 2),
      score: this.scores[j] === -Infinity ? "−∞" : app.number(this.scores[j], 2),
      weight: app.number(this.soft[j], 4),
    })
  }

  onKey(event) {
    if (!plain(event) || !this.vectors()) return
    const last = this.app.store.columns.length - 1
    const now = this.cursor ?? 0
    const to = { ArrowDown: now + 1, ArrowUp: now - 1, Home: 0, End: last, PageDown: now + 10, PageUp: now - 10 }[event.key]
    if (to !== undefined) {
      const index = clamp(to, 0, last)
      const y = index * this.line
      const window_ = this.height - this.head
      if (y < this.frame.scrollTop) this.frame.scrollTop = y
      else if (y + this.line > this.frame.scrollTop + window_) this.frame.scrollTop = y + this.line - window_ + 6
      this.point(index)
    } else if (event.key === "ArrowRight") this.go(this.step + 1)
    else if (event.key === "ArrowLeft") this.go(this.step - 1)
    else if (event.key === "Enter" || event.key === " ") this.app.select({ row: this.row, column: now })
    else if (event.key === "Escape") this.app.select({ column: null })
    else return
    event.preventDefault()
    event.stopPropagation()
  }

  shown() {}

  size() {
    return { width: this.width, height: this.total }
  }

  paint(pen) {
    this.picture(pen, 0, this.total, false)
  }

  table() {
    const { labels, store, number } = { labels: this.app.labels, store: this.app.store, number: (v, n) => this.app.number(v, n) }
    if (!this.vectors()) return { head: [labels.token], body: [] }
    return {
      head: [labels.key_token, ...labels.columns.slice(2)],
      body: store.columns.map((_token, j) => [
        `${j + 1} ${store.text("column", j)}`,
        number(this.dots[j], 3),
        this.scores[j] === -Infinity ? "−∞" : number(this.scores[j], 3),
        number(this.soft[j], 4),
      ]),
    }
  }
}
