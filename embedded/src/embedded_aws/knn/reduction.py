"""Dimension reduction by random projection, which keeps distances nearly as they are.

Both maps are linear and drawn from a seed alone, so a model stores no matrix, only
``{"type": …, "seed": …, "input_dim": …, "target_dim": …}`` (format: developer guide, "How the
k-NN Algorithm Works"). Each keeps squared lengths on average: E‖f(x)‖² = ‖x‖².

sign: f(x) = R x / √t, where R is a t × d matrix of random signs (D. Achlioptas,
"Database-friendly random projections", 2003).

fjlt: f(x) = √(m/t) S H D x, where D flips each coordinate's sign at random, H is the orthonormal
Walsh–Hadamard transform of the smallest power of two m that holds x (padded with zeros) and t,
and S takes t of the m coordinates at random, without repetition. This is N. Ailon and
B. Chazelle's "fast Johnson–Lindenstrauss transform" (2009) in the form in which S is a sample
(J. A. Tropp, "Improved analysis of the subsampled randomized Hadamard transform", 2011).
O(m log m) a row, where ``sign`` takes O(d t).
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from embedded_aws.knn.rows import Matrix, Vector

SEED = 3


@dataclass(frozen=True)
class Reduction:
    """A map from ``input_dim`` to ``target_dim`` dimensions, ``type`` being "sign" or "fjlt"."""

    type: str
    seed: int
    input_dim: int
    target_dim: int

    def __call__(self, features: Matrix) -> Matrix:
        """Map ``(n, input_dim) float32`` rows to ``(n, target_dim) float32``."""
        if self.type == "sign":
            return features @ self.signs.T * np.float32(1 / np.sqrt(self.target_dim))
        width = 1 << (max(self.input_dim, self.target_dim) - 1).bit_length()
        spread = np.zeros((len(features), width), np.float32)
        np.multiply(features, self.signs, out=spread[:, : self.input_dim])
        walsh_hadamard(spread)
        # H without its factor 1/√m is what the transform computes; √(m/t) · 1/√m = 1/√t.
        return spread[:, self.sampled(width)] * np.float32(1 / np.sqrt(self.target_dim))

    @cached_property
    def signs(self) -> Matrix | Vector:
        """The matrix R, ``(target_dim, input_dim)``, or the diagonal of D, ``(input_dim,)``."""
        shape = (self.target_dim, self.input_dim) if self.type == "sign" else (self.input_dim,)
        count = int(np.prod(shape))
        bits = np.unpackbits(self.random_words(-(-count // 64)).view(np.uint8), count=count)
        return (bits.astype(np.float32) * 2 - 1).reshape(shape)

    def sampled(self, width: int) -> npt.NDArray[np.intp]:
        """The coordinates that S takes of ``width``, ``(target_dim,)``."""
        after_signs = -(-self.input_dim // 64)
        keys = self.random_words(after_signs + width)[after_signs:]
        return np.argsort(keys, kind="stable")[: self.target_dim]

    def random_words(self, count: int) -> npt.NDArray[np.uint64]:
        """The first words of the seed's stream.

        Of numpy's random numbers only the raw stream of a bit generator is promised to stay
        the same in all versions, and a model has to.
        """
        return np.asarray(np.random.PCG64(self.seed).random_raw(count), "<u8")


def walsh_hadamard(rows: Matrix) -> None:
    """Transform each of ``(n, 2^p)`` rows in place, without the factor 2^(-p/2)."""
    n, width = rows.shape
    half = 1
    while half < width:
        pairs = rows.reshape(n, -1, 2, half)
        left, right = pairs[:, :, 0], pairs[:, :, 1]
        difference = left - right
        left += right
        right[:] = difference
        half *= 2
