"""Operators as mappings: what the helpers return, and what an operator does to a function that is known."""

import numpy as np
import pytest

from solvers import pde
from solvers._errors import InvalidInput, UnsupportedType
from solvers.pde._operators import Terms


def test_helpers_are_mappings_of_multi_indices():
    assert pde.laplacian(3) == {(2, 0, 0): 1.0, (0, 2, 0): 1.0, (0, 0, 2): 1.0}
    assert pde.helmholtz(2, 3) == {(2, 0): 1.0, (0, 2): 1.0, (0, 0): 9.0}
    assert pde.advection([1.0, 2.0]) == {(1, 0): 1.0, (0, 1): 2.0}


def test_the_gradient_of_a_coefficient_is_exact_for_analytic_functions():
    op = pde.div_grad(lambda x, y: np.exp(x) * np.sin(3 * y))
    x, y = np.ix_(np.linspace(0, 1, 5), np.linspace(0, 1, 7))
    np.testing.assert_allclose(op[1, 0](x, y), np.exp(x) * np.sin(3 * y), rtol=1e-14, atol=1e-14)
    np.testing.assert_allclose(op[0, 1](x, y), 3 * np.exp(x) * np.cos(3 * y), rtol=1e-14, atol=1e-14)


def test_the_gradient_of_a_coefficient_that_takes_no_complex_numbers():
    op = pde.div_grad(lambda x, y: np.hypot(1 + x, 2 + y))
    x, y = np.ix_(np.linspace(0, 1, 5), np.linspace(0, 1, 7))
    np.testing.assert_allclose(op[1, 0](x, y), (1 + x) / np.hypot(1 + x, 2 + y), rtol=1e-9)


def test_a_modulus_has_no_complex_derivative_and_is_taken_by_differences():
    op = pde.div_grad(lambda x: 1 + np.abs(x - 5.0) ** 3)
    x = np.linspace(0, 1, 9)
    np.testing.assert_allclose(op[1,](x), -3 * (5 - x) ** 2, rtol=1e-9)


def test_a_gradient_that_is_given_is_taken():
    def a(x, y):
        return 1 + x * y

    def a_x(x, y):
        return y + 0 * x

    def a_y(x, y):
        return x + 0 * y

    op = pde.div_grad(a, [a_x, a_y])
    assert op[1, 0] is a_x and op[0, 1] is a_y and op[2, 0] is a


def test_terms_know_constants_orders_and_whether_they_separate():
    def c(x, y):
        return x + y

    terms = Terms({(2, 0): 1, (0, 1): 0.0, (0, 0): c}, 2)
    assert terms.constant == {(2, 0): 1.0} and terms.varying == {(0, 0): c}
    assert terms.orders(0) == [0, 2] and terms.orders(1) == [0]
    assert not terms.separable and Terms(pde.laplacian(2), 2).separable
    assert not Terms({(1, 1): 1.0}, 2).separable
    mesh = np.ix_([0.0, 1.0], [0.0, 2.0, 3.0])
    assert terms.coefficients(mesh)[0, 0].shape == (2, 3)


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: pde.laplacian(4), InvalidInput, "`d` must be 1, 2 or 3"),
        (lambda: pde.laplacian(0), InvalidInput, "`d` must be >= 1"),
        (lambda: pde.helmholtz(2, "3"), UnsupportedType, "`k` must be a real number"),
        (lambda: pde.advection(3.0), UnsupportedType, "`b` must be a sequence"),
        (lambda: pde.div_grad(2.0), UnsupportedType, "`a` must be a function"),
        (lambda: pde.div_grad(lambda *x: 1), InvalidInput, "`d` must be given"),
        (lambda: pde.div_grad(lambda x, y: x, [abs], d=2), InvalidInput, "`gradient` must have 2 entries"),
        (lambda: Terms({(0, 0): 1.0}, 2), InvalidInput, "`op` must have a derivative"),
        (lambda: Terms({}, 2), UnsupportedType, "`op` must be a mapping"),
        (lambda: Terms({(5,): 1.0}, 1), InvalidInput, "orders from 0 to 4"),
    ],
)
def test_refusals(make, error, words):
    with pytest.raises(error, match=words):
        op = make()
        if isinstance(op, dict):
            Terms(op, 2)
