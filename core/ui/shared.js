// What the components of this application share. It stands before each one's own script (see scripts.py).
//
// Text from people and vocabularies reaches the page through textContent, attributes, fillText and nothing else.

function el(tag, className, text) {
  const node = document.createElement(tag)
  if (className) node.className = className
  if (text !== undefined) node.textContent = text
  return node
}

/** Fills {names}; the values are never searched again, so braces in a text stay what they are. */
function fill(template, values) {
  return template.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? String(values[name]) : whole))
}

/** Whether Streamlit paints its dark theme, by the luminance of its background; the system's setting says nothing. */
function isDark(root) {
  const hex = /^#([0-9a-f]{6})/i.exec(getComputedStyle(root).getPropertyValue("--st-background-color").trim())
  if (!hex) return false
  const value = parseInt(hex[1], 16)
  return 0.2126 * (value >> 16) + 0.7152 * ((value >> 8) & 255) + 0.0722 * (value & 255) < 128
}
