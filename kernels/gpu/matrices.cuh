// The matrices that a kernel can apply. Each storage is made from the same flat arguments, so that a kernel is written
// once, and hands every row of A x to a function:
//
//     template <class A> __global__ BOUNDS void kernel(const void* first, const void* second, const void* third,
//                                                      long long n, long long extra, const typename A::entry* p, ...) {
//         const A a(first, second, third, n, extra);
//         a.template each_row<S>(Vector<typename A::entry>{p}, [&](long long i, S sum) { ... });
//
// All threads of the grid call each_row together; it shuffles, but meets at no barrier. It calls the function once
// for every row, from one thread: for the same matrix and grid always from the same one. S is what the sums are
// accumulated in. x is read as x(j); the types of S and of x(j) need S{}, S + S, plus_product and shuffle_down.
// The order of a row's sum depends on the storage only, not on the grid.

template <class T> struct Vector {
    const T* x;
    __device__ T operator()(long long j) const { return x[j]; }
};

// One column of a row-major (n, width) block: x begins at its first entry.
template <class T> struct Column {
    const T* x;
    long long width;
    __device__ T operator()(long long j) const { return x[j * width]; }
};

template <class S, class T, class X> __device__ inline S plus_product(S sum, T a, X b) {
    return sum + convert<S>(a) * convert<S>(b);
}

// N below is how many entries of a row a thread loads before it needs the first. That hides the latency of memory: a
// multiprocessor must have some 24 KB on their way, and holds 1024 threads. More would spill registers.

// The sum over `width` neighbouring lanes (a power of two); the first of them gets it. All lanes call it together.
template <class S> __device__ inline S lanes_sum(S sum, int width) {
    for (int offset = width / 2; offset > 0; offset /= 2) sum = sum + shuffle_down(sum, offset, width);
    return sum;
}

// first: int32 indptr (n + 1,), second: int32 indices, third: data; extra: how many lanes share a row, a power of two.
// Indices are unsigned 32-bit ones inside: they may pass 2^31 by a step.
template <class T> struct Csr {
    using entry = T;
    // Entries: a longer row is summed by the whole warp, so that none waits for it.
    static constexpr unsigned LONG = 1024;
    const int* indptr;
    const int* indices;
    const T* data;
    unsigned n, lanes;

    __device__ Csr(const void* first, const void* second, const void* third, long long n, long long extra)
        : indptr((const int*)first), indices((const int*)second), data((const T*)third), n(unsigned(n)),
          lanes(unsigned(extra)) {}

    template <class S, class X, class F> __device__ void each_row(X x, F f) const {
        const unsigned lane = threadIdx.x % WARP, rows = WARP / lanes, stride = unsigned(row_stride()) / WARP * rows;
        unsigned base = unsigned(first_row()) / WARP * rows, i = base + lane / lanes;
        unsigned begin = i < n ? indptr[i] : 0, end = i < n ? indptr[i + 1] : 0;
        for (; base < n; base += stride) {
            i = base + lane / lanes;
            const bool is_long = lanes < WARP && end - begin > LONG;
            bool mine = lane % lanes == 0 && i < n && !is_long;
            unsigned waiting = __ballot_sync(FULL_WARP, is_long && lane % lanes == 0);
            unsigned k = begin + lane % lanes, stop = is_long ? k : end, step = lanes;
            // The limits of the next row are on their way while this one is summed.
            begin = i + stride < n ? indptr[i + stride] : 0;
            end = i + stride < n ? indptr[i + stride + 1] : 0;
            while (true) {
                const S sum = lanes_sum(strided<S>(x, k, stop, step), step);
                if (mine) f((long long)i, sum);
                if (waiting == 0) break;
                i = base + (__ffs(waiting) - 1) / lanes;
                waiting &= waiting - 1;
                k = indptr[i] + lane, stop = indptr[i + 1], step = WARP;
                mine = lane == 0;
            }
        }
    }

    // The sum of row i by one thread, where lanes is 1.
    template <class S, class X> __device__ S row(X x, long long i) const {
        return strided<S>(x, unsigned(indptr[i]), unsigned(indptr[i + 1]), 1u);
    }

  private:
    // The entries k, k + step, ... before end. Some are loaded at a time before the first is needed; where there are
    // fewer, the first stands in for them, so that no load waits for a branch.
    template <class S, class X> __device__ S strided(X x, unsigned k, unsigned end, unsigned step) const {
        constexpr int N = sizeof(S) <= 8 ? 4 : 2;
        S sum{};
#pragma unroll 1
        for (; k < end; k += N * step) {
            int columns[N];
            T entries[N];
            decltype(x(0)) values[N];
#pragma unroll
            for (int e = 0; e < N; ++e) {
                const unsigned at = k + e * step < end ? k + e * step : k;
                columns[e] = indices[at];
                entries[e] = data[at];
            }
#pragma unroll
            for (int e = 0; e < N; ++e) values[e] = x(columns[e]);
#pragma unroll
            for (int e = 0; e < N; ++e)
                if (e == 0 || k + e * step < end) sum = plus_product(sum, entries[e], values[e]);
        }
        return sum;
    }
};

// first: int64 offsets, ascending, third: data[d * n + i] = A[i, i + offsets[d]]; extra: the number of diagonals.
template <class T> struct Diagonals {
    using entry = T;
    const long long* offsets;
    const T* data;
    long long n;
    int count;

    __device__ Diagonals(const void* first, const void*, const void* third, long long n, long long extra)
        : offsets((const long long*)first), data((const T*)third), n(n), count(int(extra)) {}

    template <class S, class X, class F> __device__ void each_row(X x, F f) const {
        for (long long i = first_row(); i < n; i += row_stride()) f(i, row<S>(x, i));
    }

    // The sum of row i by one thread.
    template <class S, class X> __device__ S row(X x, long long i) const {
        constexpr int N = sizeof(S) <= 8 ? 5 : 3;
        S sum{};
#pragma unroll 1
        for (int d = 0; d < count; d += N) {
            bool there[N];
            T entries[N];
            decltype(x(0)) values[N];
#pragma unroll
            for (int e = 0; e < N; ++e) {
                const int at = d + e < count ? d + e : d;
                const unsigned j = unsigned(i) + unsigned(offsets[at]);  // a negative one is a large one
                there[e] = d + e < count && j < unsigned(n);
                entries[e] = data[at * n + i];
                values[e] = x(there[e] ? j : unsigned(i));
            }
#pragma unroll
            for (int e = 0; e < N; ++e)
                if (there[e]) sum = plus_product(sum, entries[e], values[e]);
        }
        return sum;
    }
};

// third: the entries, row by row; a warp has a row.
template <class T> struct Dense {
    using entry = T;
    const T* data;
    long long n;

    __device__ Dense(const void*, const void*, const void* third, long long n, long long)
        : data((const T*)third), n(n) {}

    template <class S, class X, class F> __device__ void each_row(X x, F f) const {
        const int lane = threadIdx.x % WARP;
        for (long long i = first_row() / WARP; i < n; i += row_stride() / WARP) {
            const S s = lanes_sum(strided<S>(x, data + i * n, lane, WARP), WARP);
            if (lane == 0) f(i, s);
        }
    }

    // The sum of row i by one thread.
    template <class S, class X> __device__ S row(X x, long long i) const {
        return strided<S>(x, data + i * n, 0, 1);
    }

  private:
    template <class S, class X> __device__ S strided(X x, const T* entries, int first, int step) const {
        constexpr int N = 32 / sizeof(S);
        S sum{};
#pragma unroll 1
        for (long long j = first; j < n; j += N * step) {
            T entry[N];
            decltype(x(0)) values[N];
#pragma unroll
            for (int e = 0; e < N; ++e) {
                const long long at = j + e * step < n ? j + e * step : j;
                entry[e] = entries[at];
                values[e] = x(at);
            }
#pragma unroll
            for (int e = 0; e < N; ++e)
                if (e == 0 || j + e * step < n) sum = plus_product(sum, entry[e], values[e]);
        }
        return sum;
    }
};

// third: the weights of the centre and of the neighbours along z, y and x; extra: the grid's ny in the upper half and
// its nx in the lower one (nz is n / (ny nx)); zero outside the grid. n < 2^31: divisions of 64 bits are slow.
template <class T> struct Stencil {
    using entry = T;
    T centre, wz, wy, wx;
    unsigned size, nx, ny;

    __device__ Stencil(const void*, const void*, const void* third, long long n, long long extra)
        : centre(((const T*)third)[0]), wz(((const T*)third)[1]), wy(((const T*)third)[2]), wx(((const T*)third)[3]),
          size(unsigned(n)), nx(unsigned(extra & 0xffffffff)), ny(unsigned(extra >> 32)) {}

    template <class S, class X, class F> __device__ void each_row(X x, F f) const {
        // Most of what a row reads is in the cache, one entry is not: two rows at a time keep the memory busy.
        constexpr unsigned N = sizeof(S) <= 8 ? 2 : 1;
        const unsigned stride = unsigned(row_stride());
        for (unsigned i = unsigned(first_row()); i < size; i += N * stride) {
            const unsigned j = N == 2 && i + stride < size ? i + stride : i;
            const S sum = row<S>(x, i), other = N == 2 ? row<S>(x, j) : sum;
            f((long long)i, sum);
            if (j != i) f((long long)j, other);
        }
    }

    // The sum of row i by one thread.
    template <class S, class X> __device__ S row(X x, unsigned i) const {
        using value = decltype(x(0));
        const unsigned plane = nx * ny, line = i / nx, column = i - line * nx, above = line % ny;
        const value here = x(i);
        const value west = column > 0 ? x(i - 1) : value{}, east = column + 1 < nx ? x(i + 1) : value{};
        const value south = above > 0 ? x(i - nx) : value{}, north = above + 1 < ny ? x(i + nx) : value{};
        const value back = i >= plane ? x(i - plane) : value{}, front = i + plane < size ? x(i + plane) : value{};
        S s = plus_product(S{}, centre, here), t = plus_product(S{}, wx, west);
        s = plus_product(s, wy, south);
        t = plus_product(t, wx, east);
        s = plus_product(s, wy, north);
        t = plus_product(t, wz, back);
        s = plus_product(s, wz, front);
        return s + t;
    }
};
