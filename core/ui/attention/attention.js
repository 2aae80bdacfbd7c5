// The attention view itself: controls, what is chosen, the five views, and the talk with Python.
//
// Python sends one message of bytes (store.js); what a person chooses goes back as one state value, "selection",
// together with what this browser holds already, so that nothing travels twice.

const REPORT_MS = 250
const ASK_MS = 40
const PLAY_MS = 1200
const TRIES = 4
const FILTERS = ["all", "aa", "ab", "ba", "bb"]

class AttentionApp {
  constructor(host) {
    this.root = el("div", "at")
    host.append(this.root)
    this.root.attention = this // for tests and for who looks with the browser's tools
    this.applied = -1
    this.tries = 0
    this.asks = 0
    this.state = null
    this.store = null
    this.labels = null
    this.send = () => {}
    this.report = later(REPORT_MS, () => this.tell())
    this.ask = later(ASK_MS, () => this.tell())
    this.resized = everyFrame(() => this.refresh())
    this.observer = new ResizeObserver(() => {
      const width = this.root.clientWidth
      if (width && width !== this.lastWidth) {
        this.lastWidth = width
        if (this.store) this.resized()
      }
    })
    this.observer.observe(this.root)
  }

  destroy() {
    this.stop()
    this.observer.disconnect()
    for (const task of [this.report, this.ask, this.resized]) task.cancel()
    clearTimeout(this.views?.head.timer)
    this.root.remove()
  }

  // -------------------------------------------------------------- messages

  receive(bytes) {
    const theme = themeOf(this.root)
    const themed = theme.name !== this.theme?.name || theme.ink !== this.theme?.ink
    this.theme = theme
    this.root.dataset.theme = theme.name
    if (bytes !== this.bytes) {
      this.bytes = bytes
      const header = unpack(bytes)
      const fresh = header.id !== this.store?.id
      if (fresh) this.store = new Store(header)
      this.store.add(header)
      this.captions = header.captions
      this.noVectors = header.no_vectors
      this.title = header.title
      const labels = JSON.stringify([header.labels, header.views])
      if (labels !== this.labelled) {
        this.labelled = labels
        this.labels = header.labels
        this.names = header.views
        this.build()
      }
      const { select } = header
      if (!this.state || select.n > this.applied) {
        this.state = this.valid(select)
        this.applied = select.n
      } else if (fresh) {
        this.state = { ...this.state, ...this.valid({ ...this.state, row: select.row, column: select.column }) }
      }
      if (fresh) this.controls()
    } else if (!themed) return
    this.refresh()
    this.missing()
  }

  /** Asks for what this view needs and the message didn't bring: Python may think that this browser has it. */
  missing() {
    const { store, state } = this
    const lacks =
      !store.has(state.layer) ||
      (!store.small && store.available.some((layer) => !store.has(layer))) ||
      (state.view === "neuron" && !this.noVectors && !this.views.neuron.vectors())
    if (!lacks) this.tries = 0
    else if (this.tries < TRIES) {
      this.tries++
      this.ask()
    }
  }

  /** A choice that this map has: what lies outside is brought in or left out. */
  valid({ view, layer, heads, row, column, only }) {
    const { store } = this
    const inside = [...new Set(heads)].filter((h) => h >= 0 && h < store.heads).sort((a, b) => a - b)
    const layers = store.available
    return {
      view: this.names.includes(view) ? view : this.names[0],
      layer: layers.includes(layer) ? layer : layers.reduce((a, b) => (Math.abs(b - layer) < Math.abs(a - layer) ? b : a)),
      heads: inside.length ? inside : [0],
      row: row !== null && row >= 0 && row < store.rows.length ? row : null,
      column: column !== null && column >= 0 && column < store.columns.length ? column : null,
      only: store.pairs && FILTERS.includes(only) ? only : "all",
    }
  }

  tell() {
    this.report.cancel()
    this.ask.cancel()
    const { view, layer, heads, row, column, only } = this.state
    const wants = this.store.has(layer) ? null : layer
    this.send({ applied: this.applied, view, layer, heads, row, column, only, asks: ++this.asks, have: { ...this.store.have(), wants } })
  }

  /** Changes what is chosen, here at once and in Python a moment later. */
  select(change) {
    const before = this.state
    this.state = { ...before, ...change }
    Object.assign(this.state, this.valid(this.state))
    if (JSON.stringify(before) === JSON.stringify(this.state)) return
    this.refresh()
    if (before.view !== this.state.view) this.views[this.state.view].shown()
    // Python has to send what is missing: a layer, or the vectors of another head.
    const lacks = !this.store.has(this.state.layer) || (this.state.view === "neuron" && !this.views.neuron.vectors())
    if (lacks) this.ask()
    else this.report()
  }

  // -------------------------------------------------------------- the frame

  build() {
    const { labels } = this
    this.number_ = new Map()
    this.views = {
      model: new ModelView(this),
      head: new HeadView(this),
      matrix: new MatrixView(this),
      neuron: new NeuronView(this),
      text: new TextView(this),
    }
    this.root.setAttribute("role", "group")
    this.root.setAttribute("aria-label", labels.view)

    this.tabs = el("div", "tabs")
    this.tabs.setAttribute("role", "tablist")
    this.tabs.setAttribute("aria-label", labels.which_view)
    this.names.forEach((name) => {
      const tab = button("tab", labels.views[name])
      tab.setAttribute("role", "tab")
      tab.dataset.view = name
      tab.onclick = () => this.select({ view: name })
      this.tabs.append(tab)
    })
    this.tabs.onkeydown = (event) => this.roam(event, [...this.tabs.children], (tab) => (this.select({ view: tab.dataset.view }), tab.focus()))

    this.exports = el("div", "exports")
    const png = button("tool wide", "PNG", labels.save_png)
    const svg = button("tool wide", "SVG", labels.save_svg)
    png.onclick = () => this.savePng()
    svg.onclick = () => this.saveSvg()
    this.exports.append(el("span", "soft", labels.save), png, svg)
    const top = el("div", "top")
    top.append(this.tabs, this.exports)

    this.bar = el("div", "bar")
    this.stage = el("div", "stage")
    this.stage.setAttribute("role", "tabpanel")
    this.veil = el("div", "veil", labels.loading)
    this.veil.hidden = true
    this.captionBox = el("div", "captions")
    this.status = el("div", "status")
    this.status.setAttribute("role", "status")
    this.details = el("details", "numbers")
    this.details.append(el("summary", "", labels.as_table))
    this.tableBox = el("div", "table-box")
    this.tableBox.tabIndex = 0
    this.tableBox.setAttribute("role", "region")
    this.tableBox.setAttribute("aria-label", labels.as_table)
    this.details.append(this.tableBox)
    this.details.ontoggle = () => this.table()
    this.root.replaceChildren(top, this.bar, this.captionBox, this.stage, this.veil, this.status, this.details)
    this.inStage = null
    if (this.state) this.controls()
  }

  /** Arrow keys among siblings of which one is in the tab order. */
  roam(event, nodes, go) {
    if (!plain(event)) return
    const at = nodes.indexOf(event.target)
    const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: nodes.length - 1 }[event.key]
    if (at < 0 || to === undefined) return
    go(nodes[(to + nodes.length) % nodes.length])
    event.preventDefault()
    event.stopPropagation()
  }

  controls() {
    const { labels, store } = this
    this.layerBox = el("div", "layer")
    this.play = button("tool play", "▶", labels.play)
    this.play.onclick = () => (this.timer ? this.stop() : this.start())
    this.layerName = el("label", "layer-name")
    this.slider = el("input", "slider")
    this.slider.type = "range"
    this.slider.min = "0"
    this.slider.max = String(store.available.length - 1)
    this.slider.id = "layer"
    this.layerName.htmlFor = "layer"
    this.slider.oninput = () => {
      this.stop()
      this.select({ layer: store.available[Number(this.slider.value)] })
    }
    const before = button("tool", "‹", labels.layer_before)
    const after = button("tool", "›", labels.layer_after)
    before.onclick = () => (this.stop(), this.move(-1))
    after.onclick = () => (this.stop(), this.move(1))
    this.layerBox.append(this.play, before, this.slider, after, this.layerName)

    this.headBox = el("div", "heads")
    this.headBox.setAttribute("role", "group")
    this.headBox.setAttribute("aria-label", labels.heads)
    this.headName = el("span", "head-name", labels.heads)
    this.chips = Array.from({ length: store.heads }, (_, head) => {
      const chip = button("chip", String(head + 1))
      chip.dataset.head = String(head)
      chip.onclick = (event) => this.toggle(head, event.shiftKey)
      chip.ondblclick = () => this.select({ heads: [head] })
      chip.onpointerenter = () => this.say(this.captionLine(head))
      chip.onpointerleave = () => this.say(null)
      return chip
    })
    this.all = button("tool wide", labels.all_heads, labels.all_heads_title)
    this.all.onclick = () => this.select({ heads: this.state.heads.length === store.heads ? [this.state.heads[0]] : this.chips.map((_, h) => h) })
    const holder = el("span", "chips")
    holder.append(...this.chips)
    holder.onkeydown = (event) => {
      this.roam(event, this.chips, (chip) => {
        this.chips.forEach((c) => (c.tabIndex = c === chip ? 0 : -1))
        chip.focus()
        this.say(this.captionLine(Number(chip.dataset.head)))
      })
      if (event.key === "Enter" && event.shiftKey) {
        this.select({ heads: [Number(event.target.dataset.head)] })
        event.preventDefault()
      }
    }
    this.headBox.append(this.headName, holder, this.all)

    this.filterBox = el("label", "filter")
    this.filter = el("select", "")
    this.filter.setAttribute("aria-label", labels.filter)
    FILTERS.forEach((name, index) => {
      const option = el("option", "", labels.filters[index])
      option.value = name
      this.filter.append(option)
    })
    this.filter.onchange = () => this.select({ only: this.filter.value })
    this.filterBox.append(el("span", "", labels.filter), this.filter)
    this.free = button("tool wide", labels.free, labels.free_title)
    this.free.onclick = () => this.select({ row: null, column: null })
    this.bar.replaceChildren(this.layerBox, this.headBox, this.filterBox, this.free)
  }

  toggle(head, range) {
    const { heads, view } = this.state
    // Where one matrix is shown, a chip chooses; where lines lie side by side, it adds and takes away.
    if (view === "matrix" || view === "neuron" || view === "model") return this.select({ heads: [head] })
    if (range) {
      const [low, high] = [Math.min(heads[0], head), Math.max(heads[0], head)]
      return this.select({ heads: this.chips.map((_, h) => h).filter((h) => h >= low && h <= high) })
    }
    const on = heads.includes(head)
    if (on && heads.length === 1) return
    this.select({ heads: on ? heads.filter((h) => h !== head) : [...heads, head] })
  }

  move(by) {
    const { available } = this.store
    const at = available.indexOf(this.state.layer)
    this.select({ layer: available[(at + by + available.length) % available.length] })
  }

  start() {
    const still = window.matchMedia?.("(prefers-reduced-motion: reduce)").matches
    this.timer = setInterval(() => {
      // A layer that is still on its way is waited for.
      if (this.store.has(this.state.layer) || this.state.view === "model") this.move(1)
    }, still ? 2 * PLAY_MS : PLAY_MS)
    this.move(1)
    this.playing(true)
  }

  stop() {
    clearInterval(this.timer)
    this.timer = 0
    if (this.play) this.playing(false)
  }

  playing(on) {
    this.play.textContent = on ? "❚❚" : "▶"
    const label = on ? this.labels.pause : this.labels.play
    this.play.setAttribute("aria-label", label)
    this.play.title = label
  }

  // -------------------------------------------------------------- showing

  refresh() {
    const { state, store, labels } = this
    this.root.removeAttribute("data-painted")
    const view = this.views[state.view]
    if (this.inStage !== view) {
      this.inStage = view
      this.stage.replaceChildren(view.root)
    }
    ;[...this.tabs.children].forEach((tab) => {
      const on = tab.dataset.view === state.view
      tab.setAttribute("aria-selected", String(on))
      tab.tabIndex = on ? 0 : -1
    })
    this.stage.setAttribute("aria-label", labels.views[state.view])
    const single = state.view === "matrix" || state.view === "neuron"
    this.layerBox.hidden = store.available.length < 2
    this.slider.value = String(store.available.indexOf(state.layer))
    this.slider.setAttribute("aria-valuetext", fill(labels.layer_of, { n: state.layer + 1, all: store.layers }))
    this.layerName.textContent = fill(labels.layer_of, { n: state.layer + 1, all: store.layers })
    this.headBox.hidden = store.heads < 2
    this.headName.textContent = single ? labels.head : labels.heads
    this.all.hidden = single || state.view === "model"
    this.all.setAttribute("aria-pressed", String(state.heads.length === store.heads))
    this.chips.forEach((chip, head) => {
      const on = single ? head === state.heads[0] : state.heads.includes(head)
      chip.classList.toggle("on", on)
      chip.setAttribute("aria-pressed", String(on))
      chip.setAttribute("aria-label", fill(labels.head_n, { n: head + 1 }))
      chip.style.setProperty("--head", this.colour(head))
      chip.style.setProperty("--on", this.inkOver(this.colour(head)))
      if (!this.chips.includes(this.root.getRootNode().activeElement)) chip.tabIndex = head === state.heads[0] ? 0 : -1
    })
    this.filterBox.hidden = !store.pairs || state.view !== "head"
    this.filter.value = state.only
    this.free.hidden = state.row === null && state.column === null
    this.captionsOf(single ? [state.heads[0]] : state.heads)
    view.update()
    this.say(null)
    this.table()
  }

  captionsOf(heads) {
    const lines = this.captions && this.state.view !== "model" ? heads.slice(0, 4) : []
    this.captionBox.replaceChildren(
      ...lines.map((head) => {
        const line = el("div", "caption")
        const dot = el("b", "dot", String(head + 1))
        dot.style.setProperty("--head", this.colour(head))
        dot.style.setProperty("--on", this.inkOver(this.colour(head)))
        dot.setAttribute("aria-hidden", "true")
        const name = el("span", "sr", `${fill(this.labels.head_n, { n: head + 1 })}: `)
        line.append(dot, name, el("span", "", this.captions[this.state.layer][head]))
        return line
      })
    )
    if (lines.length < heads.length && lines.length) this.captionBox.append(el("div", "caption soft", fill(this.labels.more_heads, { n: heads.length - lines.length })))
    this.captionBox.hidden = !lines.length
  }

  captionLine(head) {
    const caption = this.captions?.[this.state.layer]?.[head]
    return fill(this.labels.head_n, { n: head + 1 }) + (caption ? `: ${caption}` : "")
  }

  name(layer, head) {
    return fill(this.labels.name, { layer: layer + 1, head: head + 1 })
  }

  /** One line under the picture that says what is pointed at; without words, what can be done. */
  say(text) {
    const shown = text ?? this.labels.hints[this.state.view]
    if (this.status.textContent !== shown) this.status.textContent = shown
    this.status.classList.toggle("idle", text === null)
  }

  waiting(on) {
    this.veil.hidden = !on
    this.root.setAttribute("aria-busy", String(on))
  }

  /** Says, for tests and measurements, that everything of this view is on screen. */
  painted() {
    this.root.dataset.painted = `${this.state.view} ${this.state.layer}`
  }

  focusView() {
    const target = this.stage.querySelector("[tabindex='0']")
    if (target) target.focus({ preventScroll: true })
  }

  width() {
    return this.stage.clientWidth || this.root.clientWidth || 640
  }

  // -------------------------------------------------------------- numbers and colours

  number(value, digits) {
    let format = this.number_.get(digits)
    if (!format) {
      format = new Intl.NumberFormat(this.labels.language, { minimumFractionDigits: digits, maximumFractionDigits: digits })
      this.number_.set(digits, format)
    }
    const text = format.format(value)
    return text.replace(/^-/, "−").replace(/^−(0[.,]?0*)$/, "$1")
  }

  count(n) {
    // Spanish groups thousands with a thin space (Ortografía, 2010), not with a dot.
    const parts = new Intl.NumberFormat(this.labels.language).formatToParts(n)
    return parts.map((p) => (p.type === "group" && this.labels.language === "es" ? "\u202f" : p.value)).join("")
  }

  /** A weight with as many decimals as are known of it: four, or with eight bits two figures that count. */
  weight(value, row) {
    if (!Number.isFinite(value)) return "–"
    if (value === 0) return this.number(0, this.store.fine(this.state.layer, row) ? 4 : 3)
    if (this.store.fine(this.state.layer, row)) return this.number(value, 4)
    return "≈ " + this.number(value, value >= 0.1 ? 2 : value >= 0.01 ? 3 : 4)
  }

  colour(head) {
    return this.theme.heads[head % this.theme.heads.length]
  }

  inkOver(hex) {
    const [r, g, b] = rgb(hex).map((v) => ((v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    return 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 ? "#000000" : "#ffffff"
  }

  inkOn(table, level) {
    const [r, g, b] = new Uint8Array(table.buffer, 4 * level, 3)
    return this.inkOver("#" + [r, g, b].map((v) => v.toString(16).padStart(2, "0")).join(""))
  }

  /** The legend: the colours from 0 to the top. */
  scaleLegend(top = 1, title = this.labels.scale) {
    const key = el("span", "key")
    const canvas = el("canvas", "ramp")
    canvas.width = 128
    canvas.height = 1
    const context = canvas.getContext("2d")
    const image = new ImageData(128, 1)
    const words = new Uint32Array(image.data.buffer)
    for (let k = 0; k < 128; k++) words[k] = this.theme.ramp[1 + Math.round((k / 127) * 254)]
    context.putImageData(image, 0, 0)
    canvas.setAttribute("aria-hidden", "true")
    key.append(el("span", "", "0"), canvas, el("span", "", this.number(top, top === 1 ? 0 : 2)))
    key.title = title
    return key
  }

  // -------------------------------------------------------------- weights of one token

  /** The weights of a row or column, meant over the chosen heads (of the first alone in the matrix); null if not here. */
  line(side, index) {
    const { store, state } = this
    if (!store.has(state.layer)) return null
    const heads = state.view === "matrix" || state.view === "neuron" ? [state.heads[0]] : state.heads
    const length = side === "row" ? store.columns.length : store.rows.length
    const sums = new Float64Array(length)
    for (const head of heads) {
      for (let k = 0; k < length; k++) sums[k] += side === "row" ? store.at(state.layer, head, index, k) : store.at(state.layer, head, k, index)
    }
    return sums.map((v) => v / heads.length)
  }

  /** What each token receives: the mean of its column over all rows and the chosen heads. */
  received() {
    const { store, state } = this
    if (!store.has(state.layer)) return null
    const [n, m] = [store.rows.length, store.columns.length]
    const { values, type } = store.planes.get(state.layer)
    const weight = type === "u2" ? WEIGHT16 : WEIGHT8
    const sums = new Float64Array(m)
    for (const head of state.heads) {
      for (let i = 0, at = head * n * m; i < n; i++) for (let j = 0; j < m; j++) sums[j] += weight[values[at++]]
    }
    return sums.map((v) => v / (state.heads.length * store.rows.length))
  }

  strongest(weights, n) {
    return Array.from(weights.keys())
      .filter((k) => weights[k] > 0)
      .sort((a, b) => weights[b] - weights[a])
      .slice(0, n)
  }

  // -------------------------------------------------------------- the text alternative

  lineTable(side, index) {
    const { labels, store, state } = this
    const heads = state.view === "matrix" || state.view === "neuron" ? [state.heads[0]] : state.heads
    const other = side === "row" ? store.columns : store.rows
    const title = fill(side === "row" ? labels.given_by : labels.received_of, { token: store.text(side, index), place: index + 1 })
    return {
      caption: title,
      head: [labels.token, ...heads.map((h) => fill(labels.head_n, { n: h + 1 }))],
      body: store.has(state.layer)
        ? other.map((_token, k) => [
            `${k + 1} ${store.text(side === "row" ? "column" : "row", k)}`,
            ...heads.map((h) => (side === "row" ? this.weight(store.at(state.layer, h, index, k), index) : this.weight(store.at(state.layer, h, k, index), k))),
          ])
        : [],
    }
  }

  table() {
    if (!this.details.open) return
    const { head, body, caption } = this.views[this.state.view].table()
    const table = el("table", "")
    table.append(el("caption", "", caption ?? `${this.labels.views[this.state.view]}. ${this.name(this.state.layer, this.state.heads[0])}`))
    const top = el("tr", "")
    head.forEach((text) => {
      const cell = el("th", "", text)
      cell.scope = "col"
      top.append(cell)
    })
    const thead = el("thead", "")
    thead.append(top)
    const tbody = el("tbody", "")
    for (const line of body) {
      const row = el("tr", "")
      line.forEach((text, k) => {
        const cell = el(k ? "td" : "th", "", text)
        if (!k) cell.scope = "row"
        row.append(cell)
      })
      tbody.append(row)
    }
    table.append(thead, tbody)
    this.tableBox.replaceChildren(table)
  }

  // -------------------------------------------------------------- files

  fileName(ending) {
    const { view, layer, heads } = this.state
    const names = { model: this.labels.file_model, head: this.labels.file_head, matrix: this.labels.file_matrix, neuron: this.labels.file_neuron, text: this.labels.file_text }
    const place = view === "model" ? "" : `-${layer + 1}-${heads.slice(0, 4).map((h) => h + 1).join("+")}`
    return `${names[view]}${place}.${ending}`
  }

  heading() {
    const { view, layer, heads } = this.state
    const name = view === "model" ? this.labels.views.model : fill(this.labels.heading, { layer: layer + 1, heads: heads.map((h) => h + 1).join(", ") })
    return this.title ? `${this.title} · ${name}` : name
  }

  saveSvg() {
    const view = this.views[this.state.view]
    const { width, height } = view.size()
    const pen = new SvgPen(width + 32, height + 56, this.theme, this.heading())
    pen.text(this.heading(), 16, 22, { size: 15, weight: 700, most: width })
    pen.parts.push('<g transform="translate(16 40)">')
    view.paint(pen)
    pen.parts.push("</g>")
    this.save(new Blob([pen.finish()], { type: "image/svg+xml" }), "svg")
  }

  savePng() {
    const view = this.views[this.state.view]
    const { width, height } = view.size()
    // Twice the size on screen, within what browsers draw.
    const scale = Math.min(2, 16000 / (height + 56), 16000 / (width + 32))
    const canvas = document.createElement("canvas")
    canvas.width = Math.round((width + 32) * scale)
    canvas.height = Math.round((height + 56) * scale)
    const context = canvas.getContext("2d")
    context.scale(scale, scale)
    const pen = new CanvasPen(context, this.theme)
    pen.rect(0, 0, width + 32, height + 56, this.theme.paper)
    pen.text(this.heading(), 16, 22, { size: 15, weight: 700, most: width })
    context.translate(16, 40)
    view.paint(pen)
    canvas.toBlob((blob) => this.save(blob, "png"), "image/png")
  }

  save(blob, ending) {
    const link = el("a", "")
    link.href = URL.createObjectURL(blob)
    link.download = this.fileName(ending)
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000)
  }
}

const apps = new WeakMap()

/** What Streamlit calls: at first, with new data, and when the theme changes. */
function attentionComponent({ data, parentElement, setStateValue }) {
  let app = apps.get(parentElement)
  if (!app) {
    app = new AttentionApp(parentElement)
    apps.set(parentElement, app)
  }
  app.send = (value) => setStateValue("selection", value)
  app.receive(data)
  return () => {
    app.destroy()
    apps.delete(parentElement)
  }
}
