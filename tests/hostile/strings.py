"""Strings that somebody might put into a link to do harm, written by hand and generated."""

import base64
import random
import zlib
from typing import Final

from hypothesis import strategies as st

# In everything written by hand, so that it is known again wherever it shows up. Its host is nobody's (RFC 2606).
MARK: Final = "zq7"
HOST: Final = f"{MARK}.example"


def packed(text: str) -> str:
    """As ``pack_text`` packs a long text."""
    return "~z" + base64.urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode().rstrip("=")


SCRIPTS: Final = (
    f"<script>window.{MARK}=1</script>",
    f"<img src=x onerror=window.{MARK}=1>",
    f"<svg/onload=window.{MARK}=1>",
    f"<iframe srcdoc='<script>top.{MARK}=1</script>'></iframe>",
    f"<a href=javascript:window.{MARK}=1>{MARK}</a>",
    f"<style>@import 'http://{HOST}/x.css'</style>",
    f"<form action=http://{HOST}/><input name={MARK} autofocus onfocus=window.{MARK}=1></form>",
    f"</script><script>window.{MARK}=1</script>",
    f'"><img src=http://{HOST}/x.png>',
    f"javascript:window.{MARK}=1",
    f"data:text/html,<script>window.{MARK}=1</script>",
)
MARKDOWN: Final = (
    f"![{MARK}](http://{HOST}/x.png)",
    f"`![{MARK}](http://{HOST}/x.png)`",
    f"` ![{MARK}](http://{HOST}/x.png) `",
    f"[{MARK}](javascript:window.{MARK}=1)",
    f"[{MARK}](http://{HOST}/)",
    f"[{MARK}]: http://{HOST}/\n\n![{MARK}]",
    f"<http://{HOST}/>",
    f"**{MARK}** :red[{MARK}] :material/skull: $\\href{{javascript:window.{MARK}=1}}{{x}}$",
    f"$$\\includegraphics{{http://{HOST}/x.png}}$$",
    f"\\def\\{MARK}{{\\{MARK}\\{MARK}}}\\{MARK}",
    f"| {MARK} |\n|---|\n| ![x](http://{HOST}/x.png) |",
    f"```\n{MARK}\n```\n![{MARK}](http://{HOST}/x.png)",
)
UNICODE: Final = (
    "\x00",
    "a\x00b",
    "\u202e" + MARK,
    "\ufeff" + MARK,
    "\u200d" * 300,
    "e" + "\u0301" * 500,
    "\U0001f468\u200d\U0001f469\u200d\U0001f467" * 40,
    "\ufdfd" * 200,
    "\U000e0001\U000e0041",
    "\uffff\ufffe",
    "\u2028\u2029\x85\x0b\x0c",
    "İıſK\u212a",
    "ﷺ" * 100,
    "𝕬" * 300,
)
PATHS: Final = (
    "../../../../etc/passwd",
    "..\\..\\windows\\win.ini",
    "/etc/passwd",
    "file:///etc/passwd",
    f"\\\\{HOST}\\share",
    "org/../../name",
    "%2e%2e%2f%2e%2e%2f",
    "~/.ssh/id_rsa",
    "core/settings.py",
    "con",
    "a" * 300 + "/" + "b" * 300,
)
NUMBERS: Final = (
    "nan", "inf", "-inf", "1e999", "-1", "0", "1_000", "0x10", "٣", "１２", "9" * 4000, "9" * 5000, "1e5", "-0.0",
    "1.5", "2147483648", "18446744073709551616", "true", "null", "None", "[]", "{}", "1;DROP TABLE", " 1 ",
)  # fmt: skip
PACKED: Final = (
    packed("a" * 2_000_000),
    packed(SCRIPTS[0] * 30),
    packed(MARKDOWN[0] * 30),
    packed("\x00" * 900),
    packed("x")[:-2],
    "~z" + base64.urlsafe_b64encode(zlib.compress(zlib.compress(b"0" * 10**6) * 50, 9)).decode(),
    "~z" + "A" * 5000,
    "~z~z~z",
    "~zñ",
)
FORMATS: Final = (
    "{0.__class__.__mro__}", "{text}", "%s%s%s%n", "${7*7}", "{{7*7}}", "$(id)", "`id`", "'; --", "\r\nSet-Cookie: x=1",
    "__import__('os').system('id')", "a,b,,c,", ",", "[MASK]" * 40, "[CLS][SEP][PAD]", "(?:" * 50, "(a+)+$", "*" * 500,
)  # fmt: skip
LONG: Final = ("palabra " * 700, "x" * 5500, "\n" * 3000, "¿" * 2500)

BY_HAND: Final = (*SCRIPTS, *MARKDOWN, *UNICODE, *PATHS, *NUMBERS, *PACKED, *FORMATS, *LONG, "", " ")

# Half of a surrogate pair can't be in a link: browsers and servers decode it to U+FFFD.
ANY_TEXT: Final = st.text(st.characters(exclude_categories=("Cs",)), max_size=200)


def mixed(seed: int, valid: tuple[str, ...] = ()) -> str:
    """One string out of parts of others: what is almost right gets further than what is all wrong."""
    chance = random.Random(seed)
    parts = [chance.choice(BY_HAND)[:400] for _n in range(chance.randint(1, 3))]
    if valid:
        parts.append(chance.choice(valid))
    chance.shuffle(parts)
    return chance.choice(("", ",", " ", "\n", "|", ":")).join(parts)
