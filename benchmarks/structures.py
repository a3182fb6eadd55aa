"""Stiffness matrices of structural mechanics, assembled here from their elements: frames, trusses, plates, solids.

Steel in SI units throughout, supports removed. Their condition numbers reach 1e12, from what makes real ones bad:
bending (h^-4), slenderness, rotations beside translations, and stiffness that jumps a millionfold.
"""

import numpy as np

__all__ = ["STRUCTURES"]

# Young's modulus and shear modulus of steel.
_E, _G = 2.1e11, 8.0e10


def _assemble(elements, dofs, n, fixed):
    """The sum of element matrices, of shape (m, k, k) for dofs of shape (m, k), without fixed rows and columns."""
    from scipy import sparse

    k = dofs.shape[1]
    dofs = dofs.astype(np.int32)  # SciPy 1.14 would keep 64 bits, which PyAMG 5.3 does not take
    rows, columns = np.repeat(dofs, k, axis=1).ravel(), np.tile(dofs, (1, k)).ravel()
    A = sparse.coo_array((elements.ravel(), (rows, columns)), shape=(n, n)).tocsr()
    free = np.setdiff1d(np.arange(n, dtype=np.int32), fixed).astype(np.int32)
    A = sparse.csr_array(A[free][:, free])
    A = (A + A.T) * 0.5  # the sums of an entry and of its mirror image round differently
    A.sum_duplicates()
    A.eliminate_zeros()
    return A


def _bending(stiffness, length):
    """Euler-Bernoulli: the 4x4 matrices of (w, slope) at both ends, of shape (m, 4, 4)."""
    L = length
    one, two, four = 12 / L**3, 6 / L**2, 4 / L
    return stiffness[:, None, None] * np.moveaxis(
        np.array([
            [one, two, -one, two],
            [two, four, -two, four / 2],
            [-one, -two, one, -two],
            [two, four / 2, -two, four],
        ]), -1, 0,
    )  # fmt: skip


def _rods(stiffness, length):
    """Tension or torsion: matrices of shape (m, 2, 2)."""
    return (stiffness / length)[:, None, None] * np.array([[1.0, -1.0], [-1.0, 1.0]])


def _axes(points, members):
    """Length and local axes, as rows, of each member; the first axis is along it."""
    along = points[members[:, 1]] - points[members[:, 0]]
    length = np.linalg.norm(along, axis=1)
    along = along / length[:, None]
    up = np.where(np.abs(along[:, 2:]) > 0.9, [[1.0, 0.0, 0.0]], [[0.0, 0.0, 1.0]])
    side = np.cross(up, along)
    side /= np.linalg.norm(side, axis=1)[:, None]
    return length, np.stack([along, side, np.cross(along, side)], axis=1)


def _beams(points, members, radius):
    """Space frame: the 12x12 matrices of round bars, in (ux, uy, uz, rx, ry, rz) at both ends."""
    length, axes = _axes(points, members)
    area, inertia = np.pi * radius**2, np.pi * radius**4 / 4
    K = np.zeros((len(members), 12, 12))
    K[:, [[0], [6]], [[0, 6]]] = _rods(_E * area, length)
    K[:, [[3], [9]], [[3, 9]]] = _rods(2 * _G * inertia, length)
    for w, turn, sign in ((1, 5, 1.0), (2, 4, -1.0)):
        dofs, signs = np.array([w, turn, w + 6, turn + 6]), np.array([1.0, sign, 1.0, sign])
        K[:, dofs[:, None], dofs] = _bending(_E * inertia, length) * np.outer(signs, signs)
    turned = np.zeros_like(K)
    for k in range(4):
        turned[:, 3 * k : 3 * k + 3, 3 * k : 3 * k + 3] = axes
    return np.einsum("mia,mij,mjb->mab", turned, K, turned, optimize=True)


def _dofs(nodes, per_node):
    return (nodes[..., None] * per_node + np.arange(per_node)).reshape(len(nodes), -1)


def _frame(points, members, radius, held):
    """A space frame on these points, clamped at those held."""
    held = _dofs(held[:, None], 6).ravel()
    return _assemble(_beams(points, members, radius), _dofs(members, 6), 6 * len(points), held)


def _lattice(shape, spacing):
    index = np.arange(np.prod(shape)).reshape(shape)
    points = np.stack(np.meshgrid(*(np.arange(s) * h for s, h in zip(shape, spacing)), indexing="ij"), -1)
    return index, points.reshape(-1, 3).astype(float)


def _neighbours(index, steps):
    """Pairs of nodes that lie these steps apart, in both ends' order."""
    pairs = []
    for step in steps:
        first = tuple(slice(max(0, -s), size - max(0, s)) for s, size in zip(step, index.shape))
        second = tuple(slice(max(0, s), size + min(0, s)) for s, size in zip(step, index.shape))
        pairs.append(np.stack([index[first].ravel(), index[second].ravel()], axis=1))
    return pairs


def beam(size):
    """A cantilever of ``size`` elements, 1 km over all: the condition number grows as size^4."""
    _, points = _lattice((size + 1, 1, 1), (1000.0 / size, 1.0, 1.0))
    members = np.stack([np.arange(size), np.arange(1, size + 1)], axis=1)
    return _frame(points, members, np.full(size, 0.5), np.array([0]))


def building(size):
    """A frame of size x size bays and 2 size storeys: thick columns, thin girders, no bracing."""
    index, points = _lattice((size + 1, size + 1, 2 * size + 1), (6.0, 6.0, 3.5))
    girders, beams, columns = _neighbours(index, [(1, 0, 0), (0, 1, 0), (0, 0, 1)])
    above = points[:, 2] > 0
    level = np.concatenate([girders, beams])
    level = level[above[level[:, 0]]]
    radius = np.concatenate([np.full(len(level), 0.08), np.full(len(columns), 0.35)])
    return _frame(points, np.concatenate([level, columns]), radius, index[:, :, 0].ravel())


def tower(size):
    """A slender lattice mast of 4 legs and ``size`` storeys, with bracing of thin bars."""
    index, points = _lattice((2, 2, size + 1), (1.0, 1.0, 1.5))
    level = np.concatenate(_neighbours(index, [(1, 0, 0), (0, 1, 0)]))
    legs = _neighbours(index, [(0, 0, 1)])[0]
    braces = np.concatenate(_neighbours(index, [(1, 0, 1), (0, 1, 1), (1, 0, -1), (0, 1, -1)]))
    members = np.concatenate([legs, level, braces])
    radius = np.concatenate([np.full(len(legs), 0.1), np.full(len(level), 0.02), np.full(len(braces), 0.01)])
    return _frame(points, members, radius, index[:, :, 0].ravel())


def dome(size):
    """A single-layer lattice dome of ``size`` rings with 6 bars to a ring's side: a shell made of beams."""
    rings = np.arange(size + 1)
    around = 3 * size
    angle, fall = np.meshgrid(2 * np.pi * np.arange(around) / around, 0.2 + 0.9 * rings / size)
    points = 50 * np.stack([np.sin(fall) * np.cos(angle), np.sin(fall) * np.sin(angle), np.cos(fall)], -1)
    index = np.arange(angle.size).reshape(angle.shape)
    next_ = np.roll(index, -1, axis=1)
    pairs = [(index, next_), (index[:-1], index[1:]), (index[:-1], next_[1:])]
    members = np.concatenate([np.stack([a.ravel(), b.ravel()], axis=1) for a, b in pairs])
    return _frame(points.reshape(-1, 3), members, np.full(len(members), 0.03), index[-1])


def truss(size):
    """A double-layer roof truss of size x size bays, pin-jointed: 3 dofs a node."""
    index, points = _lattice((size + 1, size + 1, 2), (3.0, 3.0, 2.0))
    steps = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (1, 0, 1), (0, 1, 1), (1, 1, 0), (1, 0, -1)]
    members = np.concatenate(_neighbours(index, steps))
    length, axes = _axes(points, members)
    area = np.random.default_rng(0).uniform(1e-4, 1e-2, len(members))
    along = axes[:, 0]
    K = np.einsum("mab,mi,mj->maibj", _rods(_E * area, length), along, along).reshape(-1, 6, 6)
    rim = np.concatenate([index[0, :, 0], index[-1, :, 0], index[:, 0, 0], index[:, -1, 0]])
    return _assemble(K, _dofs(members, 3), 3 * len(points), _dofs(np.unique(rim)[:, None], 3).ravel())


def _hermite(h):
    """Cubic Hermite elements of length h: the products of values, of slopes, of curvatures, and value by curvature."""
    x, weight = np.polynomial.legendre.leggauss(4)
    t, weight = (x + 1) / 2, weight * h / 2
    value = np.array([1 - 3 * t**2 + 2 * t**3, h * (t - 2 * t**2 + t**3), 3 * t**2 - 2 * t**3, h * (t**3 - t**2)])
    slope = np.array([(6 * t**2 - 6 * t) / h, 1 - 4 * t + 3 * t**2, (6 * t - 6 * t**2) / h, 3 * t**2 - 2 * t])
    bend = np.array([(12 * t - 6) / h**2, (6 * t - 4) / h, (6 - 12 * t) / h**2, (6 * t - 2) / h])
    return tuple((a * weight) @ b.T for a, b in ((value, value), (slope, slope), (bend, bend), (bend, value)))


def plate(size):
    """Kirchhoff plate of size x size Bogner-Fox-Schmit elements, clamped on one side; its thickness jumps threefold."""
    h, nu = 1.0 / size, 0.3
    M, S, C, B = _hermite(h)
    K = np.kron(C, M) + np.kron(M, C) + nu * (np.kron(B, B.T) + np.kron(B.T, B)) + 2 * (1 - nu) * np.kron(S, S)
    cells = np.arange(size) * 4 // size
    thickness = np.where((cells[:, None] + cells) % 2, 0.02, 0.006).ravel()
    rigidity = _E * thickness**3 / (12 * (1 - nu**2))
    index = np.arange((size + 1) ** 2).reshape(size + 1, size + 1)
    # Local dof (end, kind) along each axis; a node has value, two slopes and the mixed derivative.
    ends = [index[i : size + i, j : size + j].ravel() for i in (0, 1) for j in (0, 1)]
    dofs = [4 * ends[2 * i + j] + 2 * a + b for i in (0, 1) for a in (0, 1) for j in (0, 1) for b in (0, 1)]
    fixed = _dofs(index[0][:, None], 4).ravel()
    return _assemble(rigidity[:, None, None] * K, np.stack(dofs, axis=1), 4 * index.size, fixed)


def _brick(h, nu=0.3):
    """The 24x24 matrix of a trilinear brick of sides h with E = 1."""
    lame, mu = nu / ((1 + nu) * (1 - 2 * nu)), 0.5 / (1 + nu)
    D = np.diag([2 * mu] * 3 + [mu] * 3)
    D[:3, :3] += lame
    corners = np.array([(i, j, k) for i in (0, 1) for j in (0, 1) for k in (0, 1)])
    K = np.zeros((24, 24))
    for point in (corners * 2 - 1) / 3**0.5 / 2 + 0.5:
        factor = np.where(corners, point, 1 - point)
        sign = np.where(corners, 1.0, -1.0)
        slope = np.stack([sign[:, a] / h[a] * factor[:, (a + 1) % 3] * factor[:, (a + 2) % 3] for a in range(3)])
        strain = np.zeros((6, 8, 3))
        for a in range(3):
            b, c = (a + 1) % 3, (a + 2) % 3
            strain[a, :, a] = slope[a]
            strain[3 + a, :, b], strain[3 + a, :, c] = slope[c], slope[b]
        strain = strain.reshape(6, 24)
        K += strain.T @ D @ strain * np.prod(h) / 8
    return K


def _solid(shape, spacing, modulus):
    """Trilinear bricks, clamped at one end of the first axis."""
    index = np.arange(np.prod(np.add(shape, 1))).reshape(np.add(shape, 1))
    corners = [
        index[i : shape[0] + i, j : shape[1] + j, k : shape[2] + k].ravel()
        for i in (0, 1) for j in (0, 1) for k in (0, 1)
    ]  # fmt: skip
    K = modulus.ravel()[:, None, None] * _brick(np.array(spacing))
    clamped = _dofs(index[0].ravel()[:, None], 3).ravel()
    return _assemble(K, _dofs(np.stack(corners, axis=1), 3), 3 * index.size, clamped)


def cantilever(size):
    """A slender bar of 20 size x size x size bricks, five times as long as they are wide."""
    shape = (20 * size, size, size)
    return _solid(shape, (5.0, 1.0, 1.0), np.full(shape, _E))


def composite(size):
    """A block of size^3 bricks: rubber with steel in it, a million times as stiff."""
    cells = np.arange(size) * 4 // size
    steel = (cells[:, None, None] + cells[:, None] + cells) % 2 == 0
    return _solid((size,) * 3, (1.0 / size,) * 3, np.where(steel, _E, _E / 1e6))


def sheet(size):
    """A thin wall of size x size x 1 bricks, a hundred times as wide as thick: a shell by solid elements."""
    shape = (size, size, 1)
    return _solid(shape, (1.0 / size, 1.0 / size, 0.01), np.full(shape, _E))


#: name: the function, the size by default (n below 20,000), what it is.
STRUCTURES = {
    "beam": (beam, 1000, "Euler-Bernoulli cantilever of size elements"),
    "building": (building, 9, "space frame of size x size bays and 2 size storeys"),
    "tower": (tower, 400, "lattice mast of size storeys"),
    "dome": (dome, 28, "single-layer lattice dome of size rings"),
    "truss": (truss, 50, "double-layer pin-jointed roof of size x size bays"),
    "plate": (plate, 60, "Kirchhoff plate, size x size conforming elements, thickness jumping threefold"),
    "cantilever": (cantilever, 6, "slender bar of 20 size x size x size bricks"),
    "composite": (composite, 17, "steel in rubber, size^3 bricks, a jump of a million"),
    "sheet": (sheet, 50, "thin wall, size x size x 1 bricks"),
}
