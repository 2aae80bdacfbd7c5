"""Keeps half characters out of the form fields.

A browser can hold half of an emoji (a lone surrogate) in a text field. Streamlit's browser side sends it as
bytes that are no UTF-8, and the server then drops the connection, again on every try. So it is replaced by
U+FFFD in the field itself, before Streamlit sees it; the rest of what was typed stays.
"""

import streamlit as st

_GUARD = st.components.v2.component(
    "taller_guard",
    html="<span hidden></span>",
    js="""
export default function () {
  const root = document.documentElement
  if (root.dataset.tallerGuard) return
  root.dataset.tallerGuard = "on"
  // The capture phase of the document comes before the listeners of Streamlit's fields.
  document.addEventListener("input", (event) => {
    const field = event.target
    if (!(field instanceof HTMLTextAreaElement || field instanceof HTMLInputElement)) return
    if (typeof field.value !== "string" || field.value.isWellFormed()) return
    const own = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(field), "value")
    const caret = field.selectionEnd
    own.set.call(field, field.value.toWellFormed())
    field.setSelectionRange(caret, caret)
  }, true)
}
""",
)


def guard_fields() -> None:
    """Installs the guard once in this browser tab."""
    _GUARD(key="guard")
