// Draws a text with marks; the data is made by build_payload() in __init__.py.
// Text from people and models reaches the page through textContent and attributes, and nothing else.

const PAGE = 1500 // pieces drawn at first, and added by each "show more"
const SVG = "http://www.w3.org/2000/svg"
const views = new WeakMap()

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  let view = views.get(parentElement)
  if (!view) {
    view = new MarkedText(parentElement.querySelector(".mk"))
    views.set(parentElement, view)
  }
  view.choose = (id) => setTriggerValue("mark", id)
  view.update(data)
  return () => {
    view.close()
    views.delete(parentElement)
  }
}

function paint(node, tone, weight) {
  if (tone >= 0) node.classList.add("tone", "t" + tone)
  if (weight !== null && weight !== undefined) {
    node.classList.add(weight < 0 ? "minus" : "plus")
    node.style.setProperty("--w", String(Math.abs(weight)))
  }
}

class MarkedText {
  constructor(root) {
    this.root = root
    this.shown = PAGE
    this.seen = ""
    this.observer = new ResizeObserver(() => this.drawLinks())
    root.addEventListener("keydown", (event) => this.key(event))
    for (const kind of ["pointerover", "focusin"]) root.addEventListener(kind, (event) => this.tell(event.target))
    root.addEventListener("click", (event) => this.pick(event.target.closest(".m")))
  }

  close() {
    this.observer.disconnect()
    this.root.replaceChildren()
  }

  update(data) {
    this.root.dataset.theme = isDark(this.root) ? "dark" : "light"
    const text = data.pieces.map((piece) => piece[0]).join("")
    if (text !== this.text) this.shown = PAGE
    this.text = text
    const now = JSON.stringify(data)
    if (now === this.seen) return
    this.seen = now
    const at = this.focused()
    this.data = data
    this.draw()
    if (at >= 0) this.marks[Math.min(at, this.marks.length - 1)]?.focus()
  }

  focused() {
    const active = this.root.getRootNode().activeElement
    return this.marks ? this.marks.indexOf(active) : -1
  }

  draw() {
    const { data, root } = this
    root.replaceChildren()
    const box = el("div", "box")
    box.classList.toggle("linked", data.links.length > 0)
    box.setAttribute("role", "group")
    box.setAttribute("aria-label", data.labels.text)
    // A box that scrolls must be reachable by keyboard.
    box.tabIndex = 0
    const words = el("div", "words")
    this.marks = []
    this.byIndex = new Map()
    for (const [text, index] of data.pieces.slice(0, this.shown)) {
      if (index < 0) {
        words.append(document.createTextNode(text))
        continue
      }
      const mark = data.marks[index]
      const node = el("span", "m", text)
      paint(node, mark.tone, mark.weight)
      if (mark.label) {
        const caption = el("span", "cap", mark.label)
        node.append(caption)
      }
      if (mark.title || mark.id >= 0) {
        node.tabIndex = this.marks.length ? -1 : 0
        node.setAttribute("role", mark.id >= 0 ? "button" : "note")
        node.dataset.title = mark.title
        const spoken = [text.trim() || "·", mark.label, mark.title].filter(Boolean).join(". ")
        node.setAttribute("aria-label", spoken)
        if (mark.id >= 0) {
          node.dataset.id = String(mark.id)
          const chosen = mark.id === data.selected
          node.classList.toggle("sel", chosen)
          node.setAttribute("aria-pressed", String(chosen))
        }
        this.marks.push(node)
      }
      this.byIndex.set(index, node)
      words.append(node)
    }
    box.append(words)
    root.append(box)
    if (data.pieces.length > this.shown) {
      const more = el("button", "more", data.labels.more)
      more.type = "button"
      more.addEventListener("click", () => {
        this.shown += PAGE
        this.draw()
      })
      root.append(more)
    }
    if (data.legend.length) {
      const legend = el("div", "legend")
      for (const [key, isTone, words_] of data.legend) {
        const item = el("span", "key")
        const sample = el("span", "m", " ")
        paint(sample, isTone ? key : -1, isTone ? null : key)
        sample.setAttribute("aria-hidden", "true")
        item.append(sample, el("span", "", words_))
        legend.append(item)
      }
      root.append(legend)
    }
    this.note = null
    if (this.marks.some((node) => node.dataset.title)) {
      this.note = el("div", "note", "")
      root.append(this.note)
    }
    this.observer.disconnect()
    if (data.links.length) {
      const list = el("ul", "spoken")
      for (const [source, target, label] of data.links) {
        const from = this.byIndex.get(source)
        const to = this.byIndex.get(target)
        if (!from || !to) continue
        const said = data.labels.link
          .replace("{source}", () => from.firstChild.textContent)
          .replace("{target}", () => to.firstChild.textContent)
          .replace("{label}", () => label)
        list.append(el("li", "", said))
      }
      box.append(list)
      this.words = words
      this.observer.observe(words)
      this.drawLinks()
    }
  }

  drawLinks() {
    if (!this.data || !this.data.links.length || !this.words) return
    this.words.querySelector("svg")?.remove()
    const svg = document.createElementNS(SVG, "svg")
    svg.setAttribute("class", "arcs")
    svg.setAttribute("aria-hidden", "true")
    const frame = this.words.getBoundingClientRect()
    const middle = (node) => {
      const box = node.getClientRects()[0]
      return { x: box.left + box.width / 2 - frame.left, y: box.top - frame.top + 3 }
    }
    for (const [source, target, label, strength] of this.data.links) {
      const from = this.byIndex.get(source)
      const to = this.byIndex.get(target)
      if (!from || !to) continue
      const a = middle(from)
      const b = middle(to)
      const top = Math.min(a.y, b.y) - Math.min(34, 14 + Math.abs(a.x - b.x) / 8)
      const path = document.createElementNS(SVG, "path")
      path.setAttribute("d", `M ${a.x} ${a.y} C ${a.x} ${top}, ${b.x} ${top}, ${b.x} ${b.y - 6}`)
      path.setAttribute("stroke-width", String(1 + 3 * strength))
      path.setAttribute("stroke-opacity", String(0.35 + 0.65 * strength))
      const head = document.createElementNS(SVG, "path")
      head.setAttribute("class", "head")
      head.setAttribute("d", `M ${b.x - 6} ${b.y - 9} L ${b.x + 6} ${b.y - 9} L ${b.x} ${b.y} Z`)
      svg.append(path, head)
      if (label) {
        const text = document.createElementNS(SVG, "text")
        text.setAttribute("x", String((a.x + b.x) / 2))
        // Above the highest point of the curve, so that the line doesn't strike the label through.
        text.setAttribute("y", String(0.75 * top + (a.y + b.y - 6) / 8 - (1 + 3 * strength) / 2 - 4))
        text.setAttribute("text-anchor", "middle")
        text.textContent = label
        svg.append(text)
      }
    }
    this.words.append(svg)
  }

  tell(target) {
    const mark = target.closest?.(".m")
    if (this.note && mark) this.note.textContent = mark.dataset.title || ""
  }

  pick(mark) {
    if (!mark || mark.dataset.id === undefined) return
    this.choose(Number(mark.dataset.id))
  }

  key(event) {
    const here = this.focused()
    if (here < 0) return
    const last = this.marks.length - 1
    const to = { ArrowRight: here + 1, ArrowDown: here + 1, ArrowLeft: here - 1, ArrowUp: here - 1, Home: 0, End: last }[
      event.key
    ]
    if (to !== undefined) {
      const next = this.marks[Math.max(0, Math.min(last, to))]
      for (const node of this.marks) node.tabIndex = -1
      next.tabIndex = 0
      next.focus()
      event.preventDefault()
    } else if (event.key === "Enter" || event.key === " ") {
      this.pick(this.marks[here])
      event.preventDefault()
    }
  }
}
