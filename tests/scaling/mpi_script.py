"""Run by ``mpirun -n 3 python -m mpi4py.futures mpi_script.py FILE``: writes what every call gave on the pool."""

import json
import sys

from mpi4py.futures import MPIPoolExecutor
from scaling_calls import CALLS, bits, failures

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        found = {name: bits(call(pool)) for name, call in CALLS.items()}
        found |= {"failures": failures(pool), "workers": pool.num_workers}
    with open(sys.argv[1], "w") as file:
        json.dump(found, file)
