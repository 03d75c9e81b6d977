#!/usr/bin/env python3
"""Writes engine/data/code_pages.inc: what the bytes 80 to ff are in the encodings of one byte a character that texts get mixed up with, as Python's codecs know them.
Bytes that an encoding leaves out are their Latin-1 characters, as web browsers read them."""

from pathlib import Path

PAGES = ["latin-1", "windows-1252", "windows-1251", "windows-1250", "windows-1253", "windows-1254", "windows-1257", "iso-8859-2", "macroman", "cp437"]


def characters(page):
    for byte in range(0x80, 0x100):
        try:
            yield ord(bytes([byte]).decode(page.replace("macroman", "mac-roman")))
        except UnicodeDecodeError:
            yield byte


path = Path(__file__).resolve().parents[2] / "engine/data/code_pages.inc"
rows = []
for name in PAGES:
    words = [f"{c:x}" for c in characters(name)]
    lines = "\n".join('    "' + " ".join(words[i:i + 16]) + ' "' for i in range(0, 128, 16))
    rows.append(f'{{"{name}",\n{lines}}},\n')
path.write_text("// Made by tools/dev/make_code_pages.py.\n" + "".join(rows))
