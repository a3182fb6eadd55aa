"""The small systems on which a method is held to the contract: dtypes, and the forms that a matrix comes in."""

from typing import Any

import numpy as np
import scipy.sparse
from numpy.typing import DTypeLike, NDArray
from scipy.sparse.linalg import LinearOperator

from .. import _checks
from .._types import Seed

__all__ = ["DTYPES", "FORMS", "as_form", "test_matrix"]

DTYPES = ("float32", "float64", "complex64", "complex128")
FORMS = ("dense", "csr", "operator")


def test_matrix(n: int, dtype: DTypeLike, hermitian: bool = True, rng: Seed | None = 0) -> NDArray[Any]:
    """A well-conditioned dense matrix (kappa about 10), Hermitian positive definite or not symmetric."""
    rng = _checks.generator(rng)
    dtype = np.dtype(dtype)
    G = rng.standard_normal((n, n)) + (1j * rng.standard_normal((n, n)) if dtype.kind == "c" else 0)
    Q = np.linalg.qr(G)[0]
    A = (Q * np.linspace(1, 10, n)) @ Q.conj().T
    A = (A + A.conj().T) / 2
    return (A if hermitian else A + 0.3 * np.triu(G, 1) / np.sqrt(n)).astype(dtype)


test_matrix.__test__ = False  # pytest collects functions of this name


def as_form(A: NDArray[Any], form: str) -> Any:
    """The dense matrix A as it is, as a CSR array, or as an operator that hides its entries."""
    if form == "dense":
        return A
    if form == "csr":
        return scipy.sparse.csr_array(A)
    return LinearOperator(A.shape, matvec=lambda v: A @ v, dtype=A.dtype)
