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

  /** Lines of one look, in one stroke: `ends` holds y on the left and y on the right, by turns. */
  curves(x0, x1, ends, colour, alpha, thick = 1, dash = null) {
    const { c } = this
    const middle = (x0 + x1) / 2
    c.globalAlpha = alpha
    c.strokeStyle = colour
    c.lineWidth = thick
    c.setLineDash(dash ?? [])
    c.beginPath()
    for (let k = 0; k < ends.length; k += 2) {
      c.moveTo(x0, ends[k])
      c.bezierCurveTo(middle, ends[k], middle, ends[k + 1], x1, ends[k + 1])
    }
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

  curves(x0, x1, ends, colour, alpha, thick = 1, dash = null) {
    const middle = num((x0 + x1) / 2)
    let path = ""
    for (let k = 0; k < ends.length; k += 2) {
      const [left, right] = [num(ends[k]), num(ends[k + 1])]
      path += `M${num(x0)} ${left}C${middle} ${left} ${middle} ${right} ${num(x1)} ${right}`
    }
    this.parts.push(
      `<path d="${path}" fill="none" stroke="${colour}" stroke-width="${num(thick)}" stroke-opacity="${alpha.toFixed(3)}"` +
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
