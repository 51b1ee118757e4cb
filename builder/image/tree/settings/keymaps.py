# SPDX-License-Identifier: MIT
"""What an image knows of keymaps: their X layouts, and the fonts of its console.

The rules are those of systemd-localed (src/locale/localed-util.c: vconsole_convert_to_x11) and of Anaconda
(pyanaconda, modules/localization/installation.py: write_vc_configuration).
"""

from __future__ import annotations

import re

from builder.image.tree.files import TreePath

# Columns: keymap, layouts, model, variants, options; "-" for none.
MODEL_MAP = "usr/share/systemd/kbd-model-map"
KEYMAPS = ("usr/lib/kbd/keymaps", "usr/share/kbd/keymaps", "lib/kbd/keymaps")
FONTS = ("usr/lib/kbd/consolefonts", "usr/share/kbd/consolefonts", "lib/kbd/consolefonts")
ENDINGS = (".psfu.gz", ".psf.gz", ".psfu", ".psf", ".gz")
# systemd's own font has ASCII alone. The second has Arabic, Cyrillic and Hebrew letters, and was every
# language's up to EL 7; its languages are those of langtable (list_consolefonts).
FONT, OTHER_FONT = "eurlatgr", "latarcyrheb-sun16"
_OTHER_LANGUAGES = """
ar az be ber bg bs ce ckb crh cv dv fa he kk ks ku kv ky mdf mhr mk os pa ps ru sah sd
sr tg tk tt ug uk ur uz wo yi
"""
WITH_OTHER_FONT = frozenset(_OTHER_LANGUAGES.split())


def layouts_of(root: TreePath, keymap: str) -> tuple[str, ...]:
    """Return the X layouts of a keymap, such as `cz (qwerty)`; none where the image does not know them."""
    table = root / MODEL_MAP
    for line in table.read_text().splitlines() if table.is_file() else ():
        words = line.split()
        if len(words) >= 4 and words[0] == keymap:
            variants = [] if words[3] == "-" else words[3].split(",")
            names = words[1].split(",")
            variants += [""] * (len(names) - len(variants))
            return tuple(f"{a} ({b})" if b else a for a, b in zip(names, variants, strict=False))
    if any((root / f"{folder}/xkb/{keymap}.map.gz").is_file() for folder in KEYMAPS):
        layout, _, variant = keymap.partition("-")
        return (f"{layout} ({variant})" if variant else layout,)
    return ()


def find_console_font(root: TreePath, lang: str) -> str | None:
    """Return the console's font for a language such as ru_RU.UTF-8; None: the image has no such font."""
    wanted = (FONT, OTHER_FONT)
    if re.split("[_.@]", lang)[0] in WITH_OTHER_FONT:
        wanted = (OTHER_FONT, FONT)
    for font in wanted:
        if any((root / f"{folder}/{font}{ending}").is_file() for folder in FONTS for ending in ENDINGS):
            return font
    return None
