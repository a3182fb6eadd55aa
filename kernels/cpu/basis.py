"""Products with a few vectors side by side, the basis of a Krylov space: BLAS's own."""

__all__ = ["combine", "project"]


def project(V, w):
    """Return V^H w, the inner products of w with the rows of V.

    Parameters
    ----------
    V : ndarray, shape (j, n)
    w : ndarray, shape (n,)

    Returns
    -------
    h : ndarray, shape (j,)
        On the host.
    """
    return V.conj() @ w if V.dtype.kind == "c" else V @ w


def combine(h, V, w):
    """w += sum over j of h[j] V[j].

    Parameters
    ----------
    h : ndarray, shape (j,)
        On the host.
    V : ndarray, shape (j, n)
    w : ndarray, shape (n,)
    """
    w += h @ V
