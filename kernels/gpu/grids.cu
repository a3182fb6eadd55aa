// Grid operators made on the device: read from a matrix, coarsened, and means over sets of cells.

constexpr unsigned long long NOWHERE = ~0ull;

// 1 / diagonal, and the shares of interpolation; see derive of the CPU's kernels. Both are zeros before.
template <class T>
__global__ BOUNDS void derive(unsigned nz, unsigned ny, unsigned nx, long long pad, const T* diagonal, const T* faces,
                              T* inverse, T* weights) {
    const Box box{nz, ny, nx};
    const long long length = box.size() + 2 * pad;
    for (long long k = first_row(); k < box.size(); k += row_stride()) {
        const long long i = pad + k;
        inverse[i] = diagonal[i] > T(0) ? T(1) / diagonal[i] : T(0);
        const Cell cell = box.cell(unsigned(k));
        for (int axis = 0; axis < 3; ++axis) {
            if (box.length(axis) == 1) continue;
            const T* const face = faces + axis * length;
            const T after = face[i], before = face[i - box.step(axis)];
            const bool second = along(cell, axis) % 2 == 1;
            const T outer = second ? after : before, inner = second ? before : after;
            if (outer > T(0) && inner > T(0)) weights[axis * length + i] = T(2) * outer / (outer + inner);
        }
    }
}

// One thread a coarse cell, which adds up its own in the order of the CPU's loop.
template <class T>
__global__ BOUNDS void coarsen(unsigned nz, unsigned ny, unsigned nx, long long pad, long long coarse_pad,
                               const T* diagonal, const T* faces, T* coarse_diagonal, T* coarse_faces) {
    const Box box{nz, ny, nx}, coarse{(nz + 1) / 2, (ny + 1) / 2, (nx + 1) / 2};
    const long long length = box.size() + 2 * pad, coarse_length = coarse.size() + 2 * coarse_pad;
    for (long long k = first_row(); k < coarse.size(); k += row_stride()) {
        const Cell to = coarse.cell(unsigned(k));
        T d = T(0), sums[3] = {T(0), T(0), T(0)};
        for (unsigned z = 2 * to.z; z < min(2 * to.z + 2, nz); ++z)
            for (unsigned y = 2 * to.y; y < min(2 * to.y + 2, ny); ++y)
                for (unsigned x = 2 * to.x; x < min(2 * to.x + 2, nx); ++x) {
                    const Cell from{z, y, x};
                    const long long i = pad + box.number(from);
                    d += diagonal[i];
                    // A face within an aggregate leaves the diagonals of both its cells; one between two is kept.
#pragma unroll
                    for (int axis = 2; axis >= 0; --axis) {
                        const T face = faces[axis * length + i];
                        if (along(from, axis) % 2 == 0)
                            d -= T(2) * face;
                        else
                            sums[axis] += face;
                    }
                }
        coarse_diagonal[coarse_pad + k] = d;
        for (int axis = 0; axis < 3; ++axis) coarse_faces[axis * coarse_length + coarse_pad + k] = sums[axis];
    }
}

// The entries of row i that go up along each axis are its faces; the rest is looked at by `check_faces`.
template <class T>
__global__ BOUNDS void read_faces(unsigned nz, unsigned ny, unsigned nx, long long pad, const int* indptr,
                                  const int* indices, const T* data, double* faces, double* diagonal) {
    const Box box{nz, ny, nx};
    const long long length = box.size() + 2 * pad;
    for (long long i = first_row(); i < box.size(); i += row_stride()) {
        const Cell cell = box.cell(unsigned(i));
        double total = 0.0, after[3] = {0.0, 0.0, 0.0};
        for (int k = indptr[i]; k < indptr[i + 1]; ++k) {
            const long long j = indices[k];
            if (j == i) total += double(data[k]);
#pragma unroll
            for (int axis = 0; axis < 3; ++axis)
                if (j - i == box.step(axis) && along(cell, axis) + 1 < box.length(axis)) after[axis] -= double(data[k]);
        }
        diagonal[pad + i] = total;
        for (int axis = 0; axis < 3; ++axis) faces[axis * length + pad + i] = after[axis];
    }
}

// The column of the first entry of row i that does not fit, or -1; `faces` has been read.
template <class T>
__device__ inline long long misfit(const Box& box, long long pad, double tolerance, const int* indptr,
                                   const int* indices, const T* data, const double* faces, double total, long long i) {
    if (!(total >= 0.0)) return i;
    const Cell cell = box.cell(unsigned(i));
    const long long length = box.size() + 2 * pad;
    const double scale = tolerance * total;
    double sum = 0.0, below[3] = {0.0, 0.0, 0.0};
    for (int k = indptr[i]; k < indptr[i + 1]; ++k) {
        const long long j = indices[k];
        const double value = -double(data[k]);
        if (j == i || value == 0.0) continue;
        bool found = false;
#pragma unroll
        for (int axis = 0; axis < 3; ++axis) {
            if (box.length(axis) == 1) continue;
            if (j - i == box.step(axis) && along(cell, axis) + 1 < box.length(axis)) found = true;
            if (i - j == box.step(axis) && along(cell, axis) > 0) {
                below[axis] += value;
                found = true;
            }
        }
        if (!(found && value > 0.0)) return j;
        sum += value;
    }
#pragma unroll
    for (int axis = 0; axis < 3; ++axis) {
        if (box.length(axis) == 1) continue;
        const double other = faces[axis * length + pad + i - box.step(axis)];
        if (abs(below[axis] - other) > scale + tolerance * below[axis]) return i - box.step(axis);
    }
    return sum > total + scale || !is_finite(total) ? i : -1;
}

// bad: the first row that does not fit and its column, in the upper and the lower half.
template <class T>
__global__ BOUNDS void check_faces(unsigned nz, unsigned ny, unsigned nx, long long pad, double tolerance,
                                   const int* indptr, const int* indices, const T* data, const double* faces,
                                   const double* diagonal, unsigned long long* bad) {
    const Box box{nz, ny, nx};
    unsigned long long first = NOWHERE;
    for (long long i = first_row(); i < box.size() && first == NOWHERE; i += row_stride()) {
        const long long j = misfit(box, pad, tolerance, indptr, indices, data, faces, diagonal[pad + i], i);
        if (j >= 0) first = (unsigned long long)i << 32 | (unsigned long long)j;
    }
    if (first != NOWHERE) atomicMin(bad, first);
}

// One block a chunk of cells.
template <class T>
__global__ BOUNDS void chunk_sums(long long chunks, const int* cells, const int* edges, const T* v, double* sums) {
    for (long long k = blockIdx.x; k < chunks; k += gridDim.x) {
        double sum[1] = {0.0};
        for (long long m = edges[k] + threadIdx.x; m < edges[k + 1]; m += blockDim.x) sum[0] += double(v[cells[m]]);
        block_sum(sum);
        if (threadIdx.x == 0) sums[k] = sum[0];
    }
}

template <class T>
__global__ BOUNDS void subtract_means(long long chunks, const int* cells, const int* edges, const int* first,
                                      const int* last, const double* sums, T* v) {
    for (long long k = blockIdx.x; k < chunks; k += gridDim.x) {
        double sum[1] = {0.0};
        for (long long c = first[k] + threadIdx.x; c < last[k]; c += blockDim.x) sum[0] += sums[c];
        block_sum(sum);
        const double mean = sum[0] / double(edges[last[k]] - edges[first[k]]);
        for (long long m = edges[k] + threadIdx.x; m < edges[k + 1]; m += blockDim.x) {
            const int cell = cells[m];
            v[cell] = T(double(v[cell]) - mean);
        }
    }
}
