"""`draw_worth`: 24 months as an SVG: what the tier and the small model have cost by then."""

from collections.abc import Sequence
from html import escape

from flywheel.economics.months import Month
from flywheel.economics.worth import Worth
from flywheel.errors import MeasurementError

__all__ = ["draw_worth"]

_WIDTH, _HEIGHT = 760, 380
_SIZE = f'viewBox="0 0 {_WIDTH} {_HEIGHT}" width="{_WIDTH}" height="{_HEIGHT}"'
_LEFT, _RIGHT, _TOP, _BOTTOM = 84, 20, 56, 48
_TIER, _SMALL = "#b5482a", "#35618f"
_TICKS = 4


def draw_worth(worth: Worth) -> str:
    """Draw cumulative costs over the months, what was invested on the small model's side.

    Raises:
        MeasurementError: figures are missing, so that there are no months to draw.
    """
    if not worth.months:
        raise MeasurementError(
            "There is nothing to draw: " + "; ".join(worth.missing),
            next_step="state the missing prices, or measure first; the table names them",
        )
    tier, small = _cumulated(worth.months)
    small = [value + _invested(worth) for value in small]
    top = max(*tier, *small, 1e-9)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {_SIZE} font-family="sans-serif" font-size="12">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#ffffff"/>',
        _text(_LEFT, 22, f"{worth.workload_id}: cumulative cost, {worth.currency}", size=15),
        _text(_LEFT, 42, _verdict(worth), color="#444444"),
        *_axes(worth, top),
        _line(tier, top, _TIER),
        _line(small, top, _SMALL),
        _legend(0, _TIER, f"tier {worth.tier}"),
        _legend(1, _SMALL, "small model, investment included"),
        *_crossing(worth),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _cumulated(months: Sequence[Month]) -> tuple[list[float], list[float]]:
    tier, small = [0.0], [0.0]
    for month in months:
        tier.append(tier[-1] + month.baseline)
        small.append(small[-1] + month.small)
    return tier, small


def _invested(worth: Worth) -> float:
    return float(worth.figure("invested so far").value or 0.0)


def _verdict(worth: Worth) -> str:
    at, reason = worth.pay_back.at, worth.pay_back.reason
    return f"not paid back: {reason}" if at is None else f"paid back on {at:%Y-%m-%d}, {reason}"


def _x(position: float, count: int) -> float:
    return round(_LEFT + position / count * (_WIDTH - _LEFT - _RIGHT), 1)


def _y(value: float, top: float) -> float:
    return round(_HEIGHT - _BOTTOM - value / top * (_HEIGHT - _TOP - _BOTTOM), 1)


def _axes(worth: Worth, top: float) -> list[str]:
    parts, count = [], len(worth.months)
    for tick in range(_TICKS + 1):
        value = top * tick / _TICKS
        y = _y(value, top)
        parts += [
            f'<line x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}" stroke="#dddddd"/>',
            _text(_LEFT - 8, y + 4, f"{value:,.0f}", anchor="end"),
        ]
    for month in worth.months[::6]:
        x = _x(month.number - 1, count)
        parts.append(_text(x, _HEIGHT - _BOTTOM + 18, f"{month.start:%b %Y}", anchor="middle"))
    return parts


def _line(values: Sequence[float], top: float, color: str) -> str:
    count = len(values) - 1
    points = " ".join(f"{_x(i, count)},{_y(v, top)}" for i, v in enumerate(values))
    return f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2"/>'


def _legend(place: int, color: str, text: str) -> str:
    x, y = _LEFT + place * 220, _HEIGHT - 10
    bar = f'<rect x="{x}" y="{y - 9}" width="18" height="4" fill="{color}"/>'
    return bar + _text(x + 24, y - 3, text)


def _crossing(worth: Worth) -> list[str]:
    at = worth.pay_back.at
    if at is None:
        return []
    first, second = worth.months[0].start, worth.months[1].start
    x = _x((at - first) / (second - first), len(worth.months))
    ends = f'x1="{x}" x2="{x}" y1="{_TOP}" y2="{_HEIGHT - _BOTTOM}"'
    return [f'<line {ends} stroke="#666666" stroke-dasharray="4 3"/>']


def _text(x: float, y: float, text: str, **look: str | int) -> str:
    anchor, color = look.get("anchor", "start"), look.get("color", "#222222")
    size = f' font-size="{look["size"]}"' if "size" in look else ""
    return (
        f'<text x="{x}" y="{y}" text-anchor="{anchor}" fill="{color}"{size}>{escape(text)}</text>'
    )
