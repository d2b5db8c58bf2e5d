"""Which combination of hyperparameters to try next.

Source: developer guide, "How Hyperparameter Tuning Works". SageMaker's own implementations
aren't public; these keep to what is documented of them.
"""

import itertools
import random
from typing import Protocol

import numpy as np
import numpy.typing as npt

from embedded_aws.sagemaker.tuning.gaussian_process import expected_improvement, fit
from embedded_aws.sagemaker.tuning.ranges import CategoricalRange, Range, combinations

Combination = dict[str, str]
Trial = tuple[Combination, float]
"""A combination that was tried and how good it was: the higher, the better."""

DRAWS = 1000
CANDIDATES = 512
FIRST_TRIALS = 3


class Search(Protocol):
    """Proposes combinations, none of them twice."""

    def propose(self, tried: list[Trial], running: list[Combination]) -> Combination | None:
        """The next combination, or None when all have been proposed."""


class GridSearch:
    """All combinations of categorical values, one after the other."""

    def __init__(self, ranges: list[Range]) -> None:
        names = [item.name for item in ranges]
        values = [item.values for item in ranges if isinstance(item, CategoricalRange)]
        self.left = (
            dict(zip(names, combination, strict=True)) for combination in itertools.product(*values)
        )

    def propose(self, tried: list[Trial], running: list[Combination]) -> Combination | None:
        """The next one, whatever came of the others."""
        return next(self.left, None)


class RandomSearch:
    """Combinations drawn independently of what came of the others."""

    def __init__(self, ranges: list[Range], seed: int | None) -> None:
        self.ranges = ranges
        self.random = random.Random(seed)
        self.proposed: set[tuple[str, ...]] = set()
        self.total = combinations(ranges)

    def propose(self, tried: list[Trial], running: list[Combination]) -> Combination | None:
        """One that hasn't been drawn yet."""
        if len(self.proposed) >= self.total:
            return None
        for _ in range(DRAWS):
            drawn = self.draw()
            if self.key(drawn) not in self.proposed:
                break
        else:
            drawn = self.first_left()
        return self.remember(drawn)

    def draw(self) -> Combination:
        """Any combination."""
        return {item.name: item.value(self.random.random()) for item in self.ranges}

    def first_left(self) -> Combination:
        """One of the few that are left, when drawing hardly finds them any more."""
        values = (
            item.values
            if isinstance(item, CategoricalRange)
            else (str(value) for value in range(int(item.low), int(item.high) + 1))
            for item in self.ranges
        )
        names = [item.name for item in self.ranges]
        return next(
            dict(zip(names, combination, strict=True))
            for combination in itertools.product(*values)
            if combination not in self.proposed
        )

    def key(self, combination: Combination) -> tuple[str, ...]:
        """The values in the order of the ranges."""
        return tuple(combination[item.name] for item in self.ranges)

    def remember(self, combination: Combination) -> Combination:
        """Take note that a combination has been proposed."""
        self.proposed.add(self.key(combination))
        return combination


class BayesianSearch(RandomSearch):
    """Where a Gaussian process over what is known expects the most improvement.

    The first few are drawn at random. Combinations that still run count as if they had come out
    as the model expects, so that those running at a time differ.
    """

    def propose(self, tried: list[Trial], running: list[Combination]) -> Combination | None:
        """The most promising of many that are drawn."""
        known = [(self.position(combination), value) for combination, value in tried]
        if len(known) < FIRST_TRIALS or len(self.proposed) >= self.total:
            return super().propose(tried, running)
        candidates = self.candidates(tried)
        if not candidates:
            return super().propose(tried, running)
        x = np.array([position for position, _ in known])
        y = np.array([value for _, value in known])
        process = fit(x, y)
        for combination in running:
            process = process.believing(np.array([self.position(combination)]))
        promise = expected_improvement(process, self.positions(candidates), float(y.max()))
        return self.remember(candidates[int(promise.argmax())])

    def candidates(self, tried: list[Trial]) -> list[Combination]:
        """Combinations not proposed yet, half of them anywhere, half of them near the best."""
        best = max(tried, key=lambda trial: trial[1])[0]
        drawn = [self.draw() for _ in range(CANDIDATES // 2)]
        drawn += [self.near(best) for _ in range(CANDIDATES // 2)]
        unique = {self.key(combination): combination for combination in drawn}
        return [combination for key, combination in unique.items() if key not in self.proposed]

    def near(self, combination: Combination) -> Combination:
        """A combination with some of its values moved a little."""
        moved: Combination = {}
        for item in self.ranges:
            value = combination[item.name]
            if isinstance(item, CategoricalRange):
                keep = self.random.random() < 0.8 and value in item.values
                moved[item.name] = value if keep else item.value(self.random.random())
            else:
                at = item.position(value)[0] + self.random.gauss(0, 0.1)
                moved[item.name] = item.value(min(max(at, 0.0), 1.0))
        return moved

    def position(self, combination: Combination) -> list[float]:
        """A combination as a point."""
        return [x for item in self.ranges for x in item.position(combination[item.name])]

    def positions(self, found: list[Combination]) -> npt.NDArray[np.float64]:
        """Combinations as points, ``(n, d) float64``."""
        return np.array([self.position(combination) for combination in found])


def make_search(strategy: str, ranges: list[Range], seed: int | None) -> Search:
    """The search of a tuning job's strategy.

    Hyperband stops jobs early by what they report on the way; k-NN reports nothing before its
    end, which leaves the random draws that Hyperband begins with.
    """
    if strategy == "Grid":
        return GridSearch(ranges)
    if strategy == "Bayesian":
        return BayesianSearch(ranges, seed)
    return RandomSearch(ranges, seed)
