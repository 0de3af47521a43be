"""The page as HTML without scripts: small screens, keyboards and screen readers first. Pure."""

import base64
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from html import escape
from string import Template

from contracts.referral import Answer
from services.referral.domain import REASON_TEXT_CHARACTERS_MAX
from services.referral.portal import words
from services.referral.portal.form import Field, Given
from services.referral.portal.words import Told

_STYLE = """
body{margin:0;background:#fff;color:#1b1b1b;font:1.125rem/1.5 sans-serif}
main{max-width:40rem;margin:0 auto;padding:1rem;overflow-wrap:break-word}
h1{font-size:1.5rem;line-height:1.25}h2{font-size:1.25rem;margin:2rem 0 .5rem}
dt{font-weight:bold}dd{margin:0 0 .75rem}
form{border-top:1px solid #767676;padding:1rem 0}form p{margin:.5rem 0 .75rem}
label{display:block;font-weight:bold;margin-top:.75rem}
select,textarea,button{box-sizing:border-box;width:100%;font:inherit;padding:.625rem;
border:2px solid #1b1b1b;border-radius:.25rem;background:#fff;color:#1b1b1b}
textarea{min-height:6rem}
button{margin-top:.75rem;min-height:3rem;background:#154273;border-color:#154273;color:#fff;
font-weight:bold;cursor:pointer}
a{color:#154273}
a:focus-visible,select:focus-visible,textarea:focus-visible,button:focus-visible{
outline:4px solid #b36200;outline-offset:3px}
.error{color:#a00000;font-weight:bold}
.box{border:3px solid #a00000;padding:0 1rem}.box h2{margin-top:1rem}
.state{border-left:.5rem solid #154273;padding-left:.75rem}
"""
STYLE_DIGEST = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
"""For the Content-Security-Policy: this style and no other."""

_FRAME = Template(
    '<!DOCTYPE html>\n<html lang="nl">\n<head>\n<meta charset="utf-8">\n'
    '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
    '<meta name="robots" content="noindex">\n'
    "<title>$title</title>\n<style>$style</style>\n</head>\n"
    "<body>\n<main>\n<h1>$heading</h1>\n$content\n</main>\n</body>\n</html>\n"
)


@dataclass(frozen=True, slots=True)
class Answered:
    """What came of an answer that did not lead to the page of the new state."""

    given: Given
    refused: str | None = None


def referral_page(
    told: Told, phone: str, expires_at: datetime, answered: Answered | None = None
) -> str:
    """The page of one referral; `answered` shows again what was filled in and what is wrong."""
    given = answered.given if answered else Given()
    content = [
        *_summary(told, given, answered.refused if answered else None),
        f'<p class="state">{escape(told.state)}</p>',
        _facts(told),
        _heading(words.CONTENT_TITLE),
        # Who is done with a report has no right to its content any more.
        _paragraph(words.LEAVES_OUT + (f" {words.how_to_read(phone)}" if told.answers else "")),
    ]
    if told.answers:
        content.append(_heading(words.ANSWER_TITLE))
        content += [_form(answer, given) for answer in told.answers]
    content += [_heading(words.LINK_TITLE), _paragraph(words.link_ends(expires_at))]
    heading = words.title(told.reference)
    title = words.wrong(heading) if given.problems else heading
    return _page(title, heading, "\n".join(content))


def message_page(heading: str, *paragraphs: str) -> str:
    """A page with nothing but a message."""
    return _page(heading, heading, "\n".join(map(_paragraph, paragraphs)))


def _page(title: str, heading: str, content: str) -> str:
    return _FRAME.substitute(
        title=escape(words.page_title(title)),
        heading=escape(heading),
        style=_STYLE,
        content=content,
    )


def _heading(text: str) -> str:
    return f"<h2>{escape(text)}</h2>"


def _paragraph(text: str) -> str:
    return f"<p>{escape(text)}</p>"


def _summary(told: Told, given: Given, refused: str | None) -> list[str]:
    """What went wrong, first on the page, because that is where a new page is read from."""
    lines = [escape(refused)] if refused else []
    for name, problem in given.problems.items():
        text = escape(problem)
        # Meanwhile the state may have taken the field away.
        there = given.answer in told.answers
        lines.append(f'<a href="#{name}">{text}</a>' if there else text)
    if not lines:
        return []
    heading = words.NO_EFFECT_TITLE if refused else words.WRONG_TITLE
    inside = "".join(f"<p>{line}</p>" for line in lines)
    return [f'<div class="box" role="alert">{_heading(heading)}{inside}</div>']


def _facts(told: Told) -> str:
    facts = {words.REFERENCE: told.reference, words.ASKED: told.asked}
    if told.until is not None:
        facts[words.UNTIL] = told.until
    lines = "".join(f"<dt>{escape(k)}</dt><dd>{escape(v)}</dd>" for k, v in facts.items())
    return f"<dl>{lines}</dl>"


def _form(answer: Answer, given: Given) -> str:
    parts = ['<form method="post">', _fields(answer, given)]
    hint = f"{answer.value}-uitleg"
    parts.append(
        f'<button name="{Field.ANSWER}" value="{answer.value}" aria-describedby="{hint}">'
        f"{escape(words.BUTTONS[answer])}</button>"
        f'<p id="{hint}">{escape(words.HINTS[answer])}</p></form>'
    )
    return "".join(parts)


def _fields(answer: Answer, given: Given) -> str:
    # Of another form of the same page nothing was filled in.
    own = given if given.answer is answer else Given()
    if answer is Answer.COMPLETED:
        return _select(Field.OUTCOME, words.OUTCOME_LABEL, words.OUTCOMES.items(), own.outcome, own)
    if answer in {Answer.REJECTED, Answer.RETURNED}:
        reason = _select(Field.REASON, words.REASON_LABEL, words.REASONS.items(), own.reason, own)
        return reason + _textarea(own)
    return ""


def _select(
    name: Field, label: str, options: Iterable[tuple[str, str]], chosen: str | None, given: Given
) -> str:
    shown = "".join(
        f'<option value="{escape(code)}"{" selected" if code == chosen else ""}>{escape(text)}'
        "</option>"
        for code, text in options
    )
    problem, attributes = _problem(name, given)
    return (
        f'<label for="{name}">{escape(label)}</label>{problem}'
        f'<select id="{name}" name="{name}" required{attributes}>'
        f'<option value="">{escape(words.CHOOSE)}</option>{shown}</select>'
    )


def _textarea(given: Given) -> str:
    problem, attributes = _problem(Field.TEXT, given, described="toelichting-uitleg")
    return (
        f'<label for="{Field.TEXT}">{escape(words.TEXT_LABEL)}</label>'
        f'<p id="toelichting-uitleg">{escape(words.TEXT_HINT)}</p>{problem}'
        f'<textarea id="{Field.TEXT}" name="{Field.TEXT}" rows="4"'
        # The first end of line after the tag is not part of the text.
        f' maxlength="{REASON_TEXT_CHARACTERS_MAX}"{attributes}>\n{escape(given.text)}</textarea>'
    )


def _problem(name: Field, given: Given, described: str = "") -> tuple[str, str]:
    """The problem of a field as text, and the attributes that tie the text to the field."""
    ids = [described] if described else []
    text, invalid = "", ""
    if name in given.problems:
        ids.append(f"{name}-fout")
        text = f'<p class="error" id="{name}-fout">{escape(words.wrong(given.problems[name]))}</p>'
        invalid = ' aria-invalid="true"'
    return text, (f' aria-describedby="{" ".join(ids)}"' if ids else "") + invalid
