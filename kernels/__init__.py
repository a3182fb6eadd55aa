"""What runs inside the loops: ``cpu`` (Numba) and ``gpu`` (CuPy), with the same names and signatures.

A kernel has no options, no validation and no policy. Nothing here imports the rest of the library.
"""
