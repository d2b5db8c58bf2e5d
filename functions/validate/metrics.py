"""How good the answers on held-out rows are: counted row by row, in constant memory."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import NormalDist
from typing import Any

_TOP_2_FROM = 3
"""Classes from which on it says something that the true class is among the first two."""

_CONFIDENT = (0.5, 0.7, 0.9, 0.99)
"""Shares of the vote from which on predictions are counted by themselves."""


class Validation:
    """Counts of true against predicted classes, and sums of what the shares of the vote cost.

    Parameters
    ----------
    classes
        The dataset's, in the order of their integers.
    trained
        The training rows of each class that the file has rows of.
    """

    def __init__(self, classes: Sequence[str], trained: Mapping[str, int]) -> None:
        self._classes = tuple(classes)
        self._trained = trained
        # Row: true class; column: predicted class.
        self._counts = [[0] * len(self._classes) for _ in self._classes]
        self._log_loss: list[float] = []
        self._brier: list[float] = []
        self._in_top_2 = 0
        # Rows, and those that are right, with each of the shares at least.
        self._confident = [[0, 0] for _ in _CONFIDENT]

    def add(self, true: int, predicted: int, shares: Mapping[int, float], voters: int) -> None:
        """Count a row by its true and its predicted class, and the classes' shares of the vote.

        Parameters
        ----------
        voters
            Neighbours that voted.
        """
        self._counts[true][predicted] += 1
        share = shares.get(true, 0.0)
        self._log_loss.append(-math.log(smoothed(share, voters, len(self._trained))))
        self._brier.append(math.fsum(s * s for s in shares.values()) - 2 * share + 1)
        self._in_top_2 += true in sorted(shares, key=shares.__getitem__, reverse=True)[:2]
        for least, counts in zip(_CONFIDENT, self._confident, strict=True):
            # Seven votes of ten may add up to a little less than 0.7.
            if shares[predicted] >= least - 1e-9:
                counts[0] += 1
                counts[1] += true == predicted
        if len(self._brier) > 4096:
            self._log_loss, self._brier = [math.fsum(self._log_loss)], [math.fsum(self._brier)]

    @property
    def wrong(self) -> int:
        """Rows whose predicted class is another one than the true class."""
        return sum(map(sum, self._counts)) - sum(row[at] for at, row in enumerate(self._counts))

    def metrics(self) -> dict[str, Any]:
        """Return the metrics, as ``validation/metrics.json`` holds them.

        With TP, FP and FN of a class: precision = TP / (TP + FP), recall = TP / (TP + FN),
        F-score = 2 TP / (2 TP + FP + FN); macro F1 is the plain mean of the F-scores, balanced
        accuracy that of the recalls of classes with rows. Where a denominator is 0 the value is 0
        and a note says so. A class that neither has a row nor was predicted has no F-score, and is
        left out: a dataset remembers classes that a file doesn't have. Log loss and Brier score are
        those of the shares of the vote, for log loss as `smoothed` has them; with two classes the
        Brier score is halved. The baseline always predicts the class with the most training rows.
        Intervals are those of `wilson`; ``by_confidence`` counts predictions with so much of the
        vote at least. Source: scikit-learn user guide, "Classification metrics", with
        ``zero_division=0``; there too the labels are those "present in y_true or y_pred".

        Raises
        ------
        ValueError
            No row was counted.
        """
        rows = sum(map(sum, self._counts))
        if rows == 0:
            raise ValueError("there are no metrics of no rows")
        notes: list[str] = []
        per_class: dict[str, dict[str, Any]] = {}
        supports = [sum(row) for row in self._counts]
        predictions = [sum(column) for column in zip(*self._counts, strict=True)]
        seen = [
            index for index in range(len(self._classes)) if supports[index] + predictions[index]
        ]
        for index in seen:
            name = self._classes[index]
            true_positives = self._counts[index][index]
            support, predicted = supports[index], predictions[index]
            if predicted == 0:
                notes.append(f'"{name}" was never predicted: its precision is given as 0.')
            if support == 0:
                notes.append(f'"{name}" has no row in the test: its recall is given as 0.')
            per_class[name] = {
                "precision": _ratio(true_positives, predicted),
                "recall": _ratio(true_positives, support),
                "f_score": _ratio(2 * true_positives, predicted + support),
                "support": support,
                "precision_interval": wilson(true_positives, predicted),
                "recall_interval": wilson(true_positives, support),
            }
        notes += [
            f'"{name}" has no row in the test and was never predicted: it is left out.'
            for name in self._classes
            if name in self._trained and name not in per_class
        ]
        right = sum(self._counts[i][i] for i in seen)
        recalls = [self._counts[i][i] / supports[i] for i in seen if supports[i]]
        halved = 2 if len(self._trained) == 2 else 1
        kappa, by_chance = self._kappa(rows)
        result = {
            "rows": rows,
            "accuracy": right / rows,
            "balanced_accuracy": sum(recalls) / len(recalls),
            "macro_f1": sum(of_class["f_score"] for of_class in per_class.values()) / len(seen),
            "log_loss": math.fsum(self._log_loss) / rows,
            "brier": math.fsum(self._brier) / rows / halved,
            "kappa": kappa,
            "kappa_p_value": by_chance,
            "baseline": self._baseline(rows),
            "classes": [self._classes[index] for index in seen],
            "confusion_matrix": [[self._counts[i][j] for j in seen] for i in seen],
            "per_class": per_class,
            "intervals": {"accuracy": wilson(right, rows)},
            "by_confidence": [
                {"at_least": least, "rows": confident, "right": well}
                for least, (confident, well) in zip(_CONFIDENT, self._confident, strict=True)
            ],
            "notes": notes,
        }
        if len(self._trained) >= _TOP_2_FROM:
            result["top_2_accuracy"] = self._in_top_2 / rows
        return result

    def _baseline(self, rows: int) -> dict[str, Any]:
        """Return what it gives to predict one class always, and how the model compares.

        ``p_value`` is that of a one-sided sign test: how likely it is to be right as seldom as the
        model, of the rows on which only one of the two is right, if both were equally good.
        """
        frequent = self._classes.index(max(self._trained, key=self._trained.__getitem__))
        supports = [sum(row) for row in self._counts]
        present = sum(map(bool, supports)) + (not supports[frequent])
        only_baseline = supports[frequent] - self._counts[frequent][frequent]
        only_model = sum(self._counts[i][i] for i in range(len(supports)) if i != frequent)
        return {
            "class": self._classes[frequent],
            "accuracy": supports[frequent] / rows,
            "macro_f1": _ratio(2 * supports[frequent], rows + supports[frequent]) / present,
            "p_value": sign_test(only_model, only_baseline),
        }

    def _kappa(self, rows: int) -> tuple[float, float]:
        """Return Cohen's kappa, and how likely one so high is by chance.

        By chance predictions are as frequent as they are, but say nothing about the row. Kappa is
        then about normal, with the variance of all orders of the predictions. As rows are counted,
        one of two orders next to each other has one row more right, of two classes two rows: half
        of that is taken off (continuity correction). Source: J. Fleiss, J. Cohen, B. Everitt,
        "Large sample standard errors of kappa and weighted kappa" (1969); here the variance is
        times n / (n - 1), as it is of permutations.
        """
        true = [sum(row) / rows for row in self._counts]
        predicted = [sum(column) / rows for column in zip(*self._counts, strict=True)]
        agreed = sum(self._counts[i][i] for i in range(len(true))) / rows
        chance = math.fsum(a * b for a, b in zip(true, predicted, strict=True))
        if chance == 1:
            return 0.0, 1.0
        spread = math.fsum(a * b * (a + b) for a, b in zip(true, predicted, strict=True))
        variance = (chance + chance**2 - spread) / max(rows - 1, 1)
        kappa = (agreed - chance) / (1 - chance)
        if variance <= 0:
            return kappa, 1.0
        step = 2 if sum(map(bool, map(max, true, predicted))) == 2 else 1
        excess = agreed - step / 2 / rows - chance
        return kappa, NormalDist().cdf(-excess / math.sqrt(variance))


def wilson(successes: int, rows: int) -> list[float] | None:
    """Return the 95 % interval of a share, of which so many rows are a sample; None of no rows.

    Source: E. Wilson, "Probable inference, the law of succession, and statistical inference"
    (1927); statsmodels, ``proportion_confint(successes, rows, method="wilson")``.
    """
    if not rows:
        return None
    z = NormalDist().inv_cdf(0.975)
    share, weight = successes / rows, z * z / rows
    middle = share + weight / 2
    reach = math.sqrt(weight * (share * (1 - share) + weight / 4))
    low, high = (middle - reach) / (1 + weight), (middle + reach) / (1 + weight)
    return [max(low, 0.0), min(high, 1.0)]


def scores(true: Sequence[int], predicted: Sequence[int]) -> dict[str, float]:
    """Return accuracy and macro F1 of some rows, one at least, as `Validation.metrics` does."""
    right = Counter(one for one, other in zip(true, predicted, strict=True) if one == other)
    of_class = Counter(true) + Counter(predicted)
    f_scores = [2 * right[each] / total for each, total in of_class.items()]
    return {
        "accuracy": right.total() / len(true),
        "macro_f1": math.fsum(f_scores) / len(f_scores),
    }


def sign_test(wins: int, losses: int) -> float:
    """Return the probability of no more wins than these, if each side won half the time.

    Exact up to a thousand, then by the normal distribution with continuity correction. Source:
    scikit-learn has none; SciPy's ``binomtest(wins, wins + losses, alternative="less")``.
    """
    total = wins + losses
    if total <= 1000:
        fewer: int = sum(math.comb(total, each) for each in range(wins + 1))
        return float(fewer / 2**total)
    return NormalDist(total / 2, math.sqrt(total) / 2).cdf(wins + 0.5)


def proportion_test(share: float, rows: int, other_share: float, other_rows: int) -> float:
    """Return the probability of a share as low as this, if both samples had one share in truth.

    By the normal distribution, with the pooled share. Source: statsmodels,
    ``proportions_ztest(…, alternative="smaller")``.
    """
    pooled = (share * rows + other_share * other_rows) / (rows + other_rows)
    variance = pooled * (1 - pooled) * (1 / rows + 1 / other_rows)
    if variance <= 0:
        return 1.0
    return NormalDist().cdf((share - other_share) / math.sqrt(variance))


def smoothed(share: float, k: int, classes: int) -> float:
    """Return a share of the vote as a probability above 0: as if each class had had 1/`classes`.

    That is Laplace's rule with one vote in all. A class without a vote is possible, and log loss
    stays finite.
    """
    return (share * k + 1 / classes) / (k + 1)


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole else 0.0
