#!/usr/bin/env python3
"""Writes engine/data/html_entities.inc, the named character references of HTML 5 as Python's standard library lists them:
   NAME=HEX or NAME=HEX+HEX, by name, those with a semicolon and those without."""
import textwrap
from html.entities import html5
from pathlib import Path

entries = [name + "=" + "+".join(f"{ord(c):x}" for c in text) for name, text in sorted(html5.items())]
lines = textwrap.wrap(" ".join(entries), 118, break_long_words=False)
path = Path(__file__).resolve().parents[2] / "engine/data/html_entities.inc"
path.write_text("// Made by tools/dev/make_html_entities.py.\n" + "".join(f'"{line} "\n' for line in lines))
