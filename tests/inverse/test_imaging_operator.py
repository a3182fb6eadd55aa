"""The protocol of operators between shaped arrays: forms, adjoints, complex input, other people's operators."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import LinearOperator, lsqr

from solvers import InvalidInput, UnsupportedType, inverse
from solvers.inverse._wrapped import as_imaging_operator


class Rows(inverse.ImagingOperator):
    """Every other row of an image, times a factor."""

    def __init__(self, factor=2.0, dtype=float):
        super().__init__(dtype, (4, 3), (2, 3))
        self._factor = np.asarray(factor, dtype)[()]

    def forward_stack(self, X):
        return X[:, ::2] * self._factor

    def adjoint_stack(self, Y):
        X = np.zeros((len(Y), 4, 3), Y.dtype)
        X[:, ::2] = Y * np.conj(self._factor)
        return X


DENSE = np.kron(np.eye(4)[::2], np.eye(3)) * 2.0


def test_every_form_gives_the_product_in_its_form():
    rng = np.random.default_rng(0)
    A, X = Rows(), rng.random((5, 4, 3))
    right = X.reshape(5, 12) @ DENSE.T
    np.testing.assert_array_equal(A @ X, right.reshape(5, 2, 3))
    np.testing.assert_array_equal(A @ X[0], right[0].reshape(2, 3))
    np.testing.assert_array_equal(A @ X[0].ravel(), right[0])
    np.testing.assert_array_equal(A @ X.reshape(5, 12).T, right.T)
    np.testing.assert_array_equal(A.H @ (A @ X), (right @ DENSE).reshape(5, 4, 3))
    np.testing.assert_array_equal(A.rmatvec(right[0]), DENSE.T @ right[0])
    assert (A.H.H is A) and A.H.shape == (12, 6)


def test_a_real_operator_takes_complex_images_and_precision_is_that_of_numpy():
    A, x = Rows(dtype=np.float32), np.ones((4, 3), np.float32)
    assert (A @ x).dtype == np.float32 and (A @ x.astype(float)).dtype == np.float64
    assert (A @ (x * 1j)).dtype == np.complex64
    np.testing.assert_array_equal(A @ (x + 3j * x), (2 + 6j) * np.ones((2, 3)))


def test_a_complex_operator_has_the_conjugate_adjoint():
    rng = np.random.default_rng(1)
    A, x, y = Rows(1 + 2j, complex), rng.random((4, 3)) + 1j, rng.random((2, 3)) - 2j
    assert np.vdot(y, A @ x) == pytest.approx(np.vdot(A.H @ y, x))
    np.testing.assert_allclose(A.T @ y.ravel(), ((1 + 2j) / 2 * DENSE.T) @ y.ravel())


@pytest.mark.parametrize("factor", [2.0, 2.0 + 1.0j])
def test_the_transpose_keeps_the_shapes_and_is_that_of_the_matrix(factor):
    rng = np.random.default_rng(0)
    A, D = Rows(factor, np.asarray(factor).dtype), DENSE / 2.0 * factor
    x, y = rng.random((4, 3)) + 1j, rng.random((2, 3)) + 1j
    for T, matrix, given in ((A.T, D.T, y), (A.T.T, D, x), (A.T.H, D.conj(), x), (A.H.T, D.conj(), x)):
        np.testing.assert_allclose((T @ given).ravel(), matrix @ given.ravel(), rtol=1e-14)
        assert (T @ given).shape == T.data_shape
    assert inverse.check_adjoint(A.T) < 1e-14


def test_scipy_composes_and_solves_with_it():
    A, y = Rows(), np.arange(6.0)
    np.testing.assert_allclose(lsqr(A, y)[0], DENSE.T @ y / 4)
    np.testing.assert_allclose((2 * A) @ np.ones(12), 2 * DENSE.sum(axis=1))


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_array, sparse.coo_array])
def test_matrices_are_operators_between_vectors(kind):
    rng = np.random.default_rng(2)
    M = rng.random((3, 5)) + 1j * rng.random((3, 5))
    A, X, y = as_imaging_operator(kind(M)), rng.random((2, 5)), rng.random(3)
    np.testing.assert_allclose(A @ X.T, M @ X.T)
    np.testing.assert_allclose(A @ X[0], M @ X[0])
    np.testing.assert_allclose(A.H @ y, M.conj().T @ y)


class Duck:
    """An operator of another library: no subclass of SciPy's."""

    shape, dtype = (6, 12), np.dtype(float)
    matvec, rmatvec = staticmethod(lambda x: DENSE @ x), staticmethod(lambda y: DENSE.T @ y)


def test_what_looks_like_an_operator_is_one():
    A = as_imaging_operator(Duck())
    np.testing.assert_array_equal(A @ np.ones(12), DENSE.sum(axis=1))
    np.testing.assert_array_equal(A.H @ np.ones((6, 2)), DENSE.T @ np.ones((6, 2)))


def test_a_wrong_shape_or_kind_is_one_sentence():
    with pytest.raises(InvalidInput, match=r"`x` must have shape \(4, 3\) or \(k, 4, 3\) or \(12,\) or \(12, k\), got"):
        Rows() @ np.ones((3, 4))
    with pytest.raises(UnsupportedType, match="`A` must be a matrix, a LinearOperator"):
        as_imaging_operator([[1.0]])
    with pytest.raises(InvalidInput, match=r"must have 6 entries"):
        as_imaging_operator(Wrong()).forward_stack(np.ones((1, 12)))
    with pytest.raises(InvalidInput, match=r"must have 6 entries"):
        as_imaging_operator(LinearOperator((6, 12), matvec=lambda x: x, dtype=float)).forward_stack(np.ones((2, 12)))


class Wrong(Duck):
    """Its product is too long, which SciPy's wrapper would not see in a stack."""

    matvec = matmat = staticmethod(lambda x: x)


def test_data_that_have_no_other_shape_give_an_image_in_every_solver():
    """Known pixels are a list of numbers; SciPy's products with it still are vectors."""
    image = np.add.outer(np.arange(6.0), np.arange(5.0))
    A = inverse.Inpainting(np.indices((6, 5)).sum(axis=0) % 2 == 0)
    b = A @ image
    assert b.ndim == 1 and (A.H @ b).ndim == 1
    assert inverse.least_squares(A, b).x.shape == (6, 5) and inverse.least_squares(A, b[:, None]).x.shape == (30, 1)
    assert inverse.pnp(A, b, inverse.tv(0.01)).x.shape == (6, 5)
