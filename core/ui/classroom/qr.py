"""QR codes as SVG, made by segno (ISO/IEC 18004)."""

import io


def qr_svg(text: str) -> str | None:
    """A QR code that says ``text``, black on white in both themes, as cameras expect it.

    Args:
        text: what it says, at most some 2,900 bytes.

    Returns:
        An ``<svg>`` document without a size of its own; ``None`` if the text doesn't fit into a code.
    """
    import segno

    try:
        # The more a code can repair, the denser it is: long links need every square for themselves.
        made = segno.make_qr(text, error="m" if len(text) < 300 else "l", boost_error=False)
    except segno.DataOverflowError:
        return None
    buffer = io.BytesIO()
    made.save(buffer, kind="svg", border=4, light="#ffffff", dark="#000000", omitsize=True, xmldecl=False)
    return buffer.getvalue().decode().strip()
