// Inner products and updates of vectors, each one pass over memory. Vectors that are written may be those that are
// read: a thread reads its entries before it writes them.

// A thread takes BATCH entries at a time, a whole grid apart: enough loads in flight to hide the latency of memory.
// n < 2^31: what 64-bit indices cost shows in kernels as short as these.
constexpr int BATCH = 4;
struct Walk {
    unsigned i, n, stride;
    __device__ explicit Walk(long long n) : i(unsigned(first_row())), n(unsigned(n)), stride(unsigned(row_stride())) {}
    __device__ bool more() const { return i < n; }
    __device__ void next() { i += BATCH * stride; }
    template <class T> __device__ void load(const T* x, T (&out)[BATCH]) const {
#pragma unroll
        for (int k = 0; k < BATCH; ++k) out[k] = i + k * stride < n ? x[i + k * stride] : T{};
    }
    template <class T> __device__ void store(const T (&values)[BATCH], T* y) const {
#pragma unroll
        for (int k = 0; k < BATCH; ++k)
            if (i + k * stride < n) y[i + k * stride] = values[k];
    }
};

template <class T> __global__ BOUNDS void axpy(long long n, T alpha, const T* x, T* y) {
    for (Walk at(n); at.more(); at.next()) {
        T a[BATCH], b[BATCH];
        at.load(x, a);
        at.load(y, b);
        for (int k = 0; k < BATCH; ++k) b[k] = b[k] + alpha * a[k];
        at.store(b, y);
    }
}

template <class T> __global__ BOUNDS void scale(long long n, T alpha, const T* x, T* y) {
    for (Walk at(n); at.more(); at.next()) {
        T a[BATCH];
        at.load(x, a);
        for (int k = 0; k < BATCH; ++k) a[k] = alpha * a[k];
        at.store(a, y);
    }
}

template <class T> __global__ BOUNDS void multiply(long long n, const real_of<T>* d, const T* x, T* y) {
    for (Walk at(n); at.more(); at.next()) {
        real_of<T> factors[BATCH];
        T a[BATCH];
        at.load(d, factors);
        at.load(x, a);
        for (int k = 0; k < BATCH; ++k) a[k] = factors[k] * a[k];
        at.store(a, y);
    }
}

// y = x[order].
template <class T> __global__ BOUNDS void gather(long long n, const T* x, const int* order, T* y) {
    for (Walk at(n); at.more(); at.next()) {
        int places[BATCH];
        T a[BATCH];
        at.load(order, places);  // 0 beyond the end
        for (int k = 0; k < BATCH; ++k) a[k] = x[places[k]];
        at.store(a, y);
    }
}

// y[order] = x, where order is a permutation.
template <class T> __global__ BOUNDS void scatter(long long n, const T* x, const int* order, T* y) {
    for (Walk at(n); at.more(); at.next()) {
        int places[BATCH];
        T a[BATCH];
        at.load(order, places);
        at.load(x, a);
        for (int k = 0; k < BATCH; ++k)
            if (at.i + k * at.stride < at.n) y[places[k]] = a[k];
    }
}

__device__ inline float inverse_of(float a) { return 1.0f / a; }
__device__ inline double inverse_of(double a) { return 1.0 / a; }
// Smith's division: |a|^2 may be out of range.
template <class R> __device__ inline complex<R> inverse_of(complex<R> a) {
    const bool flat = fabs(double(a.re)) >= fabs(double(a.im));
    const double large = flat ? a.re : a.im, small = flat ? a.im : a.re, ratio = small / large;
    const double size = large + small * ratio;
    return flat ? complex<R>{R(1.0 / size), R(-ratio / size)} : complex<R>{R(ratio / size), R(-1.0 / size)};
}

// y = 1 / x.
template <class T> __global__ BOUNDS void reciprocal(long long n, const T* x, T* y) {
    for (Walk at(n); at.more(); at.next()) {
        T a[BATCH];
        at.load(x, a);
        for (int k = 0; k < BATCH; ++k) a[k] = inverse_of(a[k]);
        at.store(a, y);
    }
}

// p^H q: parts[0] the real parts and parts[1] the imaginary ones, one number a block.
template <class T> __global__ BOUNDS void inner(long long n, const T* p, const T* q, double* parts) {
    double sums[2] = {0.0, 0.0};
    for (Walk at(n); at.more(); at.next()) {
        T a[BATCH], b[BATCH];
        at.load(p, a);
        at.load(q, b);
        for (int k = 0; k < BATCH; ++k) {
            const auto product = conjugate_times(a[k], b[k]);
            sums[0] += real(product);
            sums[1] += imag(product);
        }
    }
    leave_sums(sums, parts);
}

// r = b - y, formed in float64; parts: the squares of the norm before the rounding.
template <class T, class Y>
__global__ BOUNDS void difference(long long n, const T* b, const Y* y, T* r, double* parts) {
    using S = wide_of<T>;
    double squares[1] = {0.0};
    for (Walk at(n); at.more(); at.next()) {
        T left[BATCH];
        Y right[BATCH];
        at.load(b, left);
        at.load(y, right);
        for (int k = 0; k < BATCH; ++k) {
            const S d = convert<S>(left[k]) - convert<S>(right[k]);
            squares[0] += square(d);
            left[k] = convert<T>(d);
        }
        at.store(left, r);
    }
    leave_sums(squares, parts);
}

// x += alpha p and r -= alpha q; parts: the squares of r's norm.
template <class T>
__global__ BOUNDS void step_iterate(long long n, double alpha, const T* p, const T* q, T* x, T* r, double* parts) {
    const real_of<T> a = real_of<T>(alpha);
    double squares[1] = {0.0};
    for (Walk at(n); at.more(); at.next()) {
        T step[BATCH], from[BATCH];
        at.load(p, step);
        at.load(x, from);
        for (int k = 0; k < BATCH; ++k) from[k] = from[k] + a * step[k];
        at.store(from, x);
        at.load(q, step);
        at.load(r, from);
        for (int k = 0; k < BATCH; ++k) {
            from[k] = from[k] - a * step[k];
            squares[0] += square(from[k]);
        }
        at.store(from, r);
    }
    leave_sums(squares, parts);
}

// p = z + beta p.
template <class T> __global__ BOUNDS void step_direction(long long n, const T* z, double beta, T* p) {
    const real_of<T> b = real_of<T>(beta);
    for (Walk at(n); at.more(); at.next()) {
        T left[BATCH], right[BATCH];
        at.load(z, left);
        at.load(p, right);
        for (int k = 0; k < BATCH; ++k) right[k] = left[k] + b * right[k];
        at.store(right, p);
    }
}

__device__ inline double magnitude(double a) { return fabs(a); }
template <class R> __device__ inline double magnitude(complex<R> a) { return hypot(double(a.re), double(a.im)); }

// NaN is larger than all numbers.
__device__ inline double larger(double a, double b) { return a >= b || a != a ? a : b; }

// max |v_i|: one number a block.
template <class T> __global__ BOUNDS void largest(long long n, const T* v, double* parts) {
    __shared__ double found[MOST_WARPS];
    double most = 0.0;
    for (Walk at(n); at.more(); at.next()) {
        T a[BATCH];
        at.load(v, a);
        for (int k = 0; k < BATCH; ++k) most = larger(most, magnitude(a[k]));
    }
    for (int offset = WARP / 2; offset > 0; offset /= 2) most = larger(most, shuffle_down(most, offset, WARP));
    if (threadIdx.x % WARP == 0) found[threadIdx.x / WARP] = most;
    __syncthreads();
    if (threadIdx.x == 0) {
        for (int warp = 1; warp < int(blockDim.x) / WARP; ++warp) most = larger(most, found[warp]);
        parts[blockIdx.x] = most;
    }
}
