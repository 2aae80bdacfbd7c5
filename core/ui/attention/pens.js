// Two pens with one set of strokes: a canvas's, and one that writes SVG. So what is exported is what is seen.

class CanvasPen {
  constructor(context, theme) {
    this.c = context
    this.theme = theme
  }

  rect(x, y, width, height, colour, alpha = 1) {
    this.c.globalAlpha = alpha
    this.c.fillStyle = colour
    this.c.fillRect(x, y, width, height)
    this.c.globalAlpha = 1
  }

  ring(x, y, width, height, colour, thick = 2) {
    this.c.strokeStyle = colour
    this.c.lineWidth = thick
    this.c.setLineDash([])
    this.c.strokeRect(x, y, width, height)
  }

  curve(x0, y0, x1, y1, colour, alpha, thick = 1, dash = null) {
    const { c } = this
    const half = (x1 - x0) / 2
    c.globalAlpha = alpha
    c.strokeStyle = colour
    c.lineWidth = thick
    c.setLineDash(dash ?? [])
    c.beginPath()
    c.moveTo(x0, y0)
    c.bezierCurveTo(x0 + half, y0, x1 - half, y1, x1, y1)
    c.stroke()
    c.globalAlpha = 1
  }

  text(text, x, y, { size = 13, colour = this.theme.ink, align = "left", weight = 400, turn = 0, most = 0 } = {}) {
    const { c } = this
    c.font = `${weight} ${size}px ${this.theme.font}`
    c.fillStyle = colour
    c.textAlign = align
    c.textBaseline = "middle"
    const shown = most ? shorten(c, text, most) : text
    if (turn) {
      c.save()
      c.translate(x, y)
      c.rotate(turn)
      c.fillText(shown, 0, 0)
      c.restore()
    } else c.fillText(shown, x, y)
  }

  image(canvas, x, y, width, height) {
    this.c.imageSmoothingEnabled = false
    this.c.drawImage(canvas, x, y, width, height)
  }

  hatch(points) {
    const { c } = this
    c.fillStyle = c.createPattern(hatching(this.theme), "repeat")
    c.beginPath()
    points.forEach(([x, y], k) => (k ? c.lineTo(x, y) : c.moveTo(x, y)))
    c.closePath()
    c.fill()
  }
}

/** The text, or its beginning with an ellipsis, in at most so many pixels. */
function shorten(context, text, most) {
  if (text.length < 3 || context.measureText(text).width <= most) return text
  const letters = Array.from(text)
  let [low, high] = [0, letters.length]
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (context.measureText(letters.slice(0, middle).join("") + "…").width <= most) low = middle
    else high = middle - 1
  }
  return letters.slice(0, low).join("") + "…"
}

class SvgPen {
  constructor(width, height, theme, title) {
    this.theme = theme
    this.measure = document.createElement("canvas").getContext("2d")
    this.parts = [
      `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${num(width)}" ` +
        `height="${num(height)}" viewBox="0 0 ${num(width)} ${num(height)}" font-family="${escape(theme.font)}">`,
      `<title>${escape(title)}</title>`,
      `<defs><pattern id="masked" width="8" height="8" patternUnits="userSpaceOnUse">` +
        `<rect width="8" height="8" fill="${theme.panel}"/><path d="M0 8 8 0" stroke="${theme.line}"/></pattern></defs>`,
    ]
    this.rect(0, 0, width, height, theme.paper)
  }

  rect(x, y, width, height, colour, alpha = 1) {
    this.parts.push(
      `<rect x="${num(x)}" y="${num(y)}" width="${num(width)}" height="${num(height)}" fill="${colour}"` +
        (alpha < 1 ? ` fill-opacity="${num(alpha)}"/>` : "/>")
    )
  }

  ring(x, y, width, height, colour, thick = 2) {
    this.parts.push(
      `<rect x="${num(x)}" y="${num(y)}" width="${num(width)}" height="${num(height)}" fill="none" ` +
        `stroke="${colour}" stroke-width="${thick}"/>`
    )
  }

  curve(x0, y0, x1, y1, colour, alpha, thick = 1, dash = null) {
    const half = (x1 - x0) / 2
    this.parts.push(
      `<path d="M${num(x0)} ${num(y0)}C${num(x0 + half)} ${num(y0)} ${num(x1 - half)} ${num(y1)} ${num(x1)} ${num(y1)}" ` +
        `fill="none" stroke="${colour}" stroke-width="${num(thick)}" stroke-opacity="${alpha.toFixed(3)}"` +
        (dash ? ` stroke-dasharray="${dash.join(" ")}"/>` : "/>")
    )
  }

  text(text, x, y, { size = 13, colour = this.theme.ink, align = "left", weight = 400, turn = 0, most = 0 } = {}) {
    this.measure.font = `${weight} ${size}px ${this.theme.font}`
    const shown = most ? shorten(this.measure, text, most) : text
    const anchor = { left: "start", center: "middle", right: "end" }[align]
    this.parts.push(
      `<text x="${num(x)}" y="${num(y)}" dy="0.35em" font-size="${size}" fill="${colour}" text-anchor="${anchor}"` +
        (weight !== 400 ? ` font-weight="${weight}"` : "") +
        (turn ? ` transform="rotate(${num((turn * 180) / Math.PI)} ${num(x)} ${num(y)})"` : "") +
        ` xml:space="preserve">${escape(shown)}</text>`
    )
  }

  image(canvas, x, y, width, height) {
    this.parts.push(
      `<image x="${num(x)}" y="${num(y)}" width="${num(width)}" height="${num(height)}" preserveAspectRatio="none" ` +
        `style="image-rendering:pixelated" xlink:href="${canvas.toDataURL("image/png")}"/>`
    )
  }

  hatch(points) {
    this.parts.push(`<polygon points="${points.map(([x, y]) => `${num(x)},${num(y)}`).join(" ")}" fill="url(#masked)"/>`)
  }

  finish() {
    return this.parts.join("\n") + "\n</svg>\n"
  }
}

const num = (value) => String(Math.round(value * 100) / 100)
const FORBIDDEN = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g // what XML 1.0 can't hold
const escape = (text) =>
  text.replace(FORBIDDEN, "\ufffd").replace(/[&<>"]/g, (c) => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" })[c])
