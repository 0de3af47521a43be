"""What the API shows of figures and deliveries."""

from datetime import datetime

from services.audit.domain import Delivery, Figure, FindingFigure
from services.audit.views import View


class OrganisationFiguresView(View):
    """What happened with one organisation, `vangnet` (the desk) or `reporter`, by fact."""

    organisation: str
    figures: dict[str, int]


class FindingFiguresView(View):
    """Findings of one legal regime in one state; `settlement` says how those at their end ended.

    `medianReplyDays` is of the `replied` ones among the `findings`.
    """

    regime: str | None
    state: str
    settlement: str | None
    findings: int
    replied: int
    median_reply_days: float | None


class FiguresView(View):
    """How often what happened: `totals` sums the figures of all organisations."""

    as_of: datetime
    totals: dict[str, int]
    organisations: list[OrganisationFiguresView]
    findings: list[FindingFiguresView]


class DeliveryView(View):
    """Whether an organisation gets what is sent to it over a channel, and since when."""

    organisation: str
    channel: str
    state: str
    waiting: int
    since: datetime
    at: datetime


class DeliveriesView(View):
    """Deliveries of which a change was told; an organisation without one gets what is sent."""

    as_of: datetime
    deliveries: list[DeliveryView]


def figures_view(found: list[Figure], findings: list[FindingFigure], now: datetime) -> FiguresView:
    """Figures by organisation, and their sums."""
    totals: dict[str, int] = {}
    by_organisation: dict[str, dict[str, int]] = {}
    for figure in found:
        totals[figure.fact] = totals.get(figure.fact, 0) + figure.number
        by_organisation.setdefault(figure.organisation, {})[figure.fact] = figure.number
    return FiguresView(
        as_of=now,
        totals=dict(sorted(totals.items())),
        organisations=[
            OrganisationFiguresView(organisation=name, figures=figures)
            for name, figures in by_organisation.items()
        ],
        findings=[_finding_view(figure) for figure in findings],
    )


def _finding_view(figure: FindingFigure) -> FindingFiguresView:
    return FindingFiguresView(
        regime=figure.regime,
        state=figure.state,
        settlement=figure.settlement,
        findings=figure.number,
        replied=figure.replied,
        median_reply_days=figure.median_days,
    )


def deliveries_view(found: list[Delivery], now: datetime) -> DeliveriesView:
    """How deliveries stand."""
    shown = DeliveryView.model_fields
    views = [DeliveryView(**{name: getattr(item, name) for name in shown}) for item in found]
    return DeliveriesView(as_of=now, deliveries=views)
