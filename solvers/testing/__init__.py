"""Checks that anyone can run: a solver against the contract, and the GPU of a machine against its CPU.

``check_method(fn)`` holds a linear solver to the contract that the library's own methods keep.
``run_gpu_parity()`` runs every GPU kernel and every method beside the CPU's and says which agree; the command
``solvers test-gpu`` prints the same.
"""

from ._contract import CLAUSES, Method, check_method
from ._parity import Case, Target, gpu_parity_cases, run_gpu_parity
from ._systems import DTYPES, FORMS, as_form, test_matrix

__all__ = [
    "CLAUSES",
    "Case",
    "DTYPES",
    "FORMS",
    "Method",
    "Target",
    "as_form",
    "check_method",
    "gpu_parity_cases",
    "run_gpu_parity",
    "test_matrix",
]
