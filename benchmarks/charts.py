"""Bar charts as SVG files: groups of bars with a whisker from the least to the greatest, and a line for a budget.

Text and lines follow the reader's light or dark scheme (``prefers-color-scheme``); the colours of the bars are read on
either (Okabe and Ito's, which differ for the colour-blind too).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.sax.saxutils import escape

from benchmarks.measure import Spread

COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00")
STYLE = """\
text { font: 12px system-ui, sans-serif; fill: #24292f }
.small { font-size: 11px } .title { font-weight: 600 }
.axis { stroke: #8c959f; stroke-width: 1 } .grid { stroke: #d0d7de; stroke-width: 0.5 }
.whisker { stroke: #24292f; stroke-width: 1 } .budget { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 5 3 }
@media (prefers-color-scheme: dark) {
  text { fill: #e6edf3 } .grid { stroke: #30363d } .whisker { stroke: #e6edf3 } .budget { stroke: #ff7b72 }
}"""
WIDTH, LABELS, FIGURES = 820, 230, 60  # of all, of the names at the left, of the figures behind the bars
BAR, GAP, TOP, BOTTOM = 13, 12, 62, 24


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """``groups``: name of a group to its bars, name of a series to its value. ``budget``: where a line is drawn."""

    name: str
    title: str
    groups: Mapping[str, Mapping[str, Spread]]
    budget: float | None = None

    @property
    def file(self) -> str:
        return f"{self.name}.svg"

    def write(self, directory: Path) -> None:
        (directory / self.file).write_text(self.svg(), encoding="utf-8")

    def svg(self) -> str:
        series = list(dict.fromkeys(name for bars in self.groups.values() for name in bars))
        colours = {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(series)}
        step = tick(max([self.budget or 0.0, *(bar.high for bars in self.groups.values() for bar in bars.values())]))
        top = TOP
        parts: list[str] = []
        for group, bars in self.groups.items():
            parts.append(_text(LABELS - 8, top + len(bars) * BAR / 2 + 4, group, anchor="end"))
            for number, (name, bar) in enumerate(bars.items()):
                parts += _bar(bar, top + number * BAR, colours[name], step)
            top += len(bars) * BAR + GAP
        height = top + BOTTOM
        frame = [*_grid(step, top), *_legend(colours), _text(8, 18, self.title, kind="title")]
        if self.budget is not None:
            x = _x(self.budget, step)
            parts.append(f'<line class="budget" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{top}"/>')
            parts.append(_text(x, TOP - 9, "budget", kind="small", anchor="middle"))
        head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}"'
        label = f'{head} height="{height}" role="img" aria-label="{escape(self.title)}">'
        return "\n".join([label, f"<style>{STYLE}</style>", *frame, *parts, "</svg>\n"])


def tick(greatest: float) -> float:
    """A round step of which five reach the greatest value."""
    step = 1.0
    while step * 5 < greatest:
        step *= 10
    while step * 5 >= greatest * 10 > 0:
        step /= 10
    return next(step * factor for factor in (0.2, 0.5, 1) if step * factor * 5 >= greatest)


def _x(value: float, step: float) -> float:
    return LABELS + value / (5 * step) * (WIDTH - LABELS - FIGURES)


def _bar(bar: Spread, top: float, colour: str, step: float) -> Sequence[str]:
    start, end, low, high = (_x(value, step) for value in (0.0, bar.median, bar.low, bar.high))
    middle = top + BAR / 2
    return (
        f'<rect x="{start}" y="{top}" width="{max(end - start, 0.5):.1f}" height="{BAR - 2}" fill="{colour}"/>',
        f'<line class="whisker" x1="{low:.1f}" x2="{high:.1f}" y1="{middle - 1}" y2="{middle - 1}"/>',
        _text(max(end, high) + 5, middle + 3, figure(bar.median), kind="small"),
    )


def figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def _grid(step: float, bottom: float) -> Sequence[str]:
    parts = []
    for number in range(6):
        x, kind = _x(number * step, step), "grid" if number else "axis"
        parts.append(f'<line class="{kind}" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{bottom}"/>')
        parts.append(_text(x, bottom + 14, f"{number * step:,g}", kind="small", anchor="middle"))
    return parts


def _legend(colours: Mapping[str, str]) -> Sequence[str]:
    parts, x = [], 8.0
    for name, colour in colours.items():
        parts.append(f'<rect x="{x}" y="32" width="11" height="11" fill="{colour}"/>')
        parts.append(_text(x + 16, 42, name, kind="small"))
        x += 34 + 6.6 * len(name)
    return parts


def _text(x: float, y: float, text: str, *, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
