// A picture of a matrix and a window of its numbers. Data: see message() in __init__.py.
// Idempotent: it is run again whenever the data or the theme changes; the focus and the window stay.

const read = (bytes) => {
  const raw = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes)
  const view = new DataView(raw.buffer, raw.byteOffset, raw.byteLength)
  const length = view.getUint32(0, true)
  const head = JSON.parse(new TextDecoder().decode(raw.subarray(4, 4 + length)))
  // Copied: the bytes may begin anywhere in their buffer, and floats need an aligned place.
  const values = new Float32Array(raw.slice(4 + length).buffer)
  return { head, values }
}

const triple = (root, name) =>
  getComputedStyle(root).getPropertyValue(name).split(",").map((part) => Number(part.trim()))

const states = new WeakMap()
const RAISED = Object.fromEntries([..."-0123456789"].map((sign, at) => [sign, [..."⁻⁰¹²³⁴⁵⁶⁷⁸⁹"][at]]))

const figure = (value, decimal) => {
  if (!Number.isFinite(value)) return value < 0 ? "−∞" : "∞"
  if (value === 0) return "0"
  const size = Math.abs(value)
  if (size >= 0.0005) {
    const text = value.toFixed(Number.isInteger(value) ? 0 : size >= 100 ? 1 : 3)
    return text.replace(".", decimal).replace("-", "−")
  }
  const [digits, power] = value.toExponential(1).split("e")
  const raised = [...String(Number(power))].map((sign) => RAISED[sign]).join("")
  return `${digits.replace(".", decimal).replace("-", "−")}·10${raised}`
}

const mix = (state, value) => {
  const { paper, less, more, head } = state
  const share = Math.max(-1, Math.min(1, value / head.top))
  const ink = share < 0 ? less : more
  const amount = Math.abs(share)
  return paper.map((part, at) => Math.round(part + (ink[at] - part) * amount))
}

const paint = (state) => {
  const { canvas, head, values, rowHeight } = state
  const [rows, columns] = head.shape
  const scale = Math.min(2, window.devicePixelRatio || 1)
  const width = Math.max(1, Math.round(canvas.clientWidth * scale))
  canvas.width = width
  canvas.height = Math.round(rows * rowHeight * scale)
  const context = canvas.getContext("2d")
  context.fillStyle = `rgb(${state.paper.join(",")})`
  context.fillRect(0, 0, canvas.width, canvas.height)
  const steps = Math.min(columns, width)
  for (let row = 0; row < rows; row += 1) {
    const top = Math.round(row * rowHeight * scale)
    const bottom = Math.round((row + 1) * rowHeight * scale) - (rowHeight > 6 ? 1 : 0)
    for (let step = 0; step < steps; step += 1) {
      const from = Math.floor((step * columns) / steps)
      const to = Math.max(from + 1, Math.floor(((step + 1) * columns) / steps))
      // Where a pixel holds several values, it shows the one farthest from zero.
      let value = values[row * columns + from]
      for (let at = from + 1; at < to; at += 1) {
        const other = values[row * columns + at]
        if (Math.abs(other) > Math.abs(value)) value = other
      }
      const left = Math.round((step * width) / steps)
      const right = Math.round(((step + 1) * width) / steps)
      if (Number.isFinite(value)) {
        context.fillStyle = `rgb(${mix(state, value).join(",")})`
        context.fillRect(left, top, right - left, bottom - top)
      } else {
        context.strokeStyle = state.none
        context.lineWidth = 1
        context.save()
        context.beginPath()
        context.rect(left, top, right - left, bottom - top)
        context.clip()
        context.beginPath()
        for (let x = left - (bottom - top); x < right; x += 6) {
          context.moveTo(x, bottom)
          context.lineTo(x + (bottom - top), top)
        }
        context.stroke()
        context.restore()
      }
    }
  }
}

const size = (state) => {
  const [rows, columns] = state.head.shape
  const room = state.root.clientWidth - 110
  return [Math.min(rows, 9), Math.max(1, Math.min(columns, 14, Math.floor(room / 66)))]
}

const place = (at, count, whole) => Math.max(0, Math.min(whole - count, at - Math.floor(count / 2)))

/* Names under the columns: of tokens looked at, not of hundreds of dimensions; upright where they have no room. */
const under = (state) => {
  const { head, titleList, titles, canvas } = state
  const each = canvas.clientWidth / head.shape[1]
  titleList.hidden = !titles.length || each < 13
  titleList.classList.toggle("upright", each < 46)
}

const frame = (state) => {
  const { mark, head, rowHeight, window: shown } = state
  const [, columns] = head.shape
  mark.style.left = `${(100 * shown.column) / columns}%`
  mark.style.width = `max(4px, ${(100 * shown.columns) / columns}%)`
  mark.style.top = `${shown.row * rowHeight}px`
  mark.style.height = `${shown.rows * rowHeight}px`
}

const numbers = (state, focus) => {
  const { head, values, table, cursor } = state
  const [rows, columns] = head.shape
  const [count, across] = size(state)
  let { row, column } = state.window ?? { row: 0, column: 0 }
  if (!state.window || cursor[0] < row || cursor[0] >= row + count) row = place(cursor[0], count, rows)
  if (!state.window || cursor[1] < column || cursor[1] >= column + across) column = place(cursor[1], across, columns)
  row = Math.min(row, rows - count)
  column = Math.min(column, columns - across)
  state.window = { row, column, rows: count, columns: across }
  const top = el("tr")
  top.append(el("th", "corner", `${head.labels.row} \\ ${head.labels.column}`))
  for (let c = column; c < column + across; c += 1) {
    const title = el("th", "", head.columns[c] ?? String(c))
    title.scope = "col"
    top.append(title)
  }
  const body = []
  for (let r = row; r < row + count; r += 1) {
    const line = el("tr")
    const title = el("th", "", head.rows[r] ?? String(r))
    title.scope = "row"
    line.append(title)
    for (let c = column; c < column + across; c += 1) {
      const value = values[r * columns + c]
      const here = r === cursor[0] && c === cursor[1]
      const on = head.chosen && r === head.chosen[0] && c === head.chosen[1]
      const button = el("button", on ? "cell on" : "cell", figure(value, head.decimal))
      button.type = "button"
      button.tabIndex = here ? 0 : -1
      button.dataset.cell = `${r},${c}`
      button.setAttribute("aria-pressed", String(Boolean(on)))
      button.setAttribute("aria-label", `${head.rows[r] ?? r}, ${head.columns[c] ?? c}: ${figure(value, head.decimal)}`)
      if (Number.isFinite(value)) {
        // Pale, so that the number stays readable on it.
        const share = Math.min(1, Math.abs(value) / head.top)
        button.style.background = `rgba(${(value < 0 ? state.less : state.more).join(",")}, ${0.3 * share})`
      }
      const cell = el("td")
      cell.append(button)
      line.append(cell)
    }
    body.push(line)
  }
  const thead = el("thead")
  thead.append(top)
  const tbody = el("tbody")
  tbody.append(...body)
  table.replaceChildren(thead, tbody)
  state.names.forEach((node, at) => node.classList.toggle("on", at === cursor[0]))
  state.titles.forEach((node, at) => node.classList.toggle("on", at === cursor[1]))
  frame(state)
  if (focus) table.querySelector(`[data-cell="${cursor[0]},${cursor[1]}"]`)?.focus()
}

const KEYS = {
  ArrowUp: [-1, 0],
  ArrowDown: [1, 0],
  ArrowLeft: [0, -1],
  ArrowRight: [0, 1],
}

const build = (root) => {
  const state = { root }
  const legend = el("div", "legend")
  state.ramp = el("span", "ramp")
  state.legend = el("span")
  legend.append(state.ramp, state.legend)
  const picture = el("div", "picture")
  state.nameList = el("div", "names")
  state.nameList.setAttribute("aria-hidden", "true")
  const wrap = el("div", "wrap")
  state.canvas = el("canvas")
  state.canvas.setAttribute("role", "img")
  state.mark = el("div", "mark")
  state.titleList = el("div", "titles")
  state.titleList.setAttribute("aria-hidden", "true")
  wrap.append(state.canvas, state.mark, state.titleList)
  picture.append(state.nameList, wrap)
  state.help = el("p", "help")
  const scroll = el("div", "scroll")
  state.table = el("table")
  scroll.append(state.table)
  root.replaceChildren(legend, picture, state.help, scroll)

  state.canvas.addEventListener("click", (event) => {
    const box = state.canvas.getBoundingClientRect()
    const [rows, columns] = state.head.shape
    const row = Math.min(rows - 1, Math.floor(((event.clientY - box.top) / box.height) * rows))
    const column = Math.min(columns - 1, Math.floor(((event.clientX - box.left) / box.width) * columns))
    state.cursor = [Math.max(0, row), Math.max(0, column)]
    state.window = null
    numbers(state, false)
    state.send(state.cursor)
  })
  state.table.addEventListener("click", (event) => {
    const cell = event.target.closest?.("[data-cell]")
    if (!cell) return
    state.cursor = cell.dataset.cell.split(",").map(Number)
    state.send(state.cursor)
  })
  state.table.addEventListener("keydown", (event) => {
    const move = KEYS[event.key]
    if (!move || !event.target.closest?.("[data-cell]")) return
    event.preventDefault()
    const [rows, columns] = state.head.shape
    state.cursor = [
      Math.max(0, Math.min(rows - 1, state.cursor[0] + move[0])),
      Math.max(0, Math.min(columns - 1, state.cursor[1] + move[1])),
    ]
    numbers(state, true)
  })
  state.observer = new ResizeObserver(() => {
    const width = root.clientWidth
    if (!state.head || width === state.width) return
    state.width = width
    state.window = null
    under(state)
    paint(state)
    numbers(state, false)
  })
  state.observer.observe(root)
  return state
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".heat")
  if (!root || !data) return
  root.classList.toggle("dark", isDark(root))
  let state = states.get(root)
  if (!state) {
    state = build(root)
    states.set(root, state)
  }
  const { head, values } = read(data)
  const held = state.head && root.getRootNode().activeElement?.dataset?.cell
  const before = JSON.stringify([state.head?.shape, state.head?.rows, state.head?.chosen])
  Object.assign(state, {
    head,
    values,
    paper: triple(root, "--paper"),
    less: triple(root, "--less"),
    more: triple(root, "--more"),
    none: getComputedStyle(root).getPropertyValue("--none").trim(),
    send: (cell) => setTriggerValue("cell", cell),
  })
  if (!state.cursor || before !== JSON.stringify([head.shape, head.rows, head.chosen])) {
    state.cursor = head.chosen ?? [0, 0]
  }
  const [rows] = head.shape
  if (state.window && (state.window.row + state.window.rows > rows || head.shape[1] < state.window.column)) state.window = null
  state.rowHeight = rows === 1 ? 40 : rows <= 12 ? 24 : rows <= 28 ? 18 : 14
  state.names = head.rows.map((name) => {
    const node = el("span", "name", name)
    node.style.height = `${state.rowHeight}px`
    node.style.lineHeight = `${state.rowHeight}px`
    if (state.rowHeight < 18) node.style.fontSize = "0.7rem"
    node.title = name
    return node
  })
  state.nameList.replaceChildren(...state.names)
  state.titles = head.columns.map((name) => {
    const node = el("span", "title", name)
    node.title = name
    return node
  })
  state.titleList.replaceChildren(...state.titles)
  state.canvas.style.height = `${rows * state.rowHeight}px`
  state.canvas.setAttribute("aria-label", head.labels.picture)
  const stops = head.signed
    ? `rgb(${state.less.join(",")}), rgb(${state.paper.join(",")}), rgb(${state.more.join(",")})`
    : `rgb(${state.paper.join(",")}), rgb(${state.more.join(",")})`
  state.ramp.style.background = `linear-gradient(to right, ${stops})`
  state.legend.textContent = head.labels.legend
  state.help.textContent = head.labels.help
  state.table.setAttribute("aria-label", head.labels.numbers)
  state.width = root.clientWidth
  under(state)
  paint(state)
  numbers(state, Boolean(held))
  return () => state.observer.disconnect() || states.delete(root)
}
