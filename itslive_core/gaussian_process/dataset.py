"""The dataset of a fitted Gaussian process: series, parts, and hyperparameters in plain units and words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from itslive_core.gaussian_process.model import noise_name
from itslive_core.gaussian_process.precision import roughness_mean
from itslive_core.observations.missions import MISSIONS
from itslive_core.support.constants import DAYS_PER_YEAR

if TYPE_CHECKING:
    import xarray as xr
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.fit import Fit

__all__ = ["PART_WORDS", "add_hyperparameters", "along_axes", "describe", "series_columns"]

PART_WORDS = {
    "trend": "level and trend of the velocity along the flow",
    "season": "season of the velocity along the flow",
    "roughness": "what is neither trend nor season of the velocity along the flow",
}
"""Parts of the series along the flow."""

_COMPONENTS = ("along", "across")


def part_moments(fit: Fit, component: int) -> dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Give mean and standard deviation of the whole and of its parts.

    Parameters
    ----------
    fit : Fit
    component : int
        0 along the major axis, 1 along the minor one.

    Returns
    -------
    dict
        ``whole, trend, season, roughness`` -> (mean, std) [m/yr], shape (M,); parts that the kernel has.
    """
    data, posterior, shape = fit.components[component], fit.posteriors[component], fit.shape
    phi, d, r = posterior.phi, posterior.layout.states, len(posterior.beta)
    slow = np.arange(2 * d) % max(d, 1) < shape.n_trend
    x, covariance = posterior.roughness
    root = np.linalg.cholesky(posterior.beta_cov)
    # Mean and what beta adds, as rows; the level is beta's first.
    level = np.concatenate([posterior.beta[:1], -root[0]])[:, None]
    rows = posterior.rows.v
    states = {"trend": phi * slow, **({"season": phi * ~slow} if shape.harmonics else {})}
    out = {}

    def tell(name: str, lines: NDArray[np.float64], variance: NDArray[np.float64], *, leveled: bool) -> None:
        total = lines + level if leveled else lines
        std = np.sqrt(np.maximum(variance + np.sum(total[1:] ** 2, axis=0), 0.0)) * data.scale
        out[name] = total[0] * data.scale + (data.centre if leveled else 0.0), std

    tell("whole", rows, posterior.known.rough[:, 0], leveled=True)
    tell("roughness", x, covariance[0], leveled=False)
    for name, loads in states.items():
        lines = np.empty((1 + r, len(phi)))
        roughness_mean(posterior.layout.before, -loads, np.zeros_like(lines), posterior.rows.z, lines)
        tell(name, lines, posterior.states_variance(loads), leveled=name == "trend")
    return out


def along_axes(
    direction: tuple[Any, Any],
    along: tuple[NDArray[np.float64], NDArray[np.float64]],
    across: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> dict[str, NDArray[np.float64]]:
    """Turn mean and standard deviation along two axes into those along x and y, and of the speed.

    Parameters
    ----------
    direction : (cos, sin)
        Of the first axis; numbers, or arrays that go with the series.
    along, across : (mean, std)
        Of any shape [m/yr].

    Returns
    -------
    dict of ndarray
        vx, vy, v, their standard deviations [m/yr], and vx_vy_cov [m^2/yr^2].
    """
    (c, s), (a, a_std), (b, b_std) = direction, along, across
    vx, vy = c * a - s * b, s * a + c * b
    var_x, var_y = (c * a_std) ** 2 + (s * b_std) ** 2, (s * a_std) ** 2 + (c * b_std) ** 2
    covariance = c * s * (a_std**2 - b_std**2)
    v = np.hypot(vx, vy)
    square = vx**2 * var_x + vy**2 * var_y + 2 * vx * vy * covariance
    still = v == 0
    v_std = np.where(
        still, np.sqrt((var_x + var_y) / 2), np.sqrt(np.maximum(square, 0)) / np.where(still, 1, v)
    )
    return {
        "vx": vx,
        "vy": vy,
        "v": v,
        "vx_std": np.sqrt(var_x),
        "vy_std": np.sqrt(var_y),
        "v_std": v_std,
        "vx_vy_cov": covariance,
    }


def series_columns(fit: Fit, size: int) -> dict[str, NDArray[np.float64]]:
    """Turn a fit into the columns of a series along x and y.

    Parameters
    ----------
    fit : Fit
    size : int
        Number of cells to give.

    Returns
    -------
    dict of ndarray, shape (size,)
        vx, vy, v, their standard deviations, vx_vy_cov, and the parts along the flow [m/yr].
    """
    major, minor = part_moments(fit, 0), part_moments(fit, 1)
    columns = along_axes(fit.data.axis, major.pop("whole"), minor.pop("whole"))
    c, s = fit.data.flow_in_frame
    for name in PART_WORDS:
        if name in major:
            (a, a_std), (b, b_std) = major[name], minor[name]
            columns[name], columns[f"{name}_std"] = c * a + s * b, np.hypot(c * a_std, s * b_std)
    return {name: values[:size] for name, values in columns.items()}


def _turned(fit: Fit, component: int) -> tuple[float, float]:
    """Give the factors of major and minor axis of what lies along the flow (0) or across it (1)."""
    c, s = fit.data.flow_in_frame
    return (c, s) if component == 0 else (-s, c)


def plain_hyperparameters(fit: Fit, component: int) -> dict[str, float]:
    """Give hyperparameters in plain units: m/yr, years, days.

    Parameters
    ----------
    fit : Fit
    component : int
        0 along the flow, 1 across.
    """
    values, scale = fit.values, fit.data.scale
    of_major, of_minor = _turned(fit, component)
    unit = scale * float(np.hypot(of_major, of_minor * values["minor_ratio"]))
    latent = fit.posteriors[0].latent
    out: dict[str, float] = {}
    if fit.shape.trend:
        out |= {"trend_scale": values["trend_scale"] * unit, "trend_time": values["trend_time"]}
    if fit.shape.harmonics:
        both = latent.amplitudes[fit.shape.n_trend :: 2]
        out["season_scale"] = float(np.sqrt(np.sum(both**2))) * unit
        out |= {name: values[name] for name in ("season_shape", "season_memory")}
    if not fit.reason:
        out["roughness_scale"] = values["roughness_scale"] * unit
        out |= {name: values[name] * DAYS_PER_YEAR for name in ("roughness_time", "rounding_time")}
    out["shared_noise"] = scale * float(
        np.hypot(
            of_major * values["shared_noise"], of_minor * values["shared_noise"] * values["minor_shared"]
        )
    )
    return {**out, "noise_floor": values["noise_floor"] * scale}


_HYPERPARAMETER_WORDS = {
    "trend_scale": ("standard deviation of the trend", "m/yr"),
    "trend_time": ("time over which the trend changes", "yr"),
    "season_scale": ("standard deviation of the season", "m/yr"),
    "season_shape": ("smoothness of the season within a year: the smaller, the sharper its peaks", "1"),
    "season_memory": ("time over which the season changes its shape", "yr"),
    "roughness_scale": ("standard deviation of what is neither trend nor season", "m/yr"),
    "roughness_time": ("time over which the roughness is forgotten", "d"),
    "rounding_time": ("time over which the roughness is smooth", "d"),
    "shared_noise": ("noise of a cell that all pairs of these days share; no part of the velocity", "m/yr"),
    "noise_floor": ("noise of a pair beside its formal error, before the factor of its mission", "m/yr"),
}


def add_hyperparameters(ds: xr.Dataset, fit: Fit) -> xr.Dataset:
    """Add the hyperparameters of kernel and noise as variables over component and mission.

    Parameters
    ----------
    ds : xarray.Dataset
    fit : Fit
    """
    found = [plain_hyperparameters(fit, k) for k in range(2)]
    missions = fit.components[0].missions
    ds = ds.assign_coords(
        component=("component", np.array(_COMPONENTS), {"long_name": "along or across the median flow"}),
        mission=("mission", np.array([MISSIONS[m] for m in missions]), {"long_name": "mission group"}),
    )
    more: dict[str, Any] = {
        name: ("component", [n[name] for n in found], {"long_name": words, "units": unit})
        for name, (words, unit) in _HYPERPARAMETER_WORDS.items()
        if name in found[0]
    }
    factors = [[fit.values[noise_name(m)] for m in missions]] * 2
    more["noise_factor"] = (
        ("component", "mission"),
        factors,
        {"long_name": "noise over formal error and floor", "units": "1"},
    )
    offsets, stds = offsets_of(fit)
    more["mission_offset"] = (
        ("component", "mission"),
        offsets,
        {"long_name": "what the mission reads more than the reference mission", "units": "m/yr"},
    )
    more["mission_offset_std"] = (
        ("component", "mission"),
        stds,
        {"long_name": "uncertainty of mission_offset", "units": "m/yr"},
    )
    return ds.assign(more)


def offsets_of(fit: Fit) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give offsets and their standard deviations along the flow and across it [m/yr].

    Both of shape (2, missions); 0 where there is none.
    """
    missions = fit.components[0].missions
    offsets, stds = np.zeros((2, len(missions))), np.zeros((2, len(missions)))
    beta = np.stack([p.beta[1:] for p in fit.posteriors]) * fit.data.scale
    variance = np.stack([np.diag(p.beta_cov)[1:] for p in fit.posteriors]) * fit.data.scale**2
    at = [missions.index(mission) for mission in fit.offsets]
    for k in range(2):
        turn = np.array(_turned(fit, k))
        offsets[k, at], stds[k, at] = turn @ beta, np.sqrt(turn**2 @ variance)
    return offsets, stds


def describe(fit: Fit) -> list[str]:
    """Say in sentences what was found along the flow.

    Parameters
    ----------
    fit : Fit

    Returns
    -------
    list of str
    """
    n = plain_hyperparameters(fit, 0)
    words: list[str] = []
    if fit.reason:
        words.append(f"Fitted as {fit.reason}.")
    if "trend_scale" in n:
        words.append(
            f"The trend varies by about {n['trend_scale']:.3g} m/yr (one standard deviation)"
            f" over about {n['trend_time']:.2g} years."
        )
    if "season_scale" in n:
        words.append(
            f"The season varies by about {n['season_scale']:.3g} m/yr;"
            f" its shape changes over about {n['season_memory']:.2g} years."
        )
    if "roughness_scale" in n:
        words.append(
            f"Other changes are about {n['roughness_scale']:.3g} m/yr"
            f" and last about {n['roughness_time']:.0f} days."
        )
    words.append(
        f"Pairs of the same days share errors of about {n['shared_noise']:.2g} m/yr in each interval,"
        " which count as noise."
    )
    values = fit.values
    offsets, stds = offsets_of(fit)
    for k, mission in enumerate(fit.components[0].missions):
        name = MISSIONS[mission]
        text = (
            f"Pairs of {name} are {values[noise_name(mission)]:.2g} times as noisy as formal error and floor"
        )
        if mission in fit.offsets:
            side = "more" if offsets[0, k] >= 0 else "less"
            text += f", and read {abs(offsets[0, k]):.2g} ± {stds[0, k]:.2g} m/yr {side} than the reference"
        words.append(text + ".")
    return words


def hyperparameter_attributes(fit: Fit) -> dict[str, Any]:
    """Give what belongs to the whole dataset: direction of the flow, reason, evidence, words."""
    c, s = fit.data.flow
    return {
        "flow_direction_degrees": float(np.degrees(np.arctan2(s, c))),
        "evidence_gain_over_constant": fit.gain,
        "refined": int(fit.refined),
        "findings": " ".join(describe(fit)),
    }
