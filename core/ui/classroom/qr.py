"""QR codes as SVG, made by segno (ISO/IEC 18004)."""

from html import escape


def qr_svg(text: str, title: str) -> str | None:
    """A QR code that says ``text``, black on white in both themes, as cameras expect it.

    Args:
        text: what it says, at most some 2,900 bytes.
        title: what a screen reader says.

    Returns:
        An ``<svg>`` element as wide as its container, up to 26 rem; ``None`` if the text doesn't fit into a code.
    """
    import segno

    try:
        # The more a code can repair, the denser it is: long links need every square for themselves.
        made = segno.make_qr(text, error="m" if len(text) < 300 else "l", boost_error=False)
    except segno.DataOverflowError:
        return None
    svg: str = made.svg_inline(border=4, light="#ffffff", dark="#000000", omitsize=True)
    label = escape(title, quote=True)
    style = "width:100%;max-width:26rem;height:auto;display:block"
    return svg.replace("<svg ", f'<svg role="img" aria-label="{label}" style="{style}" ', 1)
