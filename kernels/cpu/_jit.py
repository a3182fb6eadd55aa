"""The one decorator for compiled functions, with a cache that never breaks an import and never goes stale.

Numba's own ``cache=True`` raises at import where no folder can be written, fails a call when the disk
is full, and keeps a cached caller when a function that it calls in *another* file has changed. Here the
stamp of every entry is a hash over the whole folder, and a cache that cannot be used is not used. What is
compiled has the bits of what is read from the cache.
"""

import hashlib
import pathlib

import numba
from llvmlite.binding import Linkage
from numba.core import caching
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler
from numba.core.errors import NumbaError

__all__ = ["FLAGS", "jit", "strict"]

# No nnan and no ninf: a NaN must reach the tests that look for it.
FLAGS = dict(nogil=True, error_model="numpy", fastmath={"reassoc", "contract", "nsz"})


def _stamp():
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(pathlib.Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


_STAMP = _stamp()


class _SelfContained(JITCodeLibrary):
    """Machine code that calls nothing but its own copies of the functions that it was linked with.

    Numba gives each library such copies, optimised together with what calls them, under names that all libraries share.
    Of two the one that came first into the process is called: in a process that has compiled, that of the function by
    itself, in one that reads its kernels from the cache, the caller's. Their last bits differ.
    """

    _copies = ()

    def _finalize_final_module(self):
        copies = [each for each in self._final_module.functions if each.linkage is Linkage.linkonce_odr]
        self._copies = [each.name for each in copies if not each.is_declaration]
        for name in self._copies:
            self._final_module.get_function(name).linkage = Linkage.internal
        super()._finalize_final_module()

    def _get_module_for_linking(self):
        module = super()._get_module_for_linking()
        for name in self._copies:  # of which whoever links several such modules needs one
            module.get_function(name).linkage = Linkage.linkonce_odr
        self._copies = ()
        return module


class _Compiler(Compiler):
    """Numba's compiler with that library."""

    def __init__(self, typingctx, targetctx, library, *rest, **options):
        if library is None:
            library = _SelfContained(targetctx.codegen(), "solvers")
            library.enable_object_caching()
        super().__init__(typingctx, targetctx, library, *rest, **options)


class _Cache(caching.FunctionCache):
    """Numba's function cache with the folder's stamp; an entry that cannot be read or written is a miss."""

    def __init__(self, function):
        super().__init__(function)
        self._cache_file = caching.IndexDataCacheFile(
            cache_path=self._cache_path, filename_base=self._impl.filename_base, source_stamp=_STAMP
        )

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # reading a damaged pickle can raise anything
            self._start_anew()
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except OSError:
            self.disable()

    def _start_anew(self):
        try:
            self.flush()
        except OSError:
            self.disable()


def jit(function):
    """Compile on first call, without the interpreter lock, cached between processes where that is possible."""
    return _compiled(function, FLAGS)


def strict(function):
    """``jit`` for arithmetic that must be done as written: reassociation turns (a / b) * c into (a * c) / b."""
    return _compiled(function, FLAGS | dict(fastmath=False))


def _compiled(function, flags):
    dispatcher = numba.njit(pipeline_class=_Compiler, **flags)(function)
    try:
        dispatcher._cache = _Cache(function)
    except (RuntimeError, OSError, AttributeError, NumbaError):
        # No folder can be written (a read-only install without a home): compile in each process.
        return dispatcher
    return dispatcher
