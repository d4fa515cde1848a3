"""Where the ice jumps: heavy tails of the noise that enters the roughness from cell to cell.

The roughness is an autoregression, x_i = f x_(i-1) + g x_(i-2) + e_i. Ice is calm for years and then surges:
e has a Student t, which both axes share, instead of a normal distribution. As with the noise of pairs this
turns into weights, here of cells: where a jump is needed to meet the pairs it costs a logarithm, not a
square, and elsewhere the series stays as smooth as it is. Cells about which no pair knows keep the weight
of 1. Pairs seldom tell the very cell of a jump, so what speaks for one counts for the cells beside it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from itslive_core.gaussian_process.arrowhead import Posterior

__all__ = ["JUMP_FREEDOM", "jump_squares"]

JUMP_FREEDOM = 2.0
"""Degrees of freedom of the Student t: fewer than those of the noise, so that where pairs agree on a rise and
the series expects none, the series gives way."""
_UNSURE = 1.5
"""Cells by which pairs mistake the place of a jump."""
_REACH = 10
"""Cells as far as which a jump is looked for."""


def jump_squares(posterior: Posterior, *, blind: bool = True) -> NDArray[np.float64]:
    """Give the posterior expectation of e_i^2 over its prior variance, about each cell: shape (M - 2,).

    Parameters
    ----------
    posterior : Posterior
        With variances.
    blind : bool
        Count what is not known of e_i; without, the square of its mean is given.
    """
    latent = posterior.latent
    p, q = np.exp(-latent.decay[0]), np.exp(-latent.decay[1])
    f, g = p + q, -p * q
    x, (square, next_one, next_two) = posterior.roughness
    entering = x[:, 2:] - f * x[:, 1:-1] - g * x[:, :-2]
    unit = latent.roughness**2 * latent.variance_ratio
    if not blind:
        return _spread_out(np.asarray(entering[0] ** 2 / unit))
    variance = square[2:] + f**2 * square[1:-1] + g**2 * square[:-2]
    variance -= 2 * (f * (next_one[1:-1] - g * next_one[:-2]) + g * next_two[:-2])
    return _spread_out(np.asarray((np.sum(entering**2, axis=0) + variance) / unit))


def _spread_out(squares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Let large values stand for their neighbours too, falling off exponentially to both sides."""
    out, keep = squares.copy(), float(np.exp(-1.0 / _UNSURE))
    for _ in range(_REACH):
        out[1:] = np.maximum(out[1:], keep * out[:-1])
        out[:-1] = np.maximum(out[:-1], keep * out[1:])
    return out
