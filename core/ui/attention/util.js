// The attention view: small helpers. The files of this folder are joined into one module (see __init__.py).

const INVISIBLE = /^[\s\p{Cc}\p{Cf}\p{Zl}\p{Zp}\u034f\u115f\u1160\u17b4\u17b5\u3164\ufe00-\ufe0f\uffa0]+$/u

function button(className, text, label) {
  const node = el("button", className, text)
  node.type = "button"
  if (label) {
    node.setAttribute("aria-label", label)
    node.title = label
  }
  return node
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high)

/** What stands on screen for a text that would otherwise be invisible or break a line. */
function visible(text) {
  if (text === "" || !INVISIBLE.test(text)) return text.replace(/[\n\r\t\u2028\u2029]/g, " ")
  return Array.from(text, (c) => {
    if (c === " ") return "·"
    if (c === "\n") return "⏎"
    if (c === "\t") return "→"
    return "U+" + c.codePointAt(0).toString(16).toUpperCase().padStart(4, "0")
  }).join("")
}

/** Runs a function once, so many milliseconds after it was last called. */
function later(milliseconds, run) {
  let timer = 0
  const call = () => {
    clearTimeout(timer)
    timer = setTimeout(run, milliseconds)
  }
  call.cancel = () => clearTimeout(timer)
  return call
}

/** Runs a function at most once a frame. */
function everyFrame(run) {
  let asked = 0
  const call = () => {
    if (!asked) asked = requestAnimationFrame(() => ((asked = 0), run()))
  }
  call.cancel = () => (cancelAnimationFrame(asked), (asked = 0))
  return call
}

const ARROWS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] }
const plain = (event) => !event.ctrlKey && !event.metaKey && !event.altKey

/** A canvas of so many CSS pixels, sharp on this screen; returns its context, in CSS pixels. */
function fit(canvas, width, height) {
  const ratio = Math.min(window.devicePixelRatio || 1, 2)
  const w = Math.max(1, Math.round(width * ratio))
  const h = Math.max(1, Math.round(height * ratio))
  if (canvas.width !== w || canvas.height !== h) {
    canvas.width = w
    canvas.height = h
  }
  canvas.style.width = `${width}px`
  canvas.style.height = `${height}px`
  const context = canvas.getContext("2d")
  context.setTransform(ratio, 0, 0, ratio, 0, 0)
  context.clearRect(0, 0, width, height)
  return context
}

// ---------------------------------------------------------------- colours

// Twelve colours found by search: any two differ by ΔE > 20 in CIELAB, for normal sight and for simulated protanopia,
// deuteranopia and tritanopia (Machado 2009), at 2.3:1 or more on the background; a test measures it. A number stands
// beside each colour all the same.
const HEADS = {
  light: [
    "#0a58a8", "#ce1300", "#1dbd5b", "#c759ed", "#beab00", "#872267",
    "#f562ba", "#665d4d", "#27026c", "#90af90", "#83000c", "#3a1423",
  ],
  dark: [
    "#6db3f8", "#fc3a64", "#00ff85", "#cf20ae", "#fbff46", "#8250e5",
    "#fba21c", "#bdffdc", "#217f47", "#d1a1c8", "#7b6d18", "#8dad93",
  ],
}
// Weak to strong, on the page's own background. Lightness falls (or rises) all along, and
// no two of the 256 levels have the same colour.
const STOPS = {
  light: ["#f3f7fb", "#b9d6f0", "#6fade0", "#1f6fb8", "#0a3f7d", "#041f42"],
  dark: ["#1a242f", "#1d4166", "#2a6fb5", "#5fb0f2", "#b5e0ff", "#ffffff"],
}
const SIGNS = { light: ["#b54a00", "#0a58a8"], dark: ["#ff9d4d", "#6db3f8"] } // minus, plus

function rgb(hex) {
  const value = parseInt(hex.slice(1), 16)
  return [value >> 16, (value >> 8) & 255, value & 255]
}

/** 256 colours as 32-bit words in the order of ImageData, by level; level 0 (masked) is transparent. */
function ramp(stops) {
  const bytes = new Uint8ClampedArray(1024)
  const colours = stops.map(rgb)
  for (let level = 1; level < 256; level++) {
    const place = ((level - 1) / 254) * (colours.length - 1)
    const low = Math.min(Math.floor(place), colours.length - 2)
    for (let c = 0; c < 3; c++) {
      bytes[4 * level + c] = Math.round(colours[low][c] + (place - low) * (colours[low + 1][c] - colours[low][c]))
    }
    bytes[4 * level + 3] = 255
  }
  return new Uint32Array(bytes.buffer)
}

const rampColour = (table, level) => {
  const [r, g, b] = new Uint8Array(table.buffer, 4 * level, 3)
  return `rgb(${r} ${g} ${b})`
}

/** The colours of the current theme. */
function themeOf(root) {
  const probe = el("span")
  root.append(probe)
  const read = (name, fallback) => {
    probe.style.color = `var(${name}, ${fallback})`
    const [r, g, b] = (getComputedStyle(probe).color.match(/[\d.]+/g) || [0, 0, 0]).map(Number)
    return "#" + [r, g, b].map((v) => Math.round(v).toString(16).padStart(2, "0")).join("")
  }
  const paper = read("--st-background-color", "#ffffff")
  const ink = read("--st-text-color", "#08121c")
  const accent = read("--st-link-color", "#0a58a8")
  const panel = read("--st-secondary-background-color", "#f0f4f8")
  probe.remove()
  const [r, g, b] = rgb(paper)
  const name = 0.2126 * r + 0.7152 * g + 0.0722 * b < 128 ? "dark" : "light"
  return {
    name,
    paper,
    ink,
    accent,
    panel,
    soft: name === "dark" ? "#b4bfcb" : "#4d5966",
    line: name === "dark" ? "#4b5766" : "#b9c2cc",
    heads: HEADS[name],
    minus: SIGNS[name][0],
    plus: SIGNS[name][1],
    ramp: ramp(STOPS[name]),
    font: getComputedStyle(root).fontFamily || "sans-serif",
  }
}

/** Diagonal hatching that stands for "masked: it can't look there". */
function hatching(theme) {
  const tile = document.createElement("canvas")
  tile.width = tile.height = 8
  const context = tile.getContext("2d")
  context.fillStyle = theme.panel
  context.fillRect(0, 0, 8, 8)
  context.strokeStyle = theme.line
  context.lineWidth = 1
  context.beginPath()
  for (const x of [-8, 0, 8]) {
    context.moveTo(x, 8)
    context.lineTo(x + 8, 0)
  }
  context.stroke()
  return tile
}
