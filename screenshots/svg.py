#!/usr/bin/env python3
"""Turns a terminal's screen, as `tmux capture-pane -e` prints it, into an SVG picture.

    svg.py COLUMNS ROWS TITLE < screen > picture.svg

Lines and blocks are drawn as shapes, so the picture looks the same with any font; words are text,
so it can be searched and read aloud.
"""

import re
import sys
from xml.sax.saxutils import escape

CELL_W, CELL_H, PAD, BASE = 8.4, 18, 12, 13.5
BG, FG = "#15181e", "#d5d9e0"
ANSI = [
    "#15181e", "#e06c75", "#8fc379", "#e2b86b", "#6fa8e8", "#c488d8", "#5fb8c2", "#c3c8d1",
    "#666e7c", "#f0808a", "#a5d894", "#f2cd84", "#8abcf5", "#d6a1e8", "#7fd0da", "#eef0f4",
]
SGR = re.compile("\x1b\\[([0-9;]*)m")
OTHER = re.compile("\x1b(?:\\[[0-9;?]*[A-Za-ln-z]|\\][^\x07\x1b]*(?:\x07|\x1b\\\\)|[()].)|[\x0e\x0f]")
PLAIN = (None, None, False, False, False)


def indexed(n):
    if n < 16:
        return ANSI[n]
    if n < 232:
        n -= 16
        level = lambda v: 0 if v == 0 else 55 + 40 * v
        return "#%02x%02x%02x" % (level(n // 36), level(n // 6 % 6), level(n % 6))
    return "#%02x%02x%02x" % ((8 + 10 * (n - 232),) * 3)


def changed(style, codes):
    """Returns the style (fg, bg, bold, dim, reverse) after the codes of one sequence."""
    fg, bg, bold, dim, reverse = style
    codes = [int(code or 0) for code in codes.split(";")]
    while codes:
        code = codes.pop(0)
        if code == 0:
            fg, bg, bold, dim, reverse = PLAIN
        elif code == 1:
            bold = True
        elif code == 2:
            dim = True
        elif code == 7:
            reverse = True
        elif code == 22:
            bold = dim = False
        elif code == 27:
            reverse = False
        elif code == 39:
            fg = None
        elif code == 49:
            bg = None
        elif 30 <= code <= 37 or 90 <= code <= 97:
            fg = ANSI[code - 30 if code < 90 else code - 82]
        elif 40 <= code <= 47 or 100 <= code <= 107:
            bg = ANSI[code - 40 if code < 100 else code - 92]
        elif code in (38, 48) and codes:
            if codes.pop(0) == 5:
                colour = indexed(codes.pop(0))
            else:
                colour = "#%02x%02x%02x" % tuple(codes.pop(0) for _ in range(3))
            fg, bg = (colour, bg) if code == 38 else (fg, colour)
    return fg, bg, bold, dim, reverse


def mixed(a, b, share):
    part = lambda text, at: int(text[at : at + 2], 16)
    return "#%02x%02x%02x" % tuple(
        round(part(a, at) * share + part(b, at) * (1 - share)) for at in (1, 3, 5)
    )


def colours(style):
    """Returns ink, paper (none for the picture's own) and whether the text is bold."""
    fg, bg, bold, dim, reverse = style
    ink, paper = fg or FG, bg or BG
    if reverse:
        ink, paper = paper, ink
    if dim:
        ink = mixed(ink, paper, 0.55)
    return ink, None if paper == BG else paper, bold


def screen(text, columns, rows):
    """Returns the rows as (character, style); a style lasts beyond the end of its row."""
    style, found = PLAIN, []
    for line in (text.split("\n") + [""] * rows)[:rows]:
        line, at, row = OTHER.sub("", line), 0, []
        while at < len(line):
            sequence = SGR.match(line, at)
            if sequence:
                style, at = changed(style, sequence.group(1)), sequence.end()
                continue
            row.append((line[at], style))
            at += 1
        found.append((row + [(" ", PLAIN)] * columns)[:columns])
    return found


def number(value):
    return ("%.1f" % value).removesuffix(".0")


def rect(x, y, w, h, colour):
    x, y, w, h = map(number, (x, y, w, h))
    return f'<rect x="{x}" y="{y}" width="{w}" height="{h}" fill="{colour}"/>'


def shape(char, x, y, count, ink):
    """Returns a run of line or block characters as shapes; none for other characters."""
    wide = CELL_W * count
    middle_x, middle_y = x + CELL_W / 2 - 0.5, y + CELL_H / 2 - 0.5
    if char == "─":
        return [rect(x, middle_y, wide, 1, ink)]
    if char == "│":
        return [rect(middle_x + CELL_W * n, y, 1, CELL_H, ink) for n in range(count)]
    if char in "┌┐└┘" and count == 1:
        left = x if char in "┐┘" else middle_x
        top = middle_y if char in "┌┐" else y
        across = rect(left, middle_y, CELL_W / 2 + 0.5, 1, ink)
        return [across, rect(middle_x, top, 1, CELL_H / 2 + 0.5, ink)]
    if "▁" <= char <= "█":
        high = (CELL_H - 4) * (ord(char) - 0x2580) / 8
        if char == "█":
            return [rect(x, y + 2, wide, CELL_H - 4, ink)]
        return [rect(x, y + CELL_H - 2 - high, wide - 0.8, high, ink)]
    if "▉" <= char <= "▏" and count == 1:
        return [rect(x, y + 2, CELL_W * (0x2590 - ord(char)) / 8, CELL_H - 4, ink)]
    if char == "▕" and count == 1:
        return [rect(x + CELL_W - 1, y + 2, 1, CELL_H - 4, ink)]
    return None


def runs_of(row):
    """Returns the row's runs of like characters [column, kind, ink, bold, text] and its papers."""
    runs, under = [], []
    for column, (char, style) in enumerate(row):
        ink, paper, bold = colours(style)
        if paper and under and under[-1][0] == paper and under[-1][2] == column:
            under[-1][2] = column + 1
        elif paper:
            under.append([paper, column, column + 1])
        # Lines and full blocks grow; other signs stand alone, so that a font cannot move them.
        kind = "text" if char.isascii() or char.isalpha() else char
        grows = kind == "text" or char in "─█"
        if grows and runs and runs[-1][1:4] == [kind, ink, bold]:
            runs[-1][4] += char
        else:
            runs.append([column, kind, ink, bold, char])
    return runs, under


def drawn_row(y, row):
    """Returns a row's papers and what stands on them."""
    over = []
    runs, under = runs_of(row)
    for column, kind, ink, bold, text in runs:
        if not text.strip():
            continue
        drawn = shape(text[0], PAD + column * CELL_W, y, len(text), ink) if kind != "text" else None
        if drawn:
            over.extend(drawn)
            continue
        # Words that stand apart are placed apart, so that a font's width never moves them far.
        for word in re.finditer(r"\S+(?: \S+)*", text):
            x = PAD + (column + word.start()) * CELL_W
            count = len(word.group())
            weight = ' font-weight="bold"' if bold else ""
            fill = "" if ink == FG else f' fill="{ink}"'
            fit = f' textLength="{number(count * CELL_W)}"' if count > 1 else ""
            place = f'x="{number(x)}" y="{number(y + BASE)}"'
            over.append(f"<text {place}{fit}{fill}{weight}>{escape(word.group())}</text>")
    papers = [
        rect(PAD + a * CELL_W, y, (b - a) * CELL_W, CELL_H, paper) for paper, a, b in under
    ]
    return papers + over


def main():
    columns, rows, title = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    lines = screen(sys.stdin.read(), columns, rows)
    wide, high = columns * CELL_W + 2 * PAD, rows * CELL_H + 2 * PAD
    size = f'width="{number(wide)}" height="{number(high)}"'
    print(f'<svg xmlns="http://www.w3.org/2000/svg" {size} viewBox="0 0 {number(wide)} {number(high)}">')
    print(f"<title>{escape(title)}</title>")
    print(f'<rect width="100%" height="100%" rx="8" fill="{BG}"/>')
    fonts = "'JetBrains Mono', 'DejaVu Sans Mono', Menlo, Consolas, monospace"
    print(f'<g font-family="{fonts}" font-size="14" fill="{FG}" xml:space="preserve">')
    for index, line in enumerate(lines):
        for element in drawn_row(PAD + index * CELL_H, line):
            print(element)
    print("</g></svg>")


if __name__ == "__main__":
    main()
