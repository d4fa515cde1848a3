"""celerite2 on mid-dates: read t, y, error, grid from a .npz, fit, predict; print CPU seconds as JSON.

Runs in an environment of its own (pip install celerite2 numpy scipy); nothing of ours is imported here. The
kernel is the nearest that celerite2 has: Matern 3/2, two oscillators of a year and half a year, and a short
exponential; eight numbers and a factor of the errors, by L-BFGS with finite differences, as it has no
gradients outside of other frameworks.

    python celerite_worker.py rows.npz [--given]

With --given nothing is fitted: the hyperparameters are those that a fit starts from.
"""

from __future__ import annotations

import json
import sys
import time

import celerite2
import numpy as np
from celerite2 import terms
from scipy.optimize import minimize


def main() -> None:
    rows = np.load(sys.argv[1])
    order = np.argsort(rows["t"])
    t, y, error, grid = rows["t"][order], rows["y"][order], rows["error"][order], rows["grid"]
    t = t + np.linspace(0, 1e-7, len(t))  # no two pairs at the same instant

    def process(p: np.ndarray) -> celerite2.GaussianProcess:
        v = np.exp(p)
        kernel = (
            terms.Matern32Term(sigma=v[0], rho=v[1])
            + terms.SHOTerm(sigma=v[2], rho=1.0, Q=0.5 + v[3])
            + terms.SHOTerm(sigma=v[4], rho=0.5, Q=0.5 + v[5])
            + terms.RealTerm(a=v[6] ** 2, c=1 / v[7])
        )
        gp = celerite2.GaussianProcess(kernel, mean=0.0)
        gp.compute(t, diag=v[8] ** 2 * (error**2 + 1e-6), quiet=True)
        return gp

    def objective(p: np.ndarray) -> float:
        value = -process(p).log_likelihood(y)
        return value if np.isfinite(value) else 1e25

    start = np.log([1.0, 3.0, 0.6, 6.0, 0.3, 6.0, 0.4, 0.15, 1.0])
    begin = time.process_time()
    best, evaluations = start, 0
    if "--given" not in sys.argv[2:]:
        found = minimize(objective, start, method="L-BFGS-B", bounds=[(a - 4, a + 4) for a in start])
        best, evaluations = found.x, int(found.nfev)
    process(best).predict(y, t=grid, return_var=True)
    print(json.dumps({"seconds": time.process_time() - begin, "evaluations": evaluations}))


if __name__ == "__main__":
    main()
