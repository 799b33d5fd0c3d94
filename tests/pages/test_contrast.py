"""Texts have the contrast of WCAG AA, 4.5 to 1, on every ground of the page, light and dark."""

import re
from pathlib import Path

import pytest

import nbam_pyro.pages

CSS = (Path(nbam_pyro.pages.__file__).parent / "parts" / "page.css").read_text()
_LIGHT, _DARK = re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)
PAIRS = [
    *[("ink", ground) for ground in ("ground", "panel", "bar", "mark")],
    *[("ink", f"shade-{number}") for number in (1, 2, 3, 4)],
    *[("quiet", ground) for ground in ("ground", "panel")],
    *[("link", ground) for ground in ("ground", "panel")],
    *[(f"{level}-ink", level) for level in ("good", "fair", "bad")],
]


def colours(block):
    return dict(re.findall(r"--([\w-]+): (#\w{6})", block))


def luminance(colour):
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one, other):
    low, high = sorted([luminance(one), luminance(other)])
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("block", [_LIGHT, _DARK], ids=["light", "dark"])
def test_texts_can_be_read(block):
    shown = colours(block)
    low = {pair: contrast(shown[pair[0]], shown[pair[1]]) for pair in PAIRS}
    assert min(low.values()) >= 4.5, low


def test_both_schemes_have_the_same_colours():
    assert colours(_LIGHT).keys() == colours(_DARK).keys()
