#!/usr/bin/env python3
"""Writes the named character references of HTML 5 as Python's standard library lists them, as NAME=HEX or NAME=HEX+HEX, by name:
   engine/data/html_entities.inc, those with a semicolon and those without;
   engine/data/html_upper_case.inc, the names of small letters in capitals, where that is no reference itself, with the capitals of what they mean."""
import textwrap
from html import unescape
from html.entities import html5
from pathlib import Path


def write(name, entities):
    entries = [key + "=" + "+".join(f"{ord(c):x}" for c in text) for key, text in sorted(entities.items())]
    lines = textwrap.wrap(" ".join(entries), 118, break_long_words=False)
    path = Path(__file__).resolve().parents[2] / "engine/data" / name
    path.write_text("// Made by tools/dev/make_html_entities.py.\n" + "".join(f'"{line} "\n' for line in lines))


write("html_entities.inc", html5)
write("html_upper_case.inc", {key.upper(): text.upper() for key, text in html5.items()
                              if key.endswith(";") and key == key.lower() and unescape("&" + key.upper()) == "&" + key.upper()})
