"""What all tests share: one thread of BLAS, and in CI the same examples in every run.

On matrices as small as these more threads take longer than one, many times on a busy machine. BLAS reads their number
when NumPy is first imported, which is after this file and before any other of the tests.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if os.environ.get("CI"):
    from hypothesis import settings

    settings.register_profile("ci", derandomize=True, database=None, deadline=None)
    settings.load_profile("ci")
