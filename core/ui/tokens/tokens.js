// Draws a comparison of tokenizers; the data is made by build_payload() in __init__.py.
//
// Text from people and vocabularies reaches the page through textContent, attributes and nothing else.
// Nodes are made in pages of words; hovering toggles classes on the nodes of the words concerned alone.

const PAGE = 400 // words and signs drawn at first, and added by each "show more"
const PIECES = 240 // pieces drawn of one word, before "show more" asks for the rest
const SPOKEN = 40 // pieces read aloud or put in the status line
const HUES = 4
const ROW_COLOURS = 10

const SPACE = 0
const WORD = 1
const PIECE = 0
const SPECIAL = 1
const UNKNOWN = 2
const BYTES = 3

const RTL = /[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u
const INVISIBLE = /^[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u3164\ufe00-\ufe0f\uffa0]+$/u
const STARTS_WITH_MARK = /^\p{M}/u

const views = new WeakMap()

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  let view = views.get(parentElement)
  if (!view) {
    view = new TokenView(parentElement)
    views.set(parentElement, view)
  }
  view.choose = (unit) => setTriggerValue("word", unit)
  view.update(data)
  return () => {
    view.root.remove()
    views.delete(parentElement)
  }
}

// ---------------------------------------------------------------- small helpers

function hidden(node) {
  node.setAttribute("aria-hidden", "true")
  return node
}

function direction(text) {
  const letter = text.match(/\p{L}/u)
  return letter && RTL.test(letter[0]) ? "rtl" : "ltr"
}

/** What stands on screen for a text that would otherwise be invisible or disturb its neighbours. */
function visible(text) {
  if (!INVISIBLE.test(text)) return text
  return Array.from(text, (c) => "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")).join(" ")
}

function glyph(character) {
  if (character === "\n") return "⏎"
  if (character === "\r") return "␍"
  if (character === "\t") return "→"
  if (character === "\u00a0" || character === "\u202f" || character === "\u2007") return "⍽"
  return "·"
}

const glyphs = (white) => Array.from(white, glyph).join("")

/** [1,2,3,5] → "1–3 5", one item a line while there are few. */
function numerals(rows) {
  const runs = []
  for (const row of rows) {
    const last = runs[runs.length - 1]
    if (last && last[1] === row - 1) last[1] = row
    else runs.push([row, row])
  }
  const texts = runs.flatMap(([a, b]) => (b - a < 2 ? (a === b ? [a + 1] : [a + 1, b + 1]) : [`${a + 1}–${b + 1}`]))
  return texts.length <= 3 ? texts.join("\n") : texts.join(" ")
}

function warningSign() {
  const ns = "http://www.w3.org/2000/svg"
  const svg = document.createElementNS(ns, "svg")
  svg.setAttribute("viewBox", "0 0 16 16")
  svg.setAttribute("class", "warn")
  hidden(svg)
  const path = document.createElementNS(ns, "path")
  path.setAttribute("d", "M8 1.2 15.4 14.6H.6ZM7.2 6v4.4h1.6V6Zm0 5.6v1.6h1.6v-1.6Z")
  path.setAttribute("fill", "currentColor")
  path.setAttribute("fill-rule", "evenodd")
  svg.append(path)
  return svg
}

// ---------------------------------------------------------------- the view

class TokenView {
  constructor(host) {
    this.signature = null
    this.text = null
    this.selected = -1
    this.current = 0
    this.lit = null
    this.panels = []
    this.root = el("div", "tk")
    host.append(this.root)
    this.root.addEventListener("pointerover", (event) => this.onPointer(event))
    this.root.addEventListener("pointerleave", () => this.rest())
    this.root.addEventListener("focusin", (event) => this.onFocus(event))
    this.root.addEventListener("focusout", (event) => this.root.contains(event.relatedTarget) || this.rest())
    this.root.addEventListener("click", (event) => this.onClick(event))
    this.root.addEventListener("keydown", (event) => this.onKey(event))
  }

  update(data) {
    const { segments, rows, options, labels } = data
    this.root.dataset.theme = isDark(this.root) ? "dark" : "light"
    const text = segments.map((s) => s[0]).join("")
    if (text !== this.text) {
      this.text = text
      this.limit = PAGE
      this.cap = PIECES
      this.current = Math.max(options.selected, 0)
      this.scroll = 0
    }
    while (this.limit <= options.selected) this.limit += PAGE
    const signature = JSON.stringify([segments, rows, labels, options.ids, options.spaces, options.marks])
    if (signature !== this.signature) {
      this.signature = signature
      this.data = data
      this.build()
    }
    if (options.selected >= this.drawn) this.extend()
    this.select(options.selected)
  }

  // -------------------------------------------------------------- building

  build() {
    const focus = this.focused()
    if (this.body) this.scroll = this.body.scrollTop
    this.read()
    this.lit = null
    this.nodes = new Map()
    this.drawn = 0
    const { rows, options, labels } = this.data
    this.root.className = "tk"
    this.root.setAttribute("role", "group")
    this.root.setAttribute("aria-label", labels.view)
    this.root.classList.toggle("ids", options.ids)
    this.root.style.setProperty("--stack", String(this.stack))

    const grid = el("div", rows.length > 1 ? "grid many" : "grid")
    grid.classList.toggle("long", rows.length > 2)
    this.panels = [this.textPanel(), ...rows.map((_, index) => this.rowPanel(index))]
    grid.append(...this.panels.slice(1).map((panel) => panel.node))

    this.status = el("div", rows.length > 4 ? "status crowd" : "status")
    this.status.style.setProperty("--rows", String(rows.length))
    this.status.setAttribute("aria-live", "polite")
    this.status.setAttribute("role", "status")

    this.rest_ = el("div", "rest")
    this.note = el("span", "note")
    this.button = el("button", "more", labels.more)
    this.button.type = "button"
    this.button.onclick = () => this.more()
    this.rest_.append(this.note, this.button)

    this.root.replaceChildren(this.panels[0].node, grid, this.rest_, this.status)
    this.extend()
    this.body.scrollTop = this.scroll
    this.mark(this.selected, true)
    this.say(null)
    if (focus === "more") this.button.focus()
    else if (focus !== null) this.focusPanel(Math.min(focus, this.panels.length - 1))
  }

  /** Indexes the data: units, where lines break, tokens in groups (the pieces of one word). */
  read() {
    const { segments, rows, labels } = this.data
    this.number = new Intl.NumberFormat(labels.language === "es" ? "es" : "en")
    this.units = []
    let words = 0
    let newline = false
    segments.forEach(([text, kind, unit, parts], index) => {
      if (kind === SPACE) {
        newline = newline || text.includes("\n")
        return
      }
      const hue = kind === WORD ? `h${words++ % HUES}` : "hx"
      this.units[unit] = { text, kind, index, parts, hue, newline: newline && unit > 0 }
      newline = false
    })
    this.groups = rows.map((row) => this.group(row.tokens))
    this.cutsExist = false
    this.severalExist = false
    this.insideExists = false
    this.stack = 1
    for (const { parts } of this.units) {
      for (const [, cutRows, inside] of parts || []) {
        if (!cutRows.length) continue
        this.cutsExist = true
        if (inside) this.insideExists = true
        if (cutRows.length > 1 && cutRows.length < rows.length) {
          this.severalExist = true
          this.stack = Math.max(this.stack, numerals(cutRows).split("\n").length)
        }
      }
    }
  }

  /** Runs of tokens that share a word: {first, last, tokens}; first is -1 for special tokens and white space. */
  group(tokens) {
    const groups = []
    let open = null
    for (const token of tokens) {
      const [, , , , unit, last] = token
      if (open && unit >= 0 && unit <= open.last) {
        open.tokens.push(token)
        open.last = Math.max(open.last, last)
      } else {
        open = { first: unit, last: Math.max(unit, last), tokens: [token] }
        groups.push(open)
        if (unit < 0) open = null
      }
    }
    return groups
  }

  count(n) {
    // Spanish groups thousands with a thin space (Ortografía, 2010), not with a dot.
    const parts = this.number.formatToParts(n)
    const spanish = this.data.labels.language === "es"
    return parts.map((p) => (p.type === "group" && spanish ? "\u202f" : p.value)).join("")
  }

  badge(row, className = "badge") {
    return hidden(el("span", `${className} r${row % ROW_COLOURS}`, String(row + 1)))
  }

  list(label, rtl) {
    const list = el("div", "words")
    list.setAttribute("role", "list")
    list.setAttribute("aria-label", label)
    if (rtl) list.dir = rtl
    return list
  }

  textPanel() {
    const { labels } = this.data
    const node = el("section", "panel text")
    node.setAttribute("role", "group")
    node.setAttribute("aria-label", labels.text)
    const head = el("div", "head")
    head.append(el("div", "name", labels.text), this.legend())
    this.body = el("div", "body")
    const list = this.list(labels.text_list)
    list.dir = "auto"
    this.body.append(list)
    node.append(head, this.body)
    return { node, list, row: -1, cursor: 0, order: [], byUnit: new Map(), stop: null }
  }

  legend() {
    const { labels, options, rows } = this.data
    const legend = el("div", "legend")
    const item = (text, ...nodes) => {
      const entry = el("span", "key")
      entry.append(...nodes, el("span", "", text))
      legend.append(entry)
    }
    const bar = (className) => hidden(el("span", `cut ${className}`))
    if (options.marks && this.cutsExist) {
      legend.append(el("span", "title", labels.legend + ":"))
      if (rows.length === 1) item(labels.legend_cut, bar("all"))
      else {
        rows.forEach((row, index) =>
          item(fill(labels.legend_only, { name: row.name }), bar(`solo r${index % ROW_COLOURS}`), this.badge(index))
        )
        if (this.severalExist) item(labels.legend_some, bar("some"), hidden(el("span", "tiny", "1 2")))
        item(labels.legend_all, bar("all"))
      }
      if (this.insideExists) item(labels.legend_inside, bar("all inside"))
    }
    if (options.spaces) legend.append(el("span", "key glyphs", labels.spaces_legend))
    return legend
  }

  rowPanel(index) {
    const { rows, labels } = this.data
    const row = rows[index]
    const node = el("section", "panel row")
    node.setAttribute("role", "group")
    node.setAttribute("aria-label", row.name)
    const title = el("div", "title")
    title.append(el("div", "name", row.name))
    if (row.detail) title.append(el("div", "detail", row.detail))
    const added = row.tokens.filter((t) => t[2] === SPECIAL && t[4] < 0 && !t[7]).length
    const own = row.tokens.length - added
    const tally = el("div", "tally")
    const main = el("div", "")
    main.append(el("span", "number", this.count(own)), " ", own === 1 ? labels.token_one : labels.token_many)
    tally.append(main)
    if (added) {
      const template = added === 1 ? labels.special_one : labels.special_many
      tally.append(el("div", "detail", fill(template, { n: this.count(added) })))
    }
    const lost = row.tokens.filter((t) => t[2] === UNKNOWN).length
    if (lost) {
      const line = el("div", "detail unknowns")
      line.append(warningSign(), fill(lost === 1 ? labels.lost_one : labels.lost_many, { n: this.count(lost) }))
      tally.append(line)
    }
    const head = el("div", "head")
    head.append(this.badge(index, "badge big"), title, tally)
    const list = this.list(fill(labels.panel, { name: row.name }), direction(this.text))
    list.classList.add("chips")
    node.append(head, list)
    return { node, list, row: index, cursor: 0, order: [], byUnit: new Map(), stop: null }
  }

  /** Draws what lies between what is drawn and the limit. */
  extend() {
    this.root.classList.toggle("marks", this.data.options.marks)
    this.truncated = false
    this.extendText()
    this.panels.slice(1).forEach((panel) => this.extendRow(panel))
    this.drawn = Math.min(this.limit, this.units.length)
    const missing = this.units.length - this.drawn
    const { labels } = this.data
    this.rest_.hidden = !missing && !this.truncated
    this.note.textContent = !missing
      ? labels.hidden_pieces
      : fill(missing === 1 ? labels.hidden_one : labels.hidden_many, { n: this.count(missing) })
    this.tabStops()
  }

  register(panel, node, first, last) {
    node.dataset.i = String(panel.order.length)
    panel.order.push({ node, first, last })
    for (let unit = first; unit <= last; unit++) {
      if (!panel.byUnit.has(unit)) panel.byUnit.set(unit, panel.order.length - 1)
      if (!this.nodes.has(unit)) this.nodes.set(unit, [])
      this.nodes.get(unit).push(node)
    }
  }

  wordButton(className, first, last, label) {
    const node = el("span", className)
    node.setAttribute("role", "button")
    node.tabIndex = -1
    node.dataset.u = String(first)
    node.dataset.e = String(last)
    node.setAttribute("aria-label", label)
    return node
  }

  extendText() {
    const { segments, options, labels, rows } = this.data
    const panel = this.panels[0]
    const out = document.createDocumentFragment()
    while (panel.cursor < segments.length) {
      const [text, kind, unit, parts] = segments[panel.cursor]
      if (kind !== SPACE && unit >= this.limit) break
      panel.cursor++
      if (kind === SPACE) {
        // A zero-width space after each glyph keeps the places where a line may break.
        const shown = options.spaces
          ? Array.from(text, (c) => glyph(c) + (c === "\n" ? "\n" : "\u200b")).join("")
          : text
        out.append(hidden(el("span", "ws", shown)))
        continue
      }
      const counts = rows.map((row, index) => {
        const n = this.tokensOf(index, unit).length
        return fill(n === 1 ? labels.count_one : labels.count_many, { name: row.name, n: this.count(n) })
      })
      const label = fill(labels.in_text, { word: this.short(visible(text)), counts: counts.join("; ") })
      const button = this.wordButton("w", unit, unit, label)
      if (!parts) button.append(this.shown(text))
      else this.appendParts(button, parts)
      const item = el("span", "item")
      item.setAttribute("role", "listitem")
      item.append(button)
      out.append(item)
      this.register(panel, button, unit, unit)
    }
    panel.list.append(out)
  }

  shown(text) {
    const shown = visible(text)
    return shown === text ? document.createTextNode(text) : el("span", "code", shown)
  }

  appendParts(button, parts) {
    const all = this.data.rows.length
    parts.slice(0, this.cap).forEach(([text, rows, inside]) => {
      if (rows.length) {
        const kind = rows.length === all ? "all" : rows.length === 1 ? `solo r${rows[0] % ROW_COLOURS}` : "some"
        const cut = hidden(el("span", `cut ${kind}${inside ? " inside" : ""}`))
        if (rows.length < all) {
          const label = numerals(rows)
          cut.dataset.n = label
          if (label.includes(" ")) cut.classList.add("wide")
        }
        button.append(cut)
      }
      button.append(this.shown(text))
    })
    if (parts.length > this.cap) {
      this.truncated = true
      button.append(parts.slice(this.cap).map((part) => part[0]).join(""))
    }
  }

  extendRow(panel) {
    const groups = this.groups[panel.row]
    const out = document.createDocumentFragment()
    while (panel.cursor < groups.length) {
      const group = groups[panel.cursor]
      if (group.first >= this.limit) break
      if (group.first < 0 && this.limit < this.units.length && panel.cursor === groups.length - 1) break
      panel.cursor++
      const item = el("span", "item")
      item.setAttribute("role", "listitem")
      if (group.first < 0) {
        item.append(this.chip(group.tokens[0]))
        out.append(item)
        continue
      }
      const unit = this.units[group.first]
      if (unit.newline) out.append(hidden(el("span", "br")))
      const word = this.wordText(group.first, group.last)
      const button = this.wordButton(`g ${unit.hue}`, group.first, group.last, this.spoken(word, group.tokens))
      button.dir = direction(word)
      this.appendChips(button, group.tokens)
      item.append(button)
      out.append(item)
      this.register(panel, button, group.first, group.last)
    }
    panel.list.append(out)
  }

  /** The chips of one word; pieces that share a grapheme cluster stand together under the whole cluster. */
  appendChips(button, tokens) {
    const drawn = tokens.slice(0, this.cap)
    for (let i = 0; i < drawn.length; ) {
      let end = i + 1
      while (end < drawn.length && drawn[end][3] === 2) end++
      const run = drawn.slice(i, end)
      const kind = run[0][2]
      if (run.length === 1 && kind !== BYTES) button.append(this.chip(run[0]))
      else button.append(this.cluster(run))
      i = end
    }
    if (tokens.length > this.cap) {
      this.truncated = true
      const left = fill(this.data.labels.hidden_chip, { n: this.count(tokens.length - this.cap) })
      button.append(el("span", "c rest-chip", left))
    }
  }

  cluster(run) {
    const { labels } = this.data
    const source = run.map((token) => token[7]).join("")
    const bytes = run.some((token) => token[2] === BYTES)
    const node = el("span", "cl")
    const whole = el("bdi", "whole")
    whole.append(this.shown(this.short(source.trim() || source)))
    const template = bytes ? labels.bytes_title : labels.cluster_title
    whole.title = fill(template, { source: this.short(source) })
    const parts = el("span", "parts")
    parts.append(...run.map((token) => this.chip(token, whole.title)))
    node.append(whole, parts)
    return node
  }

  chip(token, title) {
    const { labels, options } = this.data
    const [text, id, kind, , unit, , piece, source] = token
    const chip = el("span", "c")
    chip.dir = "auto"
    const body = el("span", "t")
    const lead = text.match(/^\s*/)[0]
    const rest = text.slice(lead.length)
    chip.title = title || fill(labels.piece_title, { piece, id: String(id) })
    if (!rest) {
      chip.classList.add("blank")
      if (unit < 0) chip.title = labels.space_title
      body.append(el("span", "dim", lead ? glyphs(lead) : "∅"))
    } else {
      const odd = lead && lead !== " "
      if (lead && (options.spaces || odd)) body.append(el("span", "dim", glyphs(lead)))
      const wordPiece = kind === PIECE && rest.startsWith("##") && piece.startsWith("##") && !source.startsWith("##")
      const letters = wordPiece ? rest.slice(2) : rest
      if (kind === UNKNOWN) body.append(warningSign())
      if (wordPiece) body.append(el("span", "dim", "##"))
      // A combining mark alone is drawn on a dotted circle, not on its neighbour.
      const base = STARTS_WITH_MARK.test(letters) ? "\u25cc" : ""
      const trailing = letters.match(/\s*$/)[0]
      const core = letters.slice(0, letters.length - trailing.length)
      body.append(base + visible(core).replace(/\n/g, "⏎"))
      if (trailing) body.append(el("span", "dim", glyphs(trailing)))
    }
    if (kind === SPECIAL) {
      chip.classList.add("special")
      if (unit < 0) chip.title = labels.special_title
    } else if (kind === UNKNOWN) {
      chip.classList.add("unknown")
      const lost = source.trim()
      if (lost) {
        const gone = el("span", "gone")
        const letters = el("bdi", "")
        letters.append(this.shown(this.short(lost)))
        gone.append(letters)
        body.append(gone)
      }
      chip.title = fill(labels.unknown_title, { source: this.short(lost) })
    } else if (kind === BYTES) chip.classList.add("bytes")
    chip.append(body)
    if (options.ids) chip.append(el("span", "id", String(id)))
    return chip
  }

  // -------------------------------------------------------------- words and what is said of them

  /** The tokens of row `index` that belong to the word `unit`, with those of a group that covers it. */
  tokensOf(index, unit) {
    if (!this.lookup || this.lookup.groups !== this.groups) {
      const maps = this.groups.map((groups) => {
        const map = new Map()
        for (const group of groups) {
          for (let u = Math.max(group.first, 0); group.first >= 0 && u <= group.last; u++) map.set(u, group)
        }
        return map
      })
      this.lookup = { groups: this.groups, maps }
    }
    const group = this.lookup.maps[index].get(unit)
    return group ? group.tokens : []
  }

  wordText(first, last) {
    if (first === last) return this.units[first].text
    const segments = this.data.segments.slice(this.units[first].index, this.units[last].index + 1)
    return segments.map((s) => s[0]).join("")
  }

  /** At most 48 characters of a text, never cutting a surrogate pair. */
  short(text) {
    if (text.length <= 48) return text
    const characters = Array.from(text.slice(0, 400))
    return characters.length > 48 || text.length > 400 ? characters.slice(0, 48).join("") + "…" : text
  }

  pieceText(token) {
    const text = token[0].trim()
    if (!text) return glyphs(token[0]) || "∅"
    return token[2] === UNKNOWN ? `${text} (${this.data.labels.unknown})` : visible(text)
  }

  spoken(word, tokens) {
    const { labels } = this.data
    const pieces = tokens.slice(0, SPOKEN).map((token) => this.pieceText(token))
    if (tokens.length > SPOKEN) pieces.push("…")
    return fill(tokens.length === 1 ? labels.word_one : labels.word_many, {
      word: this.short(visible(word)),
      n: this.count(tokens.length),
      pieces: pieces.join(", "),
    })
  }

  /** The status line: a word and what each tokenizer makes of it, or the hint. */
  say(range) {
    const { labels, rows } = this.data
    // Pointed at, the line stays in sight at the foot of the window; otherwise it covers nothing.
    this.status.classList.toggle("idle", !range)
    const shown = range || (this.selected >= 0 && this.selected < this.units.length ? [this.selected, this.selected] : null)
    if (!shown) {
      this.status.replaceChildren(el("div", "hint", labels.hint))
      return
    }
    const word = this.wordText(shown[0], shown[1])
    const title = el("div", "word")
    title.append(el("bdi", "", this.short(visible(word))))
    if (shown[0] === this.selected) title.append(el("span", "chosen", labels.chosen))
    const list = el("div", "answers")
    rows.forEach((row, index) => {
      const tokens = this.range(index, shown)
      const line = el("div", "answer")
      line.append(this.badge(index), el("span", "who", row.name), hidden(el("span", "sep", ":")))
      const pieces = el("span", "pieces")
      if (!tokens.length) pieces.append(el("span", "dim", labels.none))
      tokens.slice(0, SPOKEN).forEach((token) => {
        const entry = el("span", token[2] === UNKNOWN ? "piece lost" : "piece")
        entry.append(el("bdi", "", this.pieceText(token)), " ", el("span", "num", String(token[1])))
        pieces.append(entry, " ")
      })
      if (tokens.length > SPOKEN) pieces.append("…")
      line.append(pieces)
      list.append(line)
    })
    this.status.replaceChildren(title, list)
  }

  range(index, [first, last]) {
    const out = []
    for (let unit = first; unit <= last; unit++) {
      for (const token of this.tokensOf(index, unit)) if (!out.includes(token)) out.push(token)
    }
    return out
  }

  // -------------------------------------------------------------- light, ring, tab stops

  light(range) {
    const same = this.lit && range && this.lit[0] === range[0] && this.lit[1] === range[1]
    if (same || (!this.lit && !range)) return
    this.toggle(this.lit, "on", false)
    this.toggle(range, "on", true)
    this.lit = range
    this.root.classList.toggle("lit", range !== null)
    this.say(range)
  }

  /** Nothing is pointed at: the word that has the keyboard, or none. */
  rest() {
    const active = this.root.getRootNode().activeElement
    const node = active && this.root.contains(active) ? active.closest("[data-u]") : null
    this.light(node && node.matches(":focus-visible") ? rangeOf(node) : null)
  }

  toggle(range, className, on) {
    if (!range) return
    for (let unit = range[0]; unit <= range[1]; unit++) {
      for (const node of this.nodes.get(unit) || []) node.classList.toggle(className, on)
    }
  }

  select(unit) {
    if (unit === this.selected) return
    this.mark(this.selected, false)
    this.selected = unit
    this.mark(unit, true)
    this.say(this.lit)
  }

  mark(unit, on) {
    for (const node of this.nodes.get(unit) || []) {
      node.classList.toggle("sel", on)
      if (on) node.setAttribute("aria-current", "true")
      else node.removeAttribute("aria-current")
    }
  }

  /** One tab stop a panel, at the current word or the nearest that the panel has. */
  tabStops() {
    for (const panel of this.panels) {
      const entry = panel.order[this.place(panel, this.current)]
      if (panel.stop && panel.stop !== entry) panel.stop.node.tabIndex = -1
      if (entry) entry.node.tabIndex = 0
      panel.stop = entry || null
    }
  }

  place(panel, unit) {
    const exact = panel.byUnit.get(unit)
    if (exact !== undefined) return exact
    const later = panel.order.findIndex((entry) => entry.first > unit)
    return later < 0 ? panel.order.length - 1 : later
  }

  focused() {
    const active = this.root.getRootNode().activeElement
    if (!active || !this.root.contains(active)) return null
    if (active === this.button) return "more"
    const index = this.panels.findIndex((panel) => panel.node.contains(active))
    return index < 0 ? null : index
  }

  focusPanel(index, place) {
    const panel = this.panels[index]
    if (!panel) return
    const entry = panel.order[place === undefined ? this.place(panel, this.current) : place]
    if (entry) entry.node.focus()
  }

  /** Brings the word into sight inside the text's own box, without moving the page. */
  reveal(unit) {
    const place = this.panels[0].byUnit.get(unit)
    if (place === undefined || this.body.scrollHeight <= this.body.clientHeight) return
    const box = this.body.getBoundingClientRect()
    const word = this.panels[0].order[place].node.getBoundingClientRect()
    if (word.top < box.top) this.body.scrollTop -= box.top - word.top + 8
    else if (word.bottom > box.bottom) this.body.scrollTop += word.bottom - box.bottom + 8
  }

  // -------------------------------------------------------------- events

  onPointer(event) {
    if (event.pointerType === "touch") return
    const node = event.target.closest("[data-u]")
    if (!node) {
      // Between two words of a list the light stays, so that it does not flicker on the way.
      if (!event.target.closest(".words")) this.rest()
      return
    }
    const range = rangeOf(node)
    this.light(range)
    if (!this.panels[0].node.contains(node)) this.reveal(range[0])
  }

  onFocus(event) {
    const node = event.target.closest("[data-u]")
    if (!node) return
    const range = rangeOf(node)
    if (this.current < range[0] || this.current > range[1]) this.current = range[0]
    this.tabStops()
    this.light(range)
    this.reveal(range[0])
  }

  onClick(event) {
    const node = event.target.closest("[data-u]")
    if (!node) return
    const [first, last] = rangeOf(node)
    this.current = first <= this.current && this.current <= last ? this.current : first
    node.focus({ preventScroll: true })
    this.light([first, last])
    this.choose(this.current)
  }

  onKey(event) {
    const node = event.target.closest("[data-u]")
    if (!node || event.altKey || event.ctrlKey || event.metaKey) return
    const index = this.panels.findIndex((panel) => panel.node.contains(node))
    const panel = this.panels[index]
    const place = Number(node.dataset.i)
    const rtl = getComputedStyle(panel.list).direction === "rtl"
    const step = { ArrowRight: rtl ? -1 : 1, ArrowLeft: rtl ? 1 : -1 }[event.key]
    if (event.key === "Enter" || event.key === " ") {
      if (!event.repeat) this.choose(this.current)
    } else if (step) this.goTo(index, place + step)
    else if (event.key === "Home") this.goTo(index, 0)
    else if (event.key === "End") this.goTo(index, panel.order.length - 1)
    else if (event.key === "ArrowDown") this.focusPanel(index + 1)
    else if (event.key === "ArrowUp") this.focusPanel(index - 1)
    else return
    event.preventDefault()
  }

  goTo(index, place) {
    const entry = this.panels[index].order[place]
    if (!entry) return
    this.current = entry.first
    this.focusPanel(index, place)
  }

  more() {
    if (this.drawn < this.units.length) {
      const first = this.drawn
      this.limit += PAGE
      this.extend()
      this.mark(this.selected, true)
      if (this.rest_.hidden) {
        this.current = first
        this.focusPanel(0)
      }
    } else {
      this.cap *= 4
      this.build()
      if (this.rest_.hidden) this.focusPanel(0)
    }
  }
}

function rangeOf(node) {
  return [Number(node.dataset.u), Number(node.dataset.e)]
}
