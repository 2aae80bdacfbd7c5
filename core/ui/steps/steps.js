// Numbered cards with rows of chips. Data: see payload() in __init__.py.
// Idempotent: it is run again whenever the data or the theme changes.

const chipNode = ([text, kind, sub, spoken]) => {
  const chip = el("span", `chip ${kind}`)
  const body = el("span", "body", text || "∅")
  body.dir = "auto"
  chip.append(body)
  if (sub) chip.append(el("span", "sub", sub))
  if (spoken) chip.append(el("span", "spoken", ` (${spoken})`))
  return chip
}

const rowNode = (row) => {
  const line = el("li", row.label || row.remark ? "row" : "row bare")
  const side = el("span", "side")
  if (row.label) side.append(el("span", "label", row.label))
  if (row.remark) side.append(el("span", "remark", row.remark))
  const chips = el("span", "chips")
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
      const card = el("li", "stage")
      const head = el("div", "head")
      if (stage.number !== null) head.append(el("span", "number", String(stage.number)))
      head.append(el("span", "title", stage.title))
      card.append(head)
      if (stage.note) card.append(el("p", "note", stage.note))
      if (stage.rows.length) {
        const rows = el("ul", "rows")
        stage.rows.forEach((row) => rows.append(rowNode(row)))
        card.append(rows)
      }
      return card
    }),
  )
}
