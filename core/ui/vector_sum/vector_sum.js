// Vectors as patches of colour that add up. Data: see message() in __init__.py.
// Idempotent: it is run again whenever the data or the theme changes.

// Blue for negative, the paper for zero, orange for positive: two hues that every kind of sight tells apart.
const ENDS = { light: [[10, 88, 168], [255, 255, 255], [192, 80, 0]], dark: [[109, 179, 248], [16, 22, 29], [255, 157, 77]] }

const colour = (ends, share) => {
  const strength = Math.sqrt(Math.min(1, Math.abs(share)))
  const [low, zero, high] = ends
  const end = share < 0 ? low : high
  return zero.map((from, at) => Math.round(from + (end[at] - from) * strength))
}

/** As many columns as make a patch half again as wide as high, where the width has such a divisor. */
const columnsOf = (width) => {
  const wanted = Math.sqrt(1.5 * width)
  let best = Math.ceil(wanted)
  for (let columns = 1; columns <= width; columns += 1) {
    if (width % columns === 0 && Math.abs(columns - wanted) < 0.45 * wanted) {
      if (width % best !== 0 || Math.abs(columns - wanted) < Math.abs(best - wanted)) best = columns
    }
  }
  return best
}

const read = (data) => {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength)
  const length = view.getUint32(0, true)
  const header = JSON.parse(new TextDecoder().decode(data.subarray(4, 4 + length)))
  const count = header.tokens.length * header.width
  // A copy: the message may begin anywhere in its buffer, and floats must begin at a multiple of four.
  const floats = new Float32Array(data.slice(4 + length).buffer)
  header.planes = header.patches.map((_patch, at) => floats.subarray(at * count, (at + 1) * count))
  return header
}

/** What 995 of 1,000 values stay below: a single outlier would make all others pale. */
const largest = (planes) => {
  const sizes = Float32Array.from(planes.flatMap((plane) => Array.from(plane, Math.abs))).sort()
  return Math.max(1e-9, sizes[Math.min(sizes.length - 1, Math.floor(0.995 * sizes.length))])
}
const length = (vector) => Math.sqrt(vector.reduce((sum, value) => sum + value * value, 0))
// Where each component stands between runs: its dimension, and the token that was chosen here.
const memory = new WeakMap()

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".vs")
  if (!root || !data) return
  const bytes = data instanceof Uint8Array ? data : new Uint8Array(data)
  const found = read(bytes)
  const kept = memory.get(root) ?? { dimension: 0, token: found.token }
  memory.set(root, kept)
  if (kept.asked !== found.token) kept.token = found.token
  kept.asked = found.token
  kept.token = Math.min(kept.token, found.tokens.length - 1)
  kept.dimension = Math.min(kept.dimension, found.width - 1)

  const dark = isDark(root)
  const ends = ENDS[dark ? "dark" : "light"]
  const columns = columnsOf(found.width)
  const rows = Math.ceil(found.width / columns)
  const common = largest(found.planes.filter((_plane, at) => !found.patches[at][3]))
  const scales = found.planes.map((plane, at) => (found.patches[at][3] ? largest([plane]) : common))
  const digits = new Intl.NumberFormat(found.language, { minimumFractionDigits: 3, maximumFractionDigits: 3 })
  const number = (value) => digits.format(value).replace("-", "−")

  const vectorOf = (at) => found.planes[at].subarray(kept.token * found.width, (kept.token + 1) * found.width)
  // All in one row where there is room, else two in a row.
  const room = root.clientWidth || 800
  const inRow = room < 640 ? 2 : found.patches.length
  const side = Math.max(3, Math.min(9, Math.floor((room / inRow - 50) / columns)))

  const tokens = el("div", "tokens")
  tokens.setAttribute("role", "group")
  tokens.setAttribute("aria-label", found.labels.tokens)
  const buttons = found.tokens.map(([text, special], at) => {
    const button = el("button", special ? "token special" : "token", text)
    button.type = "button"
    button.addEventListener("click", () => {
      kept.token = at
      draw()
      setTriggerValue("token", at)
    })
    tokens.append(button)
    return button
  })

  const sum = el("div", "sum")
  const drawn = found.patches.map(([label, notes, sign], at) => {
    const term = el("div", "term")
    const patch = el("div", "patch")
    const canvas = el("canvas")
    canvas.setAttribute("role", "img")
    const note = el("span", "small")
    const norm = el("span", "small number")
    patch.append(el("span", "name", label), canvas, note, norm)
    term.append(el("span", "sign", sign), patch)
    sum.append(term)
    const point = (event) => {
      const box = canvas.getBoundingClientRect()
      const column = Math.floor(((event.clientX - box.left) / box.width) * columns)
      const row = Math.floor(((event.clientY - box.top) / box.height) * rows)
      const dimension = row * columns + column
      if (column >= 0 && column < columns && row >= 0 && dimension < found.width) {
        kept.dimension = dimension
        draw()
      }
    }
    canvas.addEventListener("pointermove", point)
    canvas.addEventListener("pointerdown", point)
    return { canvas, note, norm, notes, label, at }
  })

  const below = el("div", "dimension")
  const name = el("label", "name", found.labels.dimension)
  const slider = el("input", "slider")
  slider.type = "range"
  slider.min = "1"
  slider.max = String(found.width)
  slider.setAttribute("aria-label", found.labels.dimension)
  const equation = el("span", "equation")
  equation.setAttribute("role", "status")
  slider.addEventListener("input", () => {
    kept.dimension = Number(slider.value) - 1
    draw()
  })
  const scale = el("span", "scale")
  const bar = el("span", "bar")
  const css = (share) => `rgb(${colour(ends, share).join(" ")})`
  bar.style.background = `linear-gradient(90deg, ${[-1, -0.5, -0.2, 0, 0.2, 0.5, 1].map(css).join(", ")})`
  scale.append(bar, el("span", "", found.labels.scale))
  below.append(name, slider, equation)

  const paint = ({ canvas, note, norm, notes, label, at }) => {
    const ratio = Math.min(window.devicePixelRatio || 1, 2)
    const vector = vectorOf(at)
    canvas.width = columns * side * ratio
    canvas.height = rows * side * ratio
    canvas.style.width = `${columns * side}px`
    canvas.style.height = `${rows * side}px`
    const context = canvas.getContext("2d")
    context.setTransform(ratio, 0, 0, ratio, 0, 0)
    vector.forEach((value, dimension) => {
      context.fillStyle = css(value / scales[at])
      context.fillRect((dimension % columns) * side, Math.floor(dimension / columns) * side, side, side)
    })
    context.strokeStyle = dark ? "#ffffff" : "#000000"
    context.lineWidth = 2
    context.strokeRect(
      (kept.dimension % columns) * side + 1, Math.floor(kept.dimension / columns) * side + 1,
      Math.max(2, side - 2), Math.max(2, side - 2),
    )
    const long = number(length(vector))
    note.textContent = notes[kept.token] ?? ""
    norm.textContent = `${found.labels.norm} ${long}`
    canvas.setAttribute(
      "aria-label",
      found.labels.patch.replace("{name}", label).replace("{n}", String(found.width)).replace("{norm}", long),
    )
  }

  function draw() {
    buttons.forEach((button, at) => button.setAttribute("aria-pressed", String(at === kept.token)))
    drawn.forEach(paint)
    slider.value = String(kept.dimension + 1)
    slider.setAttribute("aria-valuetext", String(kept.dimension + 1))
    const parts = [el("span", "", `${kept.dimension + 1}: `)]
    drawn.forEach(({ at }) => {
      const sign = found.patches[at][2]
      const value = vectorOf(at)[kept.dimension]
      if (sign) parts.push(el("span", "", ` ${sign} `))
      const text = number(value)
      parts.push(el("b", "", sign === "+" && value < 0 ? `(${text})` : text))
    })
    equation.replaceChildren(...parts)
  }

  draw()
  root.replaceChildren(tokens, sum, below, scale)
}
