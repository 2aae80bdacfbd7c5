// A time axis with lanes. Data: see payload() in __init__.py.
// Idempotent: it is run again whenever the data or the theme changes; the zoom and the focus stay.

const ROW = 34
const HEAD = 26
const GAP = 6
const STEP = 1.6
const MOST = 40
// Narrower than this, the whole of history in one screen would be a wall of rows.
const READABLE = 900

const states = new WeakMap()

const place = (scale, year) => {
  let index = scale.findIndex(([knot]) => knot > year)
  if (index === -1) index = scale.length - 1
  index = Math.max(1, index)
  const [left, from] = scale[index - 1]
  const [right, to] = scale[index]
  return from + ((to - from) * (year - left)) / (right - left)
}

// The first row in which [from, to] touches nothing.
const freeRow = (rows, from, to) => {
  let row = 0
  while (rows[row]?.some(([a, b]) => from < b + GAP && to + GAP > a)) row += 1
  rows[row] = [...(rows[row] ?? []), [from, to]]
  return row
}

const layOut = (state) => {
  const { data, view, inner, lanes, ticks } = state
  const width = Math.max(200, view.clientWidth - 2)
  // Until somebody zooms: the first layout may come before the page has its width.
  if (!state.zoomed) state.zoom = Math.max(1, READABLE / width)
  const total = width * state.zoom
  inner.style.width = `${total}px`
  const left = 12
  const span = total - 2 * left
  const x = (year) => left + span * place(data.scale, year)
  lanes.forEach(({ node, body, chips }) => {
    const rows = []
    chips.forEach(({ chip, year }) => {
      const size = Math.min(chip.scrollWidth + 2, 240)
      const at = x(year)
      const flip = at + size > total - 2 && at - size > 0
      const from = flip ? at - size : Math.min(at, Math.max(0, total - size - 2))
      chip.classList.toggle("flip", flip)
      chip.style.left = `${from}px`
      chip.style.top = `${freeRow(rows, from, from + size) * ROW}px`
    })
    body.style.height = `${Math.max(1, rows.length) * ROW}px`
    node.style.width = `${total}px`
  })
  let free = -Infinity
  ticks.forEach(({ tick, label, year }) => {
    const at = x(year)
    tick.style.left = `${at}px`
    const half = label.offsetWidth / 2
    label.style.left = `${Math.max(0, at - half)}px`
    const fits = at - half > free && at + half <= total + 2
    label.style.visibility = fits ? "" : "hidden"
    if (fits) free = at + half + 8
  })
  state.x = x
}

const zoomTo = (state, zoom, anchor) => {
  const { view } = state
  const next = Math.min(MOST, Math.max(1, zoom))
  const at = anchor ?? view.clientWidth / 2
  const share = (view.scrollLeft + at) / (view.clientWidth * state.zoom)
  state.zoom = next
  state.zoomed = true
  layOut(state)
  view.scrollLeft = share * view.clientWidth * next - at
}

const reveal = (state, id) => {
  const found = state.byId.get(id)
  if (!found) return
  const { view } = state
  const box = found.chip.getBoundingClientRect()
  const frame = view.getBoundingClientRect()
  if (box.left < frame.left || box.right > frame.right) view.scrollLeft += box.left - frame.left - frame.width / 3
  if (box.top < frame.top + 30 || box.bottom > frame.bottom) view.scrollTop += box.top - frame.top - frame.height / 3
}

const choose = (state, id) => {
  state.byId.forEach(({ chip }, key) => chip.classList.toggle("chosen", key === id))
  state.send("event", id)
  if (!state.data.follow) return
  // The card comes with the answer of the server, or it is here and holds another event.
  let tries = 0
  window.clearInterval(state.timer)
  state.timer = window.setInterval(() => {
    const card = document.querySelector(`.${CSS.escape(state.data.follow)}`)
    tries += 1
    if (card && tries > 2) card.scrollIntoView({ block: "nearest", behavior: "smooth" })
    if ((card && tries > 2) || tries > 20) window.clearInterval(state.timer)
  }, 200)
}

const goTo = (state, id) => {
  state.byId.forEach(({ chip }, key) => { chip.tabIndex = key === id ? 0 : -1 })
  state.byId.get(id).chip.focus()
  reveal(state, id)
}

const onKey = (state, event, id) => {
  const order = state.data.marks.map(([key]) => key)
  const index = order.indexOf(id)
  const moves = { ArrowRight: index + 1, ArrowLeft: index - 1, Home: 0, End: order.length - 1 }
  if (event.key in moves) {
    goTo(state, order[Math.min(order.length - 1, Math.max(0, moves[event.key]))])
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const keys = state.data.lanes.map(([key]) => key)
    const [, year, lane] = state.data.marks[index]
    const next = keys[keys.indexOf(lane) + (event.key === "ArrowDown" ? 1 : -1)]
    if (!next) return
    const inLane = state.data.marks.filter((mark) => mark[2] === next)
    inLane.sort((a, b) => Math.abs(a[1] - year) - Math.abs(b[1] - year))
    goTo(state, inLane[0][0])
  } else if (event.key === "+" || event.key === "-") {
    zoomTo(state, event.key === "+" ? state.zoom * STEP : state.zoom / STEP)
    reveal(state, id)
  } else {
    return
  }
  event.preventDefault()
}

const build = (state) => {
  const { root, data } = state
  const { labels } = data
  const bar = el("div", "bar")
  const button = (sign, label, act) => {
    const node = el("button", "tool", sign)
    node.type = "button"
    node.title = label
    node.setAttribute("aria-label", label)
    node.onclick = act
    bar.append(node)
  }
  button("+", labels.closer, () => zoomTo(state, state.zoom * STEP))
  button("−", labels.farther, () => zoomTo(state, state.zoom / STEP))
  button("↔", labels.all, () => zoomTo(state, 1))
  const help = el("span", "help", labels.help)
  bar.append(help)
  const view = el("div", "view")
  const inner = el("div", "inner")
  const grid = el("div", "grid")
  const years = el("div", "years")
  ;[grid, years].forEach((node) => node.setAttribute("aria-hidden", "true"))
  state.ticks = data.scale.map(([year]) => {
    const tick = el("div", "tick")
    const label = el("span", "year", String(year))
    grid.append(tick)
    years.append(label)
    return { tick, label, year }
  })
  inner.append(grid, years)
  state.byId = new Map()
  state.lanes = data.lanes.map(([key, name, index]) => {
    const node = el("div", "lane")
    node.setAttribute("role", "group")
    node.setAttribute("aria-label", name)
    node.style.setProperty("--tone", `var(--tone-${index % 11})`)
    const head = el("div", "head")
    head.append(el("span", "name", name))
    const body = el("div", "body")
    node.append(head, body)
    const chips = data.marks.filter((mark) => mark[2] === key).map(([id, year, , title, spoken]) => {
      const chip = el("button", "chip")
      chip.type = "button"
      chip.tabIndex = -1
      const stop = data.stops.indexOf(id)
      if (stop >= 0) chip.append(el("span", "stop", String(stop + 1)))
      chip.append(el("span", "title", title))
      chip.setAttribute("aria-label", spoken)
      chip.title = spoken
      chip.onclick = () => choose(state, id)
      chip.onkeydown = (event) => onKey(state, event, id)
      chip.onfocus = () => reveal(state, id)
      state.byId.set(id, { chip, year })
      body.append(chip)
      return { chip, year }
    })
    inner.append(node)
    return { node, body, chips }
  })
  view.append(inner)
  view.addEventListener("wheel", (event) => {
    if (!event.ctrlKey) return
    event.preventDefault()
    const at = event.clientX - view.getBoundingClientRect().left
    zoomTo(state, event.deltaY < 0 ? state.zoom * 1.25 : state.zoom / 1.25, at)
  }, { passive: false })
  state.view = view
  state.inner = inner
  root.setAttribute("role", "group")
  root.setAttribute("aria-label", labels.view)
  root.classList.toggle("touring", data.stops.length > 0)
  root.replaceChildren(bar, view)
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".chrono")
  if (!root || !data) return
  const state = states.get(root) ?? { root }
  states.set(root, state)
  const { selected, ...rest } = data
  const built = JSON.stringify(rest)
  state.data = data
  state.send = setTriggerValue
  root.classList.toggle("dark", isDark(root))
  if (state.built !== built) {
    state.built = built
    build(state)
    layOut(state)
  }
  state.byId.forEach(({ chip }, id) => {
    chip.classList.toggle("chosen", id === selected)
    if (id === selected) chip.setAttribute("aria-current", "true")
    else chip.removeAttribute("aria-current")
    chip.tabIndex = -1
  })
  const first = state.byId.get(selected) ?? state.byId.get(data.marks[0][0])
  first.chip.tabIndex = 0
  if (selected && selected !== state.shown) reveal(state, selected)
  state.shown = selected
  const observer = new ResizeObserver(() => {
    if (state.view.clientWidth !== state.seen) {
      state.seen = state.view.clientWidth
      layOut(state)
      if (!state.zoomed && state.shown) reveal(state, state.shown)
    }
  })
  observer.observe(state.view)
  return () => observer.disconnect()
}
