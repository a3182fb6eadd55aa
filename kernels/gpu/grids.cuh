// Cells of a grid of (nz, ny, nx), numbered in C order. Arrays have margins of `pad` entries before and after the
// cells: those of faces are zeros, those of vectors are never read.

// n < 2^31: divisions of 64 bits take several times as long.
struct Cell {
    unsigned z, y, x;
};

struct Box {
    unsigned nz, ny, nx;
    __device__ unsigned size() const { return nz * ny * nx; }
    __device__ Cell cell(unsigned i) const {
        const unsigned line = i / nx;
        return {line / ny, line % ny, i % nx};
    }
    __device__ unsigned number(Cell c) const { return (c.z * ny + c.y) * nx + c.x; }
    __device__ unsigned length(int axis) const { return axis == 0 ? nz : axis == 1 ? ny : nx; }
    __device__ long long step(int axis) const { return axis == 0 ? (long long)ny * nx : axis == 1 ? nx : 1; }
};

__device__ inline unsigned along(Cell c, int axis) { return axis == 0 ? c.z : axis == 1 ? c.y : c.x; }

// The way to the cell beyond the outer face of the one at `here` in its aggregate of two: -1 or 1; 0 where the grid
// ends.
__device__ inline int outer(unsigned here, unsigned length) {
    if (here % 2 == 0) return here > 0 ? -1 : 0;
    return here + 1 < length ? 1 : 0;
}
