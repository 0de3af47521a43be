"""The heat maps: plain SVG with a title and a description, and a page with the same as a table."""

from collections.abc import Callable, Sequence
from html import escape

from services.routing.check.report import Outcome
from services.routing.check.space import SECTORS, SUBJECTS

CELL_WIDTH, CELL_HEIGHT = 62, 22
LEFT, TOP = 190, 60
# From none (white) to many (dark blue); the number stands in each cell, colour is an aid only.
LIGHT, DARK = (247, 251, 255), (8, 69, 148)

Cells = dict[tuple[str, str], float]


def heat_map(title: str, description: str, cells: Cells, shown: Callable[[float], str]) -> str:
    """One SVG: subjects down, sectors across, a number and a colour in each cell."""
    width = LEFT + CELL_WIDTH * len(SECTORS) + 10
    height = TOP + CELL_HEIGHT * len(SUBJECTS) + 10
    most = max(cells.values(), default=0.0) or 1.0
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}"'
            f' width="{width}" height="{height}" role="img" aria-labelledby="title description"'
            ' font-family="sans-serif" font-size="12">'
        ),
        f'<title id="title">{escape(title)}</title>',
        f'<desc id="description">{escape(description)}</desc>',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        f'<text x="10" y="22" font-size="15" font-weight="bold">{escape(title)}</text>',
    ]
    for column, sector in enumerate(SECTORS):
        middle = LEFT + column * CELL_WIDTH + CELL_WIDTH // 2
        name = str(sector).replace("particulier_b3", "b3")
        parts.append(f'<text x="{middle}" y="{TOP - 8}" text-anchor="middle">{name}</text>')
    for line, subject in enumerate(SUBJECTS):
        top = TOP + line * CELL_HEIGHT
        label = str(subject).replace("_", " ")
        parts.append(f'<text x="{LEFT - 8}" y="{top + 15}" text-anchor="end">{label}</text>')
        for column, sector in enumerate(SECTORS):
            value = cells.get((str(sector), str(subject)))
            parts.append(_cell(LEFT + column * CELL_WIDTH, top, value, most, shown))
    return "\n".join((*parts, "</svg>\n"))


def _cell(
    left: int, top: int, value: float | None, most: float, shown: Callable[[float], str]
) -> str:
    if value is None:
        fill, ink, word = "#eeeeee", "#555555", "-"
    else:
        part = value / most
        red, green, blue = (round(a + (b - a) * part) for a, b in zip(LIGHT, DARK, strict=True))
        fill = f"#{red:02x}{green:02x}{blue:02x}"
        # White on the dark half keeps the contrast above 4.5 to 1.
        ink = "#ffffff" if part > 0.55 else "#000000"
        word = shown(value)
    box = f'<rect x="{left}" y="{top}" width="{CELL_WIDTH - 2}" height="{CELL_HEIGHT - 2}"'
    text = f'<text x="{left + CELL_WIDTH // 2 - 1}" y="{top + 15}" text-anchor="middle"'
    return f'{box} fill="{fill}"/>{text} fill="{ink}">{word}</text>'


def pictures(outcome: Outcome) -> dict[str, str]:
    """File name -> SVG: how many parties are competent, and how much falls to the desk."""
    cells = outcome.cells()
    return {
        "overlap.svg": heat_map(
            "Bevoegde partijen per situatie (gemiddeld)",
            "Per onderwerp (rijen) en sector (kolommen) het gemiddelde aantal partijen dat volgens"
            " het eigen register bevoegd is. Een streepje: geen aannemelijke situatie.",
            {cell: parties for cell, (parties, _) in cells.items()},
            lambda value: f"{value:.1f}",
        ),
        "desk.svg": heat_map(
            "Deel van de situaties dat eerst bij het vangnet komt",
            "Per onderwerp (rijen) en sector (kolommen) het deel van de situaties waarin geen"
            " andere partij eerst aan zet is. Een streepje: geen aannemelijke situatie.",
            {cell: desk for cell, (_, desk) in cells.items()},
            lambda value: f"{value:.0%}" if value in (0, 1) else f"{value:.1%}",
        ),
    }


def page(outcome: Outcome) -> str:
    """One HTML page with both pictures, and every figure as a table beside them."""
    drawn = pictures(outcome)
    cells = outcome.cells()
    parts = [
        '<!doctype html>\n<html lang="nl">\n<head>\n<meta charset="utf-8">',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        "<title>Controle van het register</title>",
        f"<style>{STYLE}</style>\n</head>\n<body>\n<main>",
        "<h1>Controle van het register</h1>",
        (
            f"<p>Register {escape(outcome.register.version)}:"
            f" {outcome.tally.situations} aannemelijke situaties;"
            f" {outcome.desk_share:.2%} komt eerst bij het vangnet.</p>"
        ),
        *(_figure(name) for name in drawn),
        _table(
            "Gemiddeld aantal bevoegde partijen, en deel bij het vangnet",
            ("onderwerp", *map(str, SECTORS)),
            [
                (str(subject), *(_both(cells.get((str(s), str(subject)))) for s in SECTORS))
                for subject in SUBJECTS
            ],
        ),
    ]
    for name in ("sector", "reporter", "kind", "subject"):
        rows = [
            (r.answer, *map(str, (r.situations, r.none, r.one, r.two, r.more, r.desk)))
            for r in outcome.rows(name)
        ]
        head = (name, "situaties", "0 partijen", "1", "2", "3 of meer", "vangnet")
        parts.append(_table(f"Bevoegde partijen per {name}", head, rows))
    pairs = [(f"{one} + {other}", str(number)) for one, other, number in outcome.pairs()]
    parts.append(_table("Partijen die het vaakst samen bevoegd zijn", ("paar", "situaties"), pairs))
    desk = [(rule, str(number), why) for rule, number, why in outcome.desk_reasons()]
    parts.append(_table("Waarom eerst het vangnet", ("regel", "situaties", "reden"), desk))
    return "\n".join((*parts, "</main>\n</body>\n</html>\n"))


STYLE = (
    "body{font-family:sans-serif;margin:1rem;color:#000;background:#fff}"
    "table{border-collapse:collapse;margin:1.5rem 0}caption{font-weight:bold;text-align:left}"
    "th,td{border:1px solid #767676;padding:.2rem .5rem;text-align:right}"
    "th:first-child,td:last-child{text-align:left}img{max-width:100%;height:auto}"
)


def _figure(name: str) -> str:
    words = "Aantal bevoegde partijen" if name == "overlap.svg" else "Deel bij het vangnet"
    return (
        f'<figure><img src="{name}" alt="{words} per onderwerp en sector; de tabel hieronder'
        ' geeft dezelfde getallen."></figure>'
    )


def _both(cell: tuple[float, float] | None) -> str:
    return "-" if cell is None else f"{cell[0]:.1f} ({cell[1]:.1%})"


def _table(caption: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    top = "".join(f'<th scope="col">{escape(cell)}</th>' for cell in head)
    lines = [f"<table>\n<caption>{escape(caption)}</caption>", f"<tr>{top}</tr>"]
    for row in rows:
        first = f'<th scope="row">{escape(row[0])}</th>'
        rest = "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])
        lines.append(f"<tr>{first}{rest}</tr>")
    return "\n".join((*lines, "</table>"))
