"""Strain rates of a field of velocities, and their errors.

The logarithmic strain of a line of length l that was l_0 is ln(l / l_0); its rate along a direction n is
n' D n with D the symmetric part of the gradient of the velocity, whatever strain came before. That is what
Alley et al. (2018, J. Glaciol. 64, 397, doi:10.1017/jog.2018.30) find with stakes that drift for a while, in
the limit of a short while. Gradients are central differences over a length scale. Along the flow and across
it (Bindschadler et al. 1996), at the angle a of the flow from the x axis:

    longitudinal = e_xx cos^2 a + 2 e_xy cos a sin a + e_yy sin^2 a
    transverse   = e_xx sin^2 a - 2 e_xy cos a sin a + e_yy cos^2 a
    shear        = (e_yy - e_xx) cos a sin a + e_xy (cos^2 a - sin^2 a)

and the effective rate, of ice that keeps its volume (e_zz = -e_xx - e_yy), is
sqrt((e_xx^2 + e_yy^2 + e_zz^2) / 2 + e_xy^2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.errors import SettingsError
from itslive_core.physics.fields import as_field, described, steps_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    import xarray as xr
    from numpy.typing import NDArray

__all__ = ["STRAIN_RATES", "strain_rates"]

STRAIN_RATES = {
    "e_xx": "strain rate along x of the projection",
    "e_yy": "strain rate along y of the projection",
    "e_xy": "shear strain rate of the axes of the projection",
    "e_1": "first principal strain rate, the largest extension",
    "e_2": "second principal strain rate, the largest compression",
    "e_lon": "longitudinal strain rate, along the flow",
    "e_trans": "transverse strain rate, across the flow",
    "e_shear": "shear strain rate along the flow",
    "e_eff": "effective strain rate",
}
"""Variables, each with a standard deviation ``_std``, and what they are."""


def strain_rates(
    area: xr.Dataset, *, length_scale: float | None = None, correlation: float = 0.0
) -> xr.Dataset:
    """Give the strain rates of a field of velocities.

    Parameters
    ----------
    area : xarray.Dataset
        An estimate of an area: ``vx, vy`` and, for errors, ``vx_std, vy_std`` [m/yr], dimensions (..., y, x).
    length_scale : float, optional
        Half of the length over which gradients are taken [m]; rounded to whole pixels, one by default.
    correlation : float
        Of the errors of the two pixels of a difference, 0 to below 1. With 0 the errors given are an upper
        limit where errors of neighbours are alike.

    Returns
    -------
    xarray.Dataset
        `STRAIN_RATES` and the angle of the largest extension from the x axis, ``e_1_angle`` [degree],
        dimensions of the field, NaN where a neighbour is missing; with errors, ``_std`` of each [1/yr], by
        linear propagation, those of the angle of the flow among them.

    Raises
    ------
    SettingsError
        If that is no field, or an argument is impossible.
    """
    field = as_field(area)
    dx, dy = steps_of(field)
    if not 0.0 <= correlation < 1.0:
        raise SettingsError(f"correlation is {correlation!r}: give a number from 0 to below 1")
    reach = _pixels(length_scale, abs(dx)), _pixels(length_scale, abs(dy))
    vx, vy = (field[name].values.astype(np.float64) for name in ("vx", "vy"))
    by_x, by_y = 1.0 / (2.0 * reach[0] * dx), 1.0 / (2.0 * reach[1] * dy)
    ux, uy = _difference(vx, reach[0], -1) * by_x, _difference(vx, reach[1], -2) * by_y
    wx, wy = _difference(vy, reach[0], -1) * by_x, _difference(vy, reach[1], -2) * by_y
    rates, slopes = _rates(ux, wy, 0.5 * (uy + wx), vx, vy)
    dims = field["vx"].dims
    placed = {"grid_mapping": "mapping"} if "mapping" in field.variables else {}
    variables: dict[str, tuple[Any, Any, dict[str, Any]]] = {
        name: (dims, values, {"long_name": STRAIN_RATES[name], "units": "1/yr", **placed})
        for name, values in rates.items()
    }
    angle = 0.5 * np.degrees(np.arctan2(uy + wx, ux - wy))
    words = {"long_name": "angle of the largest extension from the x axis", "units": "degree", **placed}
    variables["e_1_angle"] = (dims, angle, words)
    if {"vx_std", "vy_std"} <= set(field.data_vars):
        square = [field[name].values.astype(np.float64) ** 2 for name in ("vx_std", "vy_std")]
        of_x, of_y = (1.0 - correlation) * by_x**2, (1.0 - correlation) * by_y**2
        spread = {
            "xx": _sum(square[0], reach[0], -1) * of_x,
            "yy": _sum(square[1], reach[1], -2) * of_y,
            "xy": 0.25 * (_sum(square[0], reach[1], -2) * of_y + _sum(square[1], reach[0], -1) * of_x),
            "vx": square[0],
            "vy": square[1],
        }
        for name, of in slopes.items():
            variance = sum((slope**2 * spread[key] for key, slope in of.items()), np.zeros_like(vx))
            words = {"long_name": f"standard deviation of {name}", "units": "1/yr", **placed}
            variables[f"{name}_std"] = (dims, np.sqrt(variance), words)
    title = "Strain rates of glacier ice at the surface, from ITS_LIVE image pairs"
    found = described(field, variables, title)
    found.attrs["length_scale"] = reach[0] * abs(dx)
    return found


def _rates(
    exx: NDArray, eyy: NDArray, exy: NDArray, vx: NDArray, vy: NDArray
) -> tuple[dict[str, NDArray], Mapping[str, Mapping[str, NDArray | float]]]:
    """Give all rates, and their derivatives by e_xx, e_yy, e_xy, vx and vy."""
    speed = np.hypot(vx, vy)
    with np.errstate(divide="ignore", invalid="ignore"):
        c, s = vx / speed, vy / speed
        half = 0.5 * (exx - eyy)
        radius = np.hypot(half, exy)
        mean = 0.5 * (exx + eyy)
        effective = np.sqrt(exx**2 + eyy**2 + exx * eyy + exy**2)
        shear = (eyy - exx) * c * s + exy * (c**2 - s**2)
        lon = exx * c**2 + 2.0 * exy * c * s + eyy * s**2
        trans = exx * s**2 - 2.0 * exy * c * s + eyy * c**2
        # Angle of the flow: da = (-s dvx + c dvy) / speed; d lon / da = 2 shear, d shear / da = trans - lon.
        turn = {"vx": -s / speed, "vy": c / speed}
        lean, across = np.where(radius > 0.0, half / radius, 1.0), np.where(radius > 0.0, exy / radius, 0.0)
        by = np.where(effective > 0.0, effective, np.nan)
        slopes: dict[str, dict[str, Any]] = {
            "e_xx": {"xx": 1.0},
            "e_yy": {"yy": 1.0},
            "e_xy": {"xy": 1.0},
            "e_1": {"xx": 0.5 * (1.0 + lean), "yy": 0.5 * (1.0 - lean), "xy": across},
            "e_2": {"xx": 0.5 * (1.0 - lean), "yy": 0.5 * (1.0 + lean), "xy": -across},
            "e_lon": {"xx": c**2, "yy": s**2, "xy": 2.0 * c * s} | _times(turn, 2.0 * shear),
            "e_trans": {"xx": s**2, "yy": c**2, "xy": -2.0 * c * s} | _times(turn, -2.0 * shear),
            "e_shear": {"xx": -c * s, "yy": c * s, "xy": c**2 - s**2} | _times(turn, trans - lon),
            "e_eff": {"xx": (exx + 0.5 * eyy) / by, "yy": (eyy + 0.5 * exx) / by, "xy": exy / by},
        }
    values = (exx, eyy, exy, mean + radius, mean - radius, lon, trans, shear, effective)
    return dict(zip(STRAIN_RATES, values, strict=True)), slopes


def _times(turn: Mapping[str, NDArray], slope: NDArray) -> dict[str, NDArray]:
    return {name: values * slope for name, values in turn.items()}


def _pixels(length: float | None, size: float) -> int:
    if length is None:
        return 1
    if not (np.isfinite(length) and length > 0.0):
        raise SettingsError(f"length_scale is {length!r}: give a number of metres above 0")
    return max(round(length / size), 1)


def _ends(values: NDArray, reach: int, axis: int) -> tuple[NDArray, NDArray]:
    """Give the values ahead of each pixel and behind it; NaN beyond the edge."""
    ahead, behind = np.full_like(values, np.nan), np.full_like(values, np.nan)
    moved, still = [slice(None)] * values.ndim, [slice(None)] * values.ndim
    moved[axis], still[axis] = slice(reach, None), slice(None, -reach)
    ahead[tuple(still)], behind[tuple(moved)] = values[tuple(moved)], values[tuple(still)]
    return ahead, behind


def _difference(values: NDArray, reach: int, axis: int) -> NDArray:
    ahead, behind = _ends(values, reach, axis)
    return ahead - behind


def _sum(values: NDArray, reach: int, axis: int) -> NDArray:
    ahead, behind = _ends(values, reach, axis)
    return ahead + behind
