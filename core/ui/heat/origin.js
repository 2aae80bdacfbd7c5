// The numbers behind a value. Data: see origin_view() in __init__.py.
// Idempotent: it is run again whenever the data or the theme changes.

export default function (component) {
  const { data, parentElement, setTriggerValue } = component
  const root = parentElement.querySelector(".origin")
  if (!root || !data) return
  root.classList.toggle("dark", isDark(root))
  const table = el("table")
  table.append(el("caption", "", data.caption))
  const body = el("tbody")
  for (const line of data.lines) {
    const row = el("tr")
    const product = el("span", "product")
    line.numbers.forEach(([text, name, target], at) => {
      if (at) product.append(el("span", "times", "×"))
      const factor = el(target ? "button" : "span", "factor")
      factor.append(el("span", "value", text), document.createTextNode(" "), el("span", "what", name))
      if (target) {
        factor.type = "button"
        factor.title = data.go
        factor.addEventListener("click", () => setTriggerValue("go", target))
      }
      product.append(factor)
    })
    const cell = el("td")
    cell.append(product)
    row.append(cell)
    if (data.adds) {
      const bar = el("td", "bar")
      const track = el("div", "track")
      const fill = el("div", "fill")
      const width = Math.abs(line.share) * 50
      fill.style.width = `${width}%`
      fill.style.left = line.share < 0 ? `${50 - width}%` : "50%"
      fill.style.background = `rgb(var(${line.share < 0 ? "--less" : "--more"}))`
      track.append(fill)
      bar.append(track)
      row.append(el("td", "adds", `= ${line.adds}`), bar)
    }
    body.append(row)
  }
  table.append(body)
  const parts = [table]
  if (data.rest) parts.push(el("p", "rest", data.rest))
  root.replaceChildren(...parts)
}
