"""The pictures of a report, drawn with matplotlib: legible in black and white, in any script."""

from __future__ import annotations

import io
import logging
import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.font_manager import fontManager, get_font

from pipeline.wording import MAPS, percent
from report.render import WIDTH
from report.sample import Sample, telling_features
from report.words import shortened, shown

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Most fonts that come along have one weight.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

_COLORS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#8c6d1f")
"""Okabe and Ito's, which colour-blind people tell apart, without the yellow, which is too light."""

_MANY_CLASSES = 20
_SCATTERED = 6
_HISTOGRAMS = 12
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_OTHER = ("#8a8f98", ".")
_INK, _FAINT = "#1d2733", "#d5dbe1"
_LABEL = 22

_STYLE: dict[Any, Any] = {
    "font.size": 8,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.edgecolor": _FAINT,
    "axes.labelcolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "axes.unicode_minus": False,
}


class Picture(NamedTuple):
    """A picture as PNG, twice as large as `WIDTH` by `height`; `alt` tells what it shows."""

    name: str
    alt: str
    png: bytes
    height: int


def confusion_matrix(metrics: Mapping[str, Any]) -> Picture:
    """Draw the confusion matrix: counts, and shares of the rows of the true class."""
    names, counts = metrics["classes"], np.array(metrics["confusion_matrix"], float)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    size = len(names)
    cell = min(0.62, 4.4 / size)
    with _figure(names, height=cell * size + 1.25) as (figure, axes):
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1.25, aspect="equal")
        for (true, predicted), count in np.ndenumerate(counts):
            if count:
                share = f"\n{percent(shares[true, predicted], 0)}" if size <= 12 else ""
                axes.text(
                    predicted,
                    true,
                    f"{count:,.0f}{share}",
                    ha="center",
                    va="center",
                    color="white" if shares[true, predicted] > 0.75 else _INK,
                    fontweight="bold" if true == predicted else "normal",
                    fontsize=8 if size <= 12 else 6,
                )
        labels = [_label(name) for name in names]
        axes.set_xticks(range(size), labels, rotation=0 if _fits(labels, cell) else 40, ha="center")
        if not _fits(labels, cell):
            for tick in axes.get_xticklabels():
                tick.set_horizontalalignment("right")
        axes.set_yticks(range(size), labels)
        axes.tick_params(length=0)
        axes.set_xlabel("predicted")
        axes.set_ylabel("true")
        axes.spines[:].set_visible(False)
        axes.set_xticks(np.arange(size + 1) - 0.5, minor=True)
        axes.set_yticks(np.arange(size + 1) - 0.5, minor=True)
        axes.grid(which="minor", color=_FAINT, linewidth=0.5)
        axes.tick_params(which="minor", length=0)
        right = int(np.trace(counts))
        return _picture(
            figure,
            "confusion_matrix",
            f"Confusion matrix of {size} classes: {right:,} of {counts.sum():,.0f} held-out rows "
            "are on the diagonal, where the predicted class is the true one.",
        )


def column_weights(shares: Mapping[str, float]) -> Picture:
    """Draw what share of the distance each column has, of the twelve with the greatest."""
    most = sorted(shares.items(), key=lambda item: -item[1])[:12]
    names = [name for name, _ in most]
    with _figure(names, height=0.26 * len(most) + 0.5) as (figure, axes):
        bars = axes.barh(range(len(most)), [share for _, share in most], color=_COLORS[0])
        axes.bar_label(bars, [percent(share) for _, share in most], padding=3)
        axes.set_yticks(range(len(most)), [_label(name, 32) for name in names])
        axes.invert_yaxis()
        axes.margins(x=0.12)
        axes.set_xticks([])
        axes.spines["bottom"].set_visible(False)
        axes.tick_params(length=0)
        told = ", ".join(f"{shown(name)} {percent(share)}" for name, share in most[:5])
        return _picture(figure, "column_weights", f"Share of the distance: {told}.")


def accuracy_by_k(choice: Mapping[str, Any]) -> Picture:
    """Draw cross-validation's accuracy against k, for each map, and what was chosen."""
    best: dict[str, dict[int, dict[str, float]]] = {}
    for score in choice["scores"]:
        of_k = best.setdefault(score["map"], {})
        if score["map"] == choice["map"]:
            if (score["weights"], score["metric"]) == (choice["weights"], choice["metric"]):
                of_k[score["k"]] = score["accuracy"]
        elif score["accuracy"]["mean"] > of_k.get(score["k"], {"mean": -1})["mean"]:
            of_k[score["k"]] = score["accuracy"]
    with _figure((), height=2.6) as (figure, axes):
        styles = ("--", ":", "-.", (0, (3, 1, 1, 1)), (0, (1, 3)))
        for place, (name, of_k) in enumerate(sorted(best.items())):
            ks = sorted(of_k)
            means = np.array([of_k[k]["mean"] for k in ks])
            if name == choice["map"]:
                spread = np.array([of_k[k]["std"] for k in ks])
                band = (means - spread, np.minimum(means + spread, 1))
                axes.fill_between(ks, *band, color="#0072b2", alpha=0.15, lw=0)
                axes.plot(ks, means, "o-", ms=3, color="#0072b2", label=f"{MAPS[name]} (chosen)")
            else:
                color, style = _COLORS[1 + place % 6], styles[place % len(styles)]
                axes.plot(ks, means, ls=style, lw=1.2, color=color, label=MAPS[name])
        chosen = best[choice["map"]][choice["k"]]
        axes.plot(choice["k"], chosen["mean"], "D", ms=7, mfc="none", mec=_INK, mew=1.4)
        axes.annotate(f"k = {choice['k']}", (choice["k"], chosen["mean"]), (6, 7),
                      textcoords="offset points")  # fmt: skip
        ticks = sorted(best[choice["map"]])
        axes.set_xscale("log")
        axes.set_xticks(_apart(ticks), [str(k) for k in _apart(ticks)])
        axes.set_xticks([], minor=True)
        axes.yaxis.set_major_formatter(lambda value, _: percent(value, 0) if value <= 1 else "")
        axes.set_xlabel("k, the number of neighbours that vote")
        axes.grid(axis="y", color=_FAINT, linewidth=0.5)
        axes.legend(frameon=False, fontsize=7)
        return _picture(
            figure,
            "accuracy_by_k",
            f"Accuracy against k: {percent(chosen['mean'])} at the chosen k = {choice['k']}, with "
            f"{MAPS[choice['map']]}.",
        )


def scatter_matrix(sample: Sample, features: Sequence[str]) -> Picture:
    """Draw the label and features against each other, by class, with wrong predictions marked."""
    variables = [(sample.label, sample.true.astype(float), ("", ""))]
    variables += [(name, *_axis_of(sample, name)) for name in features]
    size, classes = len(variables), _classes(sample)
    gap = 0.06
    texts = [sample.label, *sample.classes, *features]
    with _figure(texts, height=6, is_plain=True) as (figure, axes):
        scaled = [
            _scaled(
                _spread(values, place) if name not in features or name in sample.words else values
            )
            for place, (name, values, _) in enumerate(variables)
        ]
        for place in range(size):
            edge = size - 1 - place
            axes.plot([0, size - gap], [edge - gap / 2] * 2, color=_FAINT, lw=0.5)
            axes.plot([place - gap / 2] * 2, [0, size - gap], color=_FAINT, lw=0.5)
        pairs = [(r, c) for r in range(size) for c in range(size) if r != c]
        for name, rows, color, marker in classes:
            xs = np.concatenate([c + (1 - gap) * scaled[c][rows] for _, c in pairs])
            ys = np.concatenate([size - 1 - r + (1 - gap) * scaled[r][rows] for r, _ in pairs])
            axes.plot(
                xs,
                ys,
                marker,
                ms=_marker_size(len(sample.true), size),
                color=color,
                alpha=0.6,
                mew=0,
                label=_label(name),
            )
            for place in range(size):
                _step(axes, scaled[place][rows], place, size - 1 - place, 1 - gap, color)
        if len(wrong := np.flatnonzero(sample.wrong)):
            xs = np.concatenate([c + (1 - gap) * scaled[c][wrong] for _, c in pairs])
            ys = np.concatenate([size - 1 - r + (1 - gap) * scaled[r][wrong] for r, _ in pairs])
            axes.plot(xs, ys, "x", ms=4.5, mew=1.1, color="black", label="wrong prediction")
        for place, (name, _, (low, high)) in enumerate(variables):
            text = _wrapped(name, 11 if size > 5 else 14)
            middle = (1 - gap) / 2
            axes.text(place + middle, -0.16, text, ha="center", va="top", fontsize=7)
            axes.text(-0.16, size - 1 - place + middle, text, ha="right", va="center", fontsize=7)
            for at, number in ((0.0, low), (1 - gap, high)):
                where = "left" if at == 0 else "right"
                axes.text(place + at, -0.03, number, ha=where, va="top", fontsize=5.5)
        axes.set_xlim(-0.95 if size > 4 else -0.75, size)
        axes.set_ylim(-0.55, size)
        _legend_above(axes, markerscale=2.2)
        told = ", ".join(shown(name) for name in features)
        return _picture(
            figure,
            "scatter_matrix",
            f"Scatter matrix of {shown(sample.label)} and {told}, coloured by class; "
            f"{len(wrong):,} wrong predictions among {len(sample.true):,} rows are crossed.",
        )


def histograms(sample: Sample, features: Sequence[str]) -> Picture:
    """Draw a histogram of each feature by class."""
    columns = min(3, len(features))
    lines = -(-len(features) // columns)
    texts = [*sample.classes, *features]
    with _figure(texts, height=1.25 * lines + 0.45, is_plain=True) as (figure, axes):
        classes = _classes(sample)
        for place, name in enumerate(features):
            values, (low, high) = _axis_of(sample, name)
            column, line = place % columns, lines - 1 - place // columns
            scaled = _scaled(values)
            axes.plot([column, column + 0.9], [line] * 2, color=_FAINT, lw=0.8)
            for _, rows, color, _ in classes:
                _step(axes, scaled[rows], column, line, 0.9, color, top=0.62)
            axes.text(column, line + 0.68, _label(name, 28), fontsize=7.5, fontweight="bold")
            axes.text(column, line - 0.03, low, va="top", fontsize=6)
            axes.text(column + 0.9, line - 0.03, high, va="top", ha="right", fontsize=6)
        for name, _, color, marker in classes:
            axes.plot([], [], marker, color=color, label=_label(name))
        axes.set_xlim(-0.02, columns - 0.08)
        axes.set_ylim(-0.2, lines - 0.12)
        _legend_above(axes, markerscale=1)
        told = ", ".join(shown(name) for name in features)
        return _picture(figure, "histograms", f"Histograms by class of {told}.")


# ------------------------------------------------------------------------------- what they share


@contextmanager
def _figure(
    texts: Iterable[str], height: float, *, is_plain: bool = False
) -> Iterator[tuple[Figure, Axes]]:
    """Yield a figure, and axes that fill it, in the style of all; it can write these texts.

    Plain axes have nothing around them but a legend above.
    """
    with mpl.rc_context({**_STYLE, "font.family": font_families("".join(texts))}):
        figure = Figure(figsize=(WIDTH / 100, height), dpi=200)
        FigureCanvasAgg(figure)
        if is_plain:
            axes = figure.add_axes((0.01, 0.0, 0.98, 1 - 0.35 / height))
            axes.axis("off")
        else:
            figure.set_layout_engine("constrained")
            axes = figure.add_subplot()
        yield figure, axes


def _legend_above(axes: Axes, markerscale: float) -> None:
    axes.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4, frameon=False, fontsize=7.5,
        markerscale=markerscale, handletextpad=0.2, columnspacing=1.2,
    )  # fmt: skip


def _picture(figure: Figure, name: str, alt: str) -> Picture:
    out = io.BytesIO()
    figure.savefig(out, format="png", pil_kwargs={"compress_level": 6})
    return Picture(name, alt, out.getvalue(), round(figure.get_figheight() * 100))


@cache
def _fonts() -> dict[str, tuple[str, frozenset[int]]]:
    """Return name and characters of each font that comes along, by its path; DejaVu Sans first."""
    folder = resources.files("fonts")
    own = Path(mpl.get_data_path()) / "fonts/ttf/DejaVuSans.ttf"
    paths = [own, *sorted(Path(str(folder)).glob("*.ttf"), key=lambda path: path.stat().st_size)]
    fonts = {str(path): get_font(str(path)) for path in paths}
    return {path: (font.family_name, frozenset(font.get_charmap())) for path, font in fonts.items()}


def font_families(text: str) -> list[str]:
    """Return the fonts that are needed to write a text, DejaVu Sans first."""
    families, missing = ["DejaVu Sans"], {ord(c) for c in text if ord(c) > 0x7F}
    if not missing:
        return families
    for path, (family, characters) in _fonts().items():
        if found := missing & characters:
            missing -= found
            if family not in families:
                fontManager.addfont(path)
                families.append(family)
    return families


def _drawable(text: str) -> str:
    """Return a text with □ for what no font has."""
    if text.isascii():
        return text
    return "".join(
        c if ord(c) < 0x80 or any(ord(c) in known for _, known in _fonts().values()) else "□"
        for c in text
    )


def _label(text: str, most: int = _LABEL) -> str:
    return _drawable(shortened(shown(text), most)) or "(no name)"


def _wrapped(text: str, width: int) -> str:
    spaced = re.sub(r"(?<=[_.-])(?=\w)", "\0", _label(text, 2 * width))
    parts = textwrap.wrap(spaced.replace("\0", " \0"), width)
    return "\n".join(part.replace(" \0", "").replace("\0", "") for part in parts)


def _fits(labels: Sequence[str], cell: float) -> bool:
    """Whether each label is no wider than a cell, in inches; a character takes about 0.07."""
    return max(map(len, labels)) * 0.07 < cell


def _apart(ks: Sequence[int]) -> list[int]:
    """Return those of rising numbers that are a quarter greater than the one before."""
    kept: list[int] = []
    for k in ks:
        if not kept or k > kept[-1] * 1.25:
            kept.append(k)
    return kept


def _classes(sample: Sample) -> list[tuple[str, Any, str, str]]:
    """Return name, rows, colour and marker of each class; if there are many, of the largest."""
    counts = np.bincount(sample.true, minlength=len(sample.classes))
    order = [int(n) for n in np.argsort(-counts, kind="stable") if counts[n]]
    named, rest = (order, []) if len(order) <= len(_COLORS) else (order[:6], order[6:])
    found = [
        (sample.classes[n], np.flatnonzero(sample.true == n), _COLORS[place], _MARKERS[place])
        for place, n in enumerate(named)
    ]
    if rest:
        found.insert(0, (f"{len(rest)} more", np.flatnonzero(np.isin(sample.true, rest)), *_OTHER))
    return found


def _axis_of(sample: Sample, name: str) -> tuple[Any, tuple[str, str]]:
    """Return a feature's values within its common range, and what its ends are called."""
    values = sample.values[name]
    found = values[~np.isnan(values)]
    if not len(found):
        return values, ("", "")
    low, high = found.min(), found.max()
    if len(found) >= 200:
        # Beyond the range of 99 % points stand at the edge, so that outliers squeeze no picture.
        low, high = np.quantile(found, [0.005, 0.995])
        if low == high:
            low, high = found.min(), found.max()
    if words := sample.words.get(name):
        return values, (_label(words[0] or "missing", 9), _label(words[-1] or "missing", 9))
    return np.clip(values, low, high), (_number(low), _number(high))


def _number(number: float) -> str:
    """Return a number in four digits, and one with up to nine before the point in full."""
    return f"{number:,.0f}" if 1e4 <= abs(number) < 1e9 else f"{number:.4g}"


def _spread(values: Any, seed: int) -> Any:
    """Return values moved a little, so that equal ones don't hide each other."""
    return values + np.random.default_rng(seed).uniform(-0.25, 0.25, len(values))


def _scaled(values: Any) -> Any:
    """Return values from 0.04 to 0.96; what is missing stands below."""
    if np.isnan(values).all():
        return np.zeros(len(values))
    low, high = np.nanmin(values), np.nanmax(values)
    within = 0.04 + 0.92 * (values - low) / ((high - low) or 1.0)
    return np.where(np.isnan(within), 0.0, within)


def _step(
    axes: Axes, values: Any, x: float, y: float, width: float, color: str, top: float = 0.9
) -> None:
    """Draw a histogram of values from 0 to 1, as steps, with its foot at (x, y)."""
    counts, edges = np.histogram(values, bins=16, range=(0, 1))
    heights = top * counts / max(counts.max(), 1)
    axes.stairs(y + heights, x + width * edges, baseline=y, color=color, lw=1.0)
    axes.stairs(y + heights, x + width * edges, baseline=y, color=color, fill=True, alpha=0.12)


def _marker_size(rows: int, size: int) -> float:
    return max(1.2, min(3.5, 40 / math.sqrt(max(rows, 1)))) * (1.0 if size <= 5 else 0.75)


# ------------------------------------------------------------------------------- which there are


def draw(
    metrics: Mapping[str, Any] | None, choice: Mapping[str, Any] | None, sample: Sample | None
) -> list[Picture]:
    """Return the pictures of a run, those that say something of what it has come to."""
    pictures = []
    if metrics and 1 < len(metrics["classes"]) <= _MANY_CLASSES:
        pictures.append(confusion_matrix(metrics))
    shares = (choice or {}).get("columns", {})
    if len(shares) > 1:
        pictures.append(column_weights(shares))
    if choice and choice["scores"] and choice["by"] == "cross-validation":
        pictures.append(accuracy_by_k(choice))
    if sample is not None and len(sample.true) and sample.values:
        telling = telling_features(sample, shares)
        pictures.append(scatter_matrix(sample, telling[:_SCATTERED]))
        pictures.append(histograms(sample, telling[:_HISTOGRAMS]))
    return pictures
