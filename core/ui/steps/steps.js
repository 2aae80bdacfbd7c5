// Numbered cards with rows of chips. Data: see payload() in __init__.py.
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

const chipNode = ([text, kind, sub, spoken]) => {
  const chip = element("span", `chip ${kind}`)
  const body = element("span", "body", text || "∅")
  body.dir = "auto"
  chip.append(body)
  if (sub) chip.append(element("span", "sub", sub))
  if (spoken) chip.append(element("span", "spoken", ` (${spoken})`))
  return chip
}

const rowNode = (row) => {
  const line = element("li", row.label || row.remark ? "row" : "row bare")
  const side = element("span", "side")
  if (row.label) side.append(element("span", "label", row.label))
  if (row.remark) side.append(element("span", "remark", row.remark))
  const chips = element("span", "chips")
  row.chips.forEach((chip) => chips.append(chipNode(chip), document.createTextNode(" ")))
  line.append(...(row.label ? [side, chips] : [chips, side]))
  return line
}

export default function (component) {
  const { data, parentElement } = component
  const list = parentElement.querySelector(".stages")
  if (!list) return
  list.classList.toggle("dark", isDark(list))
  list.replaceChildren(
    ...(data ?? []).map((stage) => {
      const card = element("li", "stage")
      const head = element("div", "head")
      if (stage.number !== null) head.append(element("span", "number", String(stage.number)))
      head.append(element("span", "title", stage.title))
      card.append(head)
      if (stage.note) card.append(element("p", "note", stage.note))
      if (stage.rows.length) {
        const rows = element("ul", "rows")
        stage.rows.forEach((row) => rows.append(rowNode(row)))
        card.append(rows)
      }
      return card
    }),
  )
}
