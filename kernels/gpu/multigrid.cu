// Products, smoothing steps and transfers of a multigrid cycle, one thread a cell. What cells share is found in the
// caches: every array is read once from memory.

// The operator of a level. Pointers are at the first cell; `plane` and `line` are 0 where there is one along that axis.
template <class T> struct Operator {
    long long n, plane, line;
    const T *diagonal, *along_z, *along_y, *along_x;

    __device__ Operator(long long n, long long plane, long long line, long long pad, const T* diagonal, const T* faces)
        : n(n), plane(plane), line(line), diagonal(diagonal + pad), along_z(faces + pad),
          along_y(faces + pad + (n + 2 * pad)), along_x(faces + pad + 2 * (n + 2 * pad)) {}

    // What lies beyond the walls is multiplied by zeros; beyond the first and the last cell it is not read.
    __device__ T pair(const T* face, long long step, const T* x, long long i) const {
        const T before = i >= step ? face[i - step] * x[i - step] : T(0);
        return before + (i + step < n ? face[i] * x[i + step] : T(0));
    }
    // (A x)_i
    __device__ T row(const T* x, long long i) const {
        T sum = diagonal[i] * x[i] - pair(along_x, 1, x, i);
        if (line > 0) sum -= pair(along_y, line, x, i);
        if (plane > 0) sum -= pair(along_z, plane, x, i);
        return sum;
    }
};

#define OPERATOR(T) long long n, long long plane, long long line, long long pad, const T *diagonal, const T *faces
#define TAKE_OPERATOR(T) Operator<T>(n, plane, line, pad, diagonal, faces)

template <class T>
__global__ BOUNDS void grid_product(OPERATOR(T), const T* __restrict__ x, T* __restrict__ y) {
    const Operator<T> A = TAKE_OPERATOR(T);
    for (long long i = first_row(); i < n; i += row_stride()) y[pad + i] = A.row(x + pad, i);
}

template <class T>
__global__ BOUNDS void grid_residual(OPERATOR(T), const T* __restrict__ r, const T* __restrict__ x, T* __restrict__ y) {
    const Operator<T> A = TAKE_OPERATOR(T);
    for (long long i = first_row(); i < n; i += row_stride()) y[pad + i] = r[pad + i] - A.row(x + pad, i);
}

template <class T>
__global__ BOUNDS void grid_smooth(OPERATOR(T), const T* __restrict__ inverse, double w, const T* __restrict__ r,
                                   const T* __restrict__ x, T* __restrict__ y) {
    const Operator<T> A = TAKE_OPERATOR(T);
    const T step = T(w);
    for (long long i = first_row(); i < n; i += row_stride()) {
        const T rest = r[pad + i] - A.row(x + pad, i);
        y[pad + i] = x[pad + i] + step * inverse[pad + i] * rest;
    }
}

template <class T>
__global__ BOUNDS void grid_start(long long n, long long pad, const T* __restrict__ inverse, double w,
                                  const T* __restrict__ r, T* __restrict__ y) {
    const T step = T(w);
    for (long long i = pad + first_row(); i < pad + n; i += row_stride()) y[i] = step * inverse[i] * r[i];
}

// Between the caller's vectors, of type R and without margins, and the cycle's; scaled in double precision.
template <class T, class R>
__global__ BOUNDS void grid_enter(long long n, long long pad, const T* __restrict__ inverse, double factor,
                                  const R* __restrict__ r, T* __restrict__ s) {
    for (long long i = first_row(); i < n; i += row_stride())
        s[pad + i] = inverse[pad + i] > T(0) ? T(factor * double(r[i])) : T(0);
}

template <class T, class R>
__global__ BOUNDS void grid_leave(long long n, long long pad, const T* __restrict__ inverse, double factor,
                                  const T* __restrict__ s, R* __restrict__ z) {
    for (long long i = first_row(); i < n; i += row_stride())
        z[i] = inverse[pad + i] > T(0) ? R(factor * double(s[pad + i])) : R(0);
}

// A coarse cell takes what its cells have, what those beyond their outer faces give, and not what its own give away.
template <class T>
__global__ BOUNDS void grid_restrict(unsigned nz, unsigned ny, unsigned nx, long long pad, long long coarse_pad,
                                     const T* __restrict__ weights, double share, const T* __restrict__ r,
                                     T* __restrict__ rc) {
    const Box box{nz, ny, nx}, coarse{(nz + 1) / 2, (ny + 1) / 2, (nx + 1) / 2};
    const long long length = box.size() + 2 * pad;
    const T g = T(share);
    for (long long k = first_row(); k < coarse.size(); k += row_stride()) {
        const Cell to = coarse.cell(unsigned(k));
        T sum = T(0);
        for (unsigned z = 2 * to.z; z < min(2 * to.z + 2, nz); ++z)
            for (unsigned y = 2 * to.y; y < min(2 * to.y + 2, ny); ++y)
                for (unsigned x = 2 * to.x; x < min(2 * to.x + 2, nx); ++x) {
                    const Cell from{z, y, x};
                    const long long i = pad + box.number(from);
                    const T own = r[i];
                    sum += own;
                    if (g == T(0)) continue;
#pragma unroll
                    for (int axis = 0; axis < 3; ++axis) {
                        const int way = outer(along(from, axis), box.length(axis));
                        if (way == 0) continue;
                        const long long j = i + way * box.step(axis);
                        const T* const weight = weights + axis * length;
                        sum += g * (weight[j] * r[j] - weight[i] * own);
                    }
                }
        rc[coarse_pad + k] = sum;
    }
}

// x_i takes c times the value of its aggregate, moved towards those beyond its outer faces.
template <class T>
__global__ BOUNDS void grid_prolong(unsigned nz, unsigned ny, unsigned nx, long long pad, long long coarse_pad,
                                    const T* __restrict__ weights, double share, double factor,
                                    const T* __restrict__ xc, T* x) {
    const Box box{nz, ny, nx}, coarse{(nz + 1) / 2, (ny + 1) / 2, (nx + 1) / 2};
    const long long length = box.size() + 2 * pad;
    const T g = T(share), c = T(factor);
    for (long long k = first_row(); k < box.size(); k += row_stride()) {
        const Cell cell = box.cell(unsigned(k));
        const long long from = coarse_pad + coarse.number({cell.z / 2, cell.y / 2, cell.x / 2});
        const T here = xc[from];
        T sum = T(0);
        if (g != T(0)) {
#pragma unroll
            for (int axis = 0; axis < 3; ++axis) {
                const long long beyond = from + outer(along(cell, axis), box.length(axis)) * coarse.step(axis);
                sum += weights[axis * length + pad + k] * (xc[beyond] - here);
            }
        }
        x[pad + k] += c * (here + g * sum);
    }
}
