"""Regression by a Gaussian process, as Bayesian optimisation uses it.

Source: Rasmussen and Williams, "Gaussian Processes for Machine Learning", algorithm 2.1 and
equation 4.17 (Matérn, ν = 5/2); Snoek, Larochelle and Adams, "Practical Bayesian Optimization of
Machine Learning Algorithms" (kernel, expected improvement).
"""

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

LENGTHS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
NOISES = (1e-6, 1e-3, 1e-1)


@dataclass(frozen=True)
class GaussianProcess:
    """What is believed of a function after ``n`` values of it.

    ``x`` is ``(n, d)``; ``y``, ``(n,)``, is what was seen, less ``mean`` and divided by
    ``spread``; ``length`` and ``noise`` are the kernel's.
    """

    x: Array
    y: Array
    mean: float
    spread: float
    length: float
    noise: float

    def predict(self, x: Array) -> tuple[Array, Array]:
        """Mean and standard deviation at points ``(m, d)``, both ``(m,)``."""
        lower = self.cholesky()
        cross = matern(self.x, x, self.length)
        weights = np.linalg.solve(lower.T, np.linalg.solve(lower, self.y))
        explained = np.linalg.solve(lower, cross)
        variance = np.maximum(1.0 - np.square(explained).sum(axis=0), 1e-12)
        return self.mean + self.spread * (cross.T @ weights), self.spread * np.sqrt(variance)

    def cholesky(self) -> Array:
        """The lower Cholesky factor of the covariance of what was seen."""
        covariance = matern(self.x, self.x, self.length)
        return np.linalg.cholesky(covariance + self.noise * np.eye(len(self.x)))

    def log_likelihood(self) -> float:
        """The logarithm of the marginal likelihood, but for a constant."""
        lower = self.cholesky()
        alpha = np.linalg.solve(lower, self.y)
        return float(-0.5 * alpha @ alpha - np.log(np.diag(lower)).sum())

    def believing(self, x: Array) -> "GaussianProcess":
        """The process as if it had seen at ``(1, d)`` what it expects there."""
        expected, _ = self.predict(x)
        y = np.append(self.y, (expected - self.mean) / self.spread)
        return GaussianProcess(
            np.vstack([self.x, x]), y, self.mean, self.spread, self.length, self.noise
        )


def matern(a: Array, b: Array, length: float) -> Array:
    """Covariance of points ``(n, d)`` and ``(m, d)``, ``(n, m)``."""
    squares = np.square(a[:, None, :] - b[None, :, :]).sum(axis=2)
    r = math.sqrt(5) * np.sqrt(squares) / length
    covariance: Array = (1 + r + np.square(r) / 3) * np.exp(-r)
    return covariance


def fit(x: Array, y: Array) -> GaussianProcess:
    """The process under which values ``(n,)`` at points ``(n, d)`` are the likeliest."""
    mean, spread = float(y.mean()), float(y.std()) or 1.0
    standardised = (y - mean) / spread
    return max(
        (
            GaussianProcess(x, standardised, mean, spread, length, noise)
            for length in LENGTHS
            for noise in NOISES
        ),
        key=GaussianProcess.log_likelihood,
    )


def expected_improvement(process: GaussianProcess, x: Array, best: float) -> Array:
    """By how much points ``(m, d)`` are expected to exceed the best value so far, ``(m,)``."""
    mean, deviation = process.predict(x)
    z = (mean - best) / deviation
    density = np.exp(-0.5 * np.square(z)) / math.sqrt(2 * math.pi)
    below = 0.5 * (1 + np.array([math.erf(value / math.sqrt(2)) for value in z]))
    return (mean - best) * below + deviation * density
