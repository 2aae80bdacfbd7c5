// The numbers behind a value. Data: see origin_view() in __init__.py.
// Idempotent: it is run again whenever the data or the theme changes.

const element = (name, className, text) => {
  const node = document.createElement(name)
  if (className) node.className = className
  if (text) node.textContent = text
  return node
}

const isDark = (root) => {
  const colour = getComputedStyle(root).getPropertyValue("--st-background-color").trim()
  const hex = /^#([0-9a-f]{6})$/i.exec(colour)
  if (!hex) return false
  const value = parseInt(hex[1], 16)
  return 0.299 * (value >> 16) + 0.587 * ((value >> 8) & 255) + 0.114 * (value & 255) < 128
}

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".origin")
  if (!root || !data) return
  root.classList.toggle("dark", isDark(root))
  const table = element("table")
  table.append(element("caption", "", data.caption))
  const body = element("tbody")
  for (const line of data.lines) {
    const row = element("tr")
    const product = element("span", "product")
    line.numbers.forEach(([text, name, target], at) => {
      if (at) product.append(element("span", "times", "×"))
      const factor = element(target ? "button" : "span", "factor")
      factor.append(element("span", "value", text), document.createTextNode(" "), element("span", "what", name))
      if (target) {
        factor.type = "button"
        factor.title = data.go
        factor.addEventListener("click", () => setTriggerValue("go", target))
      }
      product.append(factor)
    })
    const cell = element("td")
    cell.append(product)
    row.append(cell)
    if (data.adds) {
      const bar = element("td", "bar")
      const track = element("div", "track")
      const fill = element("div", "fill")
      const width = Math.abs(line.share) * 50
      fill.style.width = `${width}%`
      fill.style.left = line.share < 0 ? `${50 - width}%` : "50%"
      fill.style.background = `rgb(var(${line.share < 0 ? "--less" : "--more"}))`
      track.append(fill)
      bar.append(track)
      row.append(element("td", "adds", `= ${line.adds}`), bar)
    }
    body.append(row)
  }
  table.append(body)
  const parts = [table]
  if (data.rest) parts.push(element("p", "rest", data.rest))
  root.replaceChildren(...parts)
}
