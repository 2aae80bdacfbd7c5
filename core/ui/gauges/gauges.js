// Gauges with a value, a meter, a curve of the last minutes and marks of what happened. Data: payload() in __init__.py.
// It asks for new readings itself, with a trigger, while the tab can be seen: a hidden tab costs nobody anything.

const SVG = "http://www.w3.org/2000/svg"
const running = new WeakMap()

const shape = (name, className, attributes) => {
  const node = document.createElementNS(SVG, name)
  node.setAttribute("class", className)
  Object.entries(attributes).forEach(([key, value]) => node.setAttribute(key, String(value)))
  return node
}

const meterNode = (card, before) => {
  const meter = el("div", "meter")
  meter.setAttribute("role", "meter")
  meter.setAttribute("aria-label", card.title)
  meter.setAttribute("aria-valuemin", "0")
  meter.setAttribute("aria-valuemax", "100")
  meter.setAttribute("aria-valuenow", String(Math.round(card.share * 100)))
  meter.setAttribute("aria-valuetext", card.value)
  const fill = el("div", card.share > 0.9 ? "fill hot" : "fill")
  // It begins where it stood, so that the change can be seen.
  fill.style.width = `${(before ?? card.share) * 100}%`
  requestAnimationFrame(() => { fill.style.width = `${card.share * 100}%` })
  meter.append(fill)
  return meter
}

const curveNode = (card, span, axis) => {
  const box = el("div", "curve")
  const svg = shape("svg", "", { viewBox: "0 0 600 100", preserveAspectRatio: "none", role: "img", "aria-label": card.alt })
  const x = (age) => 600 * (1 - age / span)
  ;[0, 50, 100].forEach((y) => svg.append(shape("line", "grid", { x1: 0, x2: 600, y1: y, y2: y })))
  const points = card.curve.map(([age, value]) => [x(age).toFixed(1), (100 - value).toFixed(1)])
  if (points.length > 1) {
    const path = points.map((point) => point.join(",")).join(" ")
    svg.append(shape("polygon", "area", { points: `${points[0][0]},100 ${path} ${points[points.length - 1][0]},100` }))
    svg.append(shape("polyline", "line", { points: path }))
  }
  card.marks.forEach(([age]) => svg.append(shape("line", "mark", { x1: x(age), x2: x(age), y1: 0, y2: 100 })))
  box.append(svg)
  card.marks.slice(-3).forEach(([age, text], index) => {
    const tag = el("span", "tag", text)
    tag.title = text
    const left = 100 * (1 - age / span)
    if (left < 45) tag.classList.add("left")
    tag.style.left = `${left}%`
    tag.style.top = `${index * 1.5}rem`
    box.append(tag)
  })
  const scale = el("div", "axis")
  axis.forEach((label) => scale.append(el("span", "", label)))
  scale.setAttribute("aria-hidden", "true")
  const whole = el("div", "")
  whole.append(box, scale)
  return whole
}

const coresNode = (card) => {
  const row = el("div", "cores")
  row.setAttribute("role", "img")
  row.setAttribute("aria-label", card.cores_alt)
  card.cores.forEach((percent) => {
    const core = el("span", "core")
    const level = el("i")
    level.style.height = `${percent}%`
    core.append(level)
    row.append(core)
  })
  return row
}

const cardNode = (card, data, before) => {
  const node = el("li", "card")
  const head = el("div", "head")
  head.append(el("span", "title", card.title), el("span", "value", card.value))
  node.append(head)
  if (card.share !== null) node.append(meterNode(card, before))
  if (card.why) node.append(el("p", "why", card.why))
  if (card.curve.length > 1) node.append(curveNode(card, data.span, data.axis))
  if (card.cores.length) node.append(coresNode(card))
  if (card.facts.length) {
    const facts = el("dl", "facts")
    card.facts.forEach(([name, value]) => facts.append(el("dt", "", name), el("dd", "", value)))
    node.append(facts)
  }
  return node
}

const stop = (root) => {
  const timer = running.get(root)
  if (!timer) return
  clearInterval(timer.id)
  document.removeEventListener("visibilitychange", timer.wake)
  running.delete(root)
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".gauges")
  if (!root || !data) return
  stop(root)
  root.classList.toggle("dark", isDark(root))
  root.classList.toggle("compact", data.compact)
  const before = JSON.parse(root.dataset.shares ?? "{}")
  root.replaceChildren(...data.cards.map((card) => cardNode(card, data, before[card.title])))
  root.dataset.shares = JSON.stringify(Object.fromEntries(data.cards.map((card) => [card.title, card.share])))
  const ask = () => {
    if (document.visibilityState !== "visible") return
    root.dataset.asked = String(Number(root.dataset.asked ?? 0) + 1)
    setTriggerValue("tick", Date.now())
  }
  const wake = () => ask()
  document.addEventListener("visibilitychange", wake)
  running.set(root, { id: setInterval(ask, data.every), wake })
  return () => stop(root)
}
