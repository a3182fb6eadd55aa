"""A bad option is refused before any work with one sentence, a misspelt one by Python."""

import numpy as np
import pytest
from hostile import N, refused, spd, table
from krylov import every_method

from solvers import InvalidInput, UnsupportedType, linalg

BAD_OPTIONS = [
    (f"{name}={value!r}", kind, name, shows, {name: value})
    for name in ("rtol", "atol")
    for kind, shows, value in [
        (InvalidInput, "-1e-05", -1e-5),
        (InvalidInput, "-inf", -np.inf),
        (InvalidInput, "nan", np.nan),
        (InvalidInput, "None", None),
        (InvalidInput, "'legacy'", "legacy"),
        (InvalidInput, "'1e-5'", "1e-5"),
        (UnsupportedType, "1j", 1j),
        (UnsupportedType, "True", True),
        (UnsupportedType, "list [1e-05]", [1e-5]),
        (UnsupportedType, "ndarray", np.array([1e-5])),
        (UnsupportedType, "dict", {}),
    ]
] + [
    ("maxiter=0", InvalidInput, "maxiter", "got 0", {"maxiter": 0}),
    ("maxiter=-3", InvalidInput, "maxiter", "got -3", {"maxiter": -3}),
    ("maxiter=2.5", UnsupportedType, "maxiter", "2.5", {"maxiter": 2.5}),
    ("maxiter='10'", UnsupportedType, "maxiter", "'10'", {"maxiter": "10"}),
    ("maxiter=nan", UnsupportedType, "maxiter", "nan", {"maxiter": float("nan")}),
    ("maxiter=inf", UnsupportedType, "maxiter", "inf", {"maxiter": float("inf")}),
    ("maxiter=True", UnsupportedType, "maxiter", "True", {"maxiter": True}),
    ("maxiter=[3]", UnsupportedType, "maxiter", "[3]", {"maxiter": [3]}),
    ("callback=3", UnsupportedType, "callback", "3", {"callback": 3}),
    ("callback='print'", UnsupportedType, "callback", "'print'", {"callback": "print"}),
    ("callback=[print]", UnsupportedType, "callback", "list", {"callback": [print]}),
    ("callback=(3,)", UnsupportedType, "callback", "3", {"callback": (3,)}),
    ("shift=nan", InvalidInput, "shift", "nan", {"shift": np.nan}),
    ("shift=inf", InvalidInput, "shift", "inf", {"shift": np.inf}),
    ("shift=1j", UnsupportedType, "shift", "1j", {"shift": 1j}),
    ("shift=None", UnsupportedType, "shift", "None", {"shift": None}),
    ("shift='1'", UnsupportedType, "shift", "'1'", {"shift": "1"}),
    ("show='yes'", UnsupportedType, "show", "'yes'", {"show": "yes"}),
    ("check=1", UnsupportedType, "check", "1", {"check": 1}),
    ("restart=0", InvalidInput, "restart", "got 0", {"restart": 0}),
    ("restart=-1", InvalidInput, "restart", "got -1", {"restart": -1}),
    ("restart=2.5", UnsupportedType, "restart", "2.5", {"restart": 2.5}),
    ("restart='20'", UnsupportedType, "restart", "'20'", {"restart": "20"}),
    ("callback_type='norm'", InvalidInput, "callback_type", "'norm'", {"callback_type": "norm"}),
    ("callback_type=1", InvalidInput, "callback_type", "got int 1", {"callback_type": 1}),
]


@pytest.mark.filterwarnings("ignore:gmres called without:DeprecationWarning")
@pytest.mark.parametrize("solve, kind, name, shows, options", table(BAD_OPTIONS))
def test_a_bad_option_is_refused_with_one_sentence(solve, kind, name, shows, options):
    refused(solve, kind, name, shows, spd(), np.ones(N), **options)


@every_method
@pytest.mark.parametrize("misspelt", ["tol", "rtoll", "max_iter", "precond", "verbose", "X0"])
def test_a_misspelt_keyword_is_named_by_python(solve, misspelt):
    with pytest.raises(TypeError, match=f"unexpected keyword argument '{misspelt}'"):
        solve(spd(), np.ones(N), **{misspelt: 1})


@every_method
def test_a_positional_tolerance_is_a_type_error(solve):
    with pytest.raises(TypeError, match="positional"):
        solve(spd(), np.ones(N), None, 1e-5)


@every_method
def test_a_missing_b_is_a_type_error(solve):
    with pytest.raises(TypeError, match="'b'"):
        solve(spd())


def test_minres_has_no_atol_as_in_scipy():
    with pytest.raises(TypeError, match="atol"):
        linalg.minres(spd(), np.ones(N), atol=1e-5)
