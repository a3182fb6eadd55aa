// Sweeps on scalings p = a / K q, q = b / K^T p of a stored kernel K, a chunk in one launch; K is read once a sweep.
// Vectors are written and read again here: none may be promised to be constant.

template <class T> struct ScaledRows {
    const T *a, *q;
    T* p;
    double reach;
    double* bad;  // this thread's: rows whose scaling left the range
    struct Start {};
    __device__ T nothing() const { return T(0); }
    __device__ Start start(long long) const { return {}; }
    __device__ T entry(T k, long long, Start) const { return k; }
    __device__ T term(T k, long long j) const { return k * q[j]; }
    template <int K>
    __device__ bool finish(const Shares<K>& own, long long i, const T*, long long, double s, Start&, T& factor) const {
        factor = T(a[i] / s);
        if (own.lane == 0) {
            p[i] = factor;
            *bad += !in_range(factor, 1.0 / reach, reach);
        }
        return true;
    }
};

// parts: m numbers a block; leaves: three numbers a block; report: the barrier's words (zero), sweeps taken, errors.
// A sweep that leaves the range does not count, and changes neither p nor q.
template <int K, class T>
__device__ inline void scaled_sweeps(const T* kernel, long long n, long long m, const T* a, const T* b, T* p, T* q,
                                     T* spare_p, T* spare_q, T* parts, double* leaves, double* report, double reach,
                                     double threshold, int steps) {
    unsigned* const arrived = take_barrier(report);
    T *old_p = p, *new_p = spare_p, *old_q = q, *new_q = spare_q;
    int taken = 0;
    while (taken < steps) {
        double bad[1] = {0.0}, found[2] = {0.0, 0.0};  // the error, how many scalings of columns are out of range
        sweep_rows<K>(ScaledRows<T>{a, old_q, new_p, reach, bad}, kernel, n, m, parts);
        total_of_grid(bad, leaves, arrived);
        each_column(parts, m, [&](long long j, double s) {
            const T next = T(b[j] / s);
            found[0] += fabs(old_q[j] * s - b[j]);
            found[1] += !in_range(next, 1.0 / reach, reach);
            new_q[j] = next;
        });
        total_of_grid(found, leaves + gridDim.x, arrived);
        if (bad[0] + found[1] > 0.0) break;
        T* const last_p = old_p;
        old_p = new_p, new_p = last_p;
        if (first_row() == 0) report[2 + taken] = found[0];
        ++taken;
        if (found[0] <= threshold) break;
        T* const last_q = old_q;
        old_q = new_q, new_q = last_q;
    }
    if (old_p != p) copy_vector(n, old_p, p);
    if (old_q != q) copy_vector(m, old_q, q);
    if (first_row() == 0) report[1] = taken;
}

template <class T>
__global__ __launch_bounds__(256, 2) void scale_chunk(const T* kernel, long long n, long long m, const T* a, const T* b,
                                                      T* p, T* q, T* spare_p, T* spare_q, T* parts, double* leaves,
                                                      double* report, double reach, double threshold, int steps) {
    scaled_sweeps<HELD>(kernel, n, m, a, b, p, q, spare_p, spare_q, parts, leaves, report, reach, threshold, steps);
}

// The same for longer rows.
template <class T>
__global__ __launch_bounds__(256, 1) void scale_chunk_wide(const T* kernel, long long n, long long m, const T* a,
                                                           const T* b, T* p, T* q, T* spare_p, T* spare_q, T* parts,
                                                           double* leaves, double* report, double reach,
                                                           double threshold, int steps) {
    scaled_sweeps<HELD_WIDE<T>>(kernel, n, m, a, b, p, q, spare_p, spare_q, parts, leaves, report, reach, threshold,
                                steps);
}

// p = exp(u - base), what is out of range being for the sweep to find; and back, u = base + log(p).
template <class T> __global__ BOUNDS void to_scalings(long long n, const T* u, const T* base, T* p) {
    for (long long i = first_row(); i < n; i += row_stride()) p[i] = T(exp(double(u[i] - base[i])));
}
template <class T> __global__ BOUNDS void to_potentials(long long n, const T* p, const T* base, T* u) {
    for (long long i = first_row(); i < n; i += row_stride()) u[i] = T(base[i] + log(double(p[i])));
}
