"""What is told of one image pair, as a card."""

from __future__ import annotations

import math
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from dashboard.colours import LEFT_OUT_LABEL, MISSION_COLOURS, MISSION_LABELS, step_label
from dashboard.views.pair_bars import moments
from dashboard.views.rejected import NO_WEIGHT
from itslive_core.support.student import LEAST_WEIGHT

if TYPE_CHECKING:
    from dashboard.state.picked import Picked

__all__ = ["left_out_words", "pair_html", "pair_title"]


def pair_title(picked: Picked) -> str:
    """Write the title of the card of a pair, with the colour of its mission."""
    colour, label = MISSION_COLOURS[picked.mission], MISSION_LABELS[picked.mission]
    return f"<h3><span style='background:{colour}'></span>Image pair, {escape(label)}</h3>"


def pair_html(picked: Picked) -> str:
    """Write what is known of a pair."""
    rows = [*_measured(picked), *_judged(picked), *_made_from(picked)]
    listed = "".join(f"<dt>{escape(name)}</dt><dd>{text}</dd>" for name, text in rows)
    return f"<dl>{listed}</dl>"


def _measured(picked: Picked) -> list[tuple[str, str]]:
    pairs, row = picked.pairs, picked.row
    vx, vy = float(pairs.vx[row]), float(pairs.vy[row])
    errors = (_number(pairs.vx_error[row]), _number(pairs.vy_error[row]))
    first, second = (
        f"{_date(day)}{f', {escape(_satellite(code))}' if code else ''}"
        for day, code in zip(picked.dates, picked.satellites, strict=True)
    )
    return [
        ("From", first),
        ("To", second),
        ("Span", f"{float(pairs.span[row]):,.1f} days"),
        ("Speed", f"{math.hypot(vx, vy):,.1f} m/yr"),
        ("vx, vy", f"{_number(vx)} ± {errors[0]}, {_number(vy)} ± {errors[1]} m/yr"),
    ]


def _judged(picked: Picked) -> list[tuple[str, str]]:
    if picked.is_out:
        return [("Not used", f"{LEFT_OUT_LABEL} by hand" if picked.reasons else "Its mission is left out")]
    verdict = picked.verdict
    if verdict is None:
        return [("In the estimate", "…")]
    if verdict.rejected_by:
        return [("Not used", f"Filter: {step_label(verdict.rejected_by)}")]
    if not math.isfinite(verdict.weight):
        return [("In the estimate", "used")]
    off = math.hypot(verdict.along, verdict.across)
    times = f" ({off / verdict.sigma:,.1f} σ)" if verdict.sigma > 0 and math.isfinite(off) else ""
    told = [
        ("Weight", f"{verdict.weight:.2f} in the robust fit"),
        ("Assumed error σ", f"{_number(verdict.sigma)} m/yr"),
        ("Residual", f"{verdict.along:+,.1f} along, {verdict.across:+,.1f} across the flow, m/yr{times}"),
    ]
    return [("Hardly used", step_label(NO_WEIGHT)), *told] if verdict.weight < LEAST_WEIGHT else told


def _made_from(picked: Picked) -> list[tuple[str, str]]:
    granule = picked.granule
    if granule is None:
        return []
    rows = [
        (name, f"<code>{escape(image)}</code>")
        for name, image in (("Earlier image", granule.first), ("Later image", granule.second))
        if image
    ]
    if granule.link:
        address = escape(granule.link, quote=True)
        file = escape(granule.link.rpartition("/")[2])
        rows.append(
            (
                "Granule",
                f"<a href='{address}' target='_blank' rel='noopener' title='{file}'>file of this pair</a>",
            )
        )
    return rows


def _date(day: float) -> str:
    moment = str(moments(np.array([day]))[0].astype("datetime64[m]"))
    return moment.replace("T", " ") + " UTC"


def left_out_words(name: str) -> str:
    """Write the name of a pair or an image that is left out as a person reads it."""
    images = (image.rpartition("@")[::2] for image in name.split("/"))
    return " – ".join(f"{_satellite(code)} {date.replace('T', ' ')}".strip() for code, date in images)


def _satellite(code: str) -> str:
    """Name a satellite by its code."""
    if code.isdigit():
        return f"Landsat {code}"
    return f"Sentinel-{code}" if code[:1] in ("1", "2") else code


def _number(value: float) -> str:
    return f"{value:,.1f}" if math.isfinite(value) else "unknown"
