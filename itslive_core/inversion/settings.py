"""Settings of the inversion: validated, immutable, and the same in Python, shell and app."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from itslive_core.settings import (
    Choice,
    Limits,
    ValueFilters,
    choice,
    device,
    flag,
    number,
    number_or_word,
    same,
)

__all__ = ["PRESETS", "InversionSettings"]

PRESETS: dict[str, dict[str, Any]] = {
    "recommended": {},
    "slow glacier": {"derivative": 1, "interval": 24.0},
    "ice sheet": {"interval": 24.0, "smoothing_in_time": "constant"},
    "itslive-tool": {"smoothing": 10.0, "weights": "none", "robust": False, "outliers": "none"},
}
"""What each preset changes of the defaults; docs/how-we-know-it-is-right.md holds each against the truth.

Slow: velocity may wander below what single pairs show (k = 1), and coarser cells lose nothing. Ice sheet:
coarse cells and one lambda, for many pixels. "itslive-tool" repeats ITS_LIVE_TOOL.
"""


@dataclass(frozen=True)
class InversionSettings(Limits):
    """How to invert image pairs into a regular series.

    Minimised at each pixel, both components with one matrix, velocities in m/yr and h in days:

        sum_j w_j u_j (sum_k A_jk v_k - d_j)^2 + (lambda / h^k)^2 ||D_k v||^2

    Parameters
    ----------
    smoothing : float or {"auto", "evidence", "gcv"}
        lambda > 0; or chosen at each pixel: ``"evidence"`` takes the one of highest evidence, ``"gcv"`` the
        one of least generalised cross-validation. ``"auto"`` lets the evidence judge a whole account of pairs
        and ice, of which lambda is a part: see docs/how-the-estimate-works.md.
    derivative : {1, 2}
        k: penalise changes of velocity, or of acceleration.
    interval : float
        h, length of a time cell [days].
    weights : {"none", "span", "error"}
        w: all 1; ~ span^2, which fits displacements; ~ 1 / formal error^2.
    robust : bool
        Reweight by Student's t with 6 degrees of freedom, so that outliers lose their pull.
    outliers : {"none", "auto"}
        ``"auto"`` rejects long pairs that locked on something that does not move.
    uncertainty : bool
        Compute standard deviations.
    spatial_smoothing : float or "auto"
        mu, for areas only: adds mu^2 times the sum of ``|v_p - v_q|^2`` over neighbouring pixels of the area
        to the objective, in the units of the weights, of mean 1 at each pixel. 0 is none; ``"auto"``
        chooses one for the whole area from pairs that are held out; see `itslive_core.neighbours.patches`.
    device : {"auto", "cpu", "cuda"}
        Where to compute; the result does not depend on it. ``"cuda"`` needs torch and a GPU; noise, offsets
        and smoothing ``"auto"`` are learnt on the CPU first; ``"auto"`` takes a GPU for work for which it
        should pay.
    noise : {"auto", "formal", "learnt"}
        Size of the noise: as the formal errors and `weights` say, or learnt from residuals for each mission,
        with less credit for pairs that share images. ``"auto"`` learns it where lambda is chosen
        automatically, and leaves the objective above as it is where lambda is a number.
    offsets : {"auto", "none", "mission"}
        Estimate an offset of each mission from the reference mission, shrunk towards 0; ``"auto"`` as above.
    smoothing_in_time : {"auto", "constant", "varying"}
        One lambda for the whole series, or one that changes by years and months; ``"auto"`` as above. A given
        lambda is then its geometric mean.
    learn : {"block", "pixel"}
        Where lambda is chosen automatically and the noise is learnt: whether a pixel takes noise, offsets and
        the shape of its smoothness from a few pixels of its block, see
        `itslive_core.inversion.learning.region`, or learns all of it alone. Pairs that come without a block,
        from a table for instance, learn alone.
    max_error : float, optional
        Reject pairs with a larger formal error, sqrt((vx_error^2 + vy_error^2) / 2) [m/yr].
    max_angle : float, optional
        Reject pairs whose direction differs by more from the median flow [degrees]; not at pixels whose
        median flow is not clear of the scatter.
    max_deviation : float, optional
        Reject pairs that differ from what the others say over the same span by more than this modified
        z-score; 3.5 is usual.

    Raises
    ------
    SettingsError
        If a value is impossible; the message says what is possible.
    """

    of: ClassVar[str] = "the inversion"
    presets: ClassVar[dict[str, dict[str, Any]]] = PRESETS

    smoothing: float | str = number_or_word(
        "auto",
        1e-6,
        1e12,
        ("auto", "evidence", "gcv"),
        instead="give a number above 0, or 'auto'",
        help="Weight of the smoothness, lambda; or how the pairs decide: by evidence, by cross-validation, or"
        " (auto) by the evidence of all that is learnt",
    )
    derivative: int = choice(
        2,
        (1, 2),
        meanings=("velocity", "acceleration"),
        help="Which derivative is kept small: 1 the slope, 2 the bend",
        label="Penalise",
        doc="Order k of the derivative that is kept small.",
        names={"Slope (k = 1)": 1, "Curvature (k = 2)": 2},
    )
    interval: float = number(
        12.0,
        0.5,
        3650.0,
        unit="days",
        metavar="DAYS",
        help="Length of a cell of the series",
        label="Interval h [days]",
        doc="Length of a cell of the time grid.",
        slider=(2.0, 120.0),
        step=1.0,
    )
    weights: str = choice(
        "error",
        ("none", "span", "error"),
        help="What a pair counts: all alike, by its span, or by its formal error",
        label="Weights",
        doc="How much an image pair counts.",
        names={"By formal error": "error", "By span²": "span", "All equal": "none"},
    )
    robust: bool = flag(
        True,
        help="Turn down pairs that contradict others",
        label="Robust fit",
        doc="Noise of Student's t: the further a pair is from the series, the less it counts.",
    )
    outliers: str = same(ValueFilters, "outliers")
    uncertainty: bool = flag(True, help="Standard deviations")
    spatial_smoothing: float | str = number_or_word(
        0.0,
        0.0,
        1e3,
        ("auto",),
        help="Coupling of neighbouring pixels of an area, mu; auto: what predicts held-out pairs best",
    )
    device: str = device()
    noise: str = choice(
        "auto",
        ("auto", "formal", "learnt"),
        automatic=("learnt", "formal"),
        help="Size of the noise: as formal errors say, or learnt for each mission; auto learns it where the"
        " smoothing is automatic",
        label="Noise",
        doc="How large the errors of each mission are taken to be.",
        names={"Learnt from residuals": "learnt", "Formal errors": "formal"},
    )
    offsets: str = choice(
        "auto",
        ("auto", "none", "mission"),
        automatic=("mission", "none"),
        help="Estimate offsets between missions; auto does where the smoothing is automatic",
        label="Offsets between missions",
        doc="Allow each mission a constant offset from the others.",
        names={"Estimated": "mission", "None": "none"},
    )
    smoothing_in_time: str = choice(
        "auto",
        ("auto", "constant", "varying"),
        automatic=("varying", "constant"),
        help="One smoothing, or one that changes by years and months; auto varies an automatic one",
        label="Smoothing in time",
        doc="Let the smoothing differ between years and months, or keep it the same.",
        names={"Follows the data": "varying", "Same at all times": "constant"},
    )

    learn: str = choice(
        "block",
        ("block", "pixel"),
        help="What satellites and weather decide (noise, offsets, how smoothness changes) is learnt once for"
        " a block of pixels, or at each pixel alone",
        label="Learn together",
        doc="Let a pixel take what it shares with its neighbours from a few of them; its speed is its own.",
        names={"From the block": "block", "Each pixel alone": "pixel"},
    )

    @property
    def learns_together(self) -> bool:
        """Pixels of a block share what they learn."""
        learns = self.smoothing == "auto" and self.learns_noise
        return self.learn == "block" and learns and not self.couples_pixels

    @property
    def learns_noise(self) -> bool:
        """The noise is learnt from residuals."""
        return self.meaning_of("noise") == "learnt"

    @property
    def estimates_offsets(self) -> bool:
        """Offsets between missions are estimated."""
        return self.meaning_of("offsets") == "mission"

    @property
    def varies_smoothing(self) -> bool:
        """The smoothing may change in time."""
        return self.meaning_of("smoothing_in_time") == "varying"

    @property
    def couples_pixels(self) -> bool:
        """Neighbouring pixels are coupled."""
        return self.spatial_smoothing != 0.0

    def meaning_of(self, name: str) -> Any:
        """Return the value of a setting, or what its ``"auto"`` stands for with this choice of lambda."""
        value, kind = getattr(self, name), self.kinds()[name]
        if not isinstance(kind, Choice) or kind.automatic is None or value != "auto":
            return value
        where_automatic, where_fixed = kind.automatic
        return where_automatic if isinstance(self.smoothing, str) else where_fixed

    def to_dict(self) -> dict[str, Any]:
        """Return all settings as plain values; limits of rejections only where they are set."""
        return {name: value for name, value in super().to_dict().items() if value is not None}
