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
        for (unsigned base = unsigned(first_row()) / WARP * rows; base < n; base += stride) {
            unsigned i = base + lane / lanes, step = lanes;
            unsigned k = i < n ? indptr[i] : 0, end = i < n ? indptr[i + 1] : 0;
            const bool is_long = lanes < WARP && end - k > LONG;
            bool mine = lane % lanes == 0 && i < n && !is_long;
            unsigned waiting = __ballot_sync(FULL_WARP, is_long && lane % lanes == 0);
            if (is_long) end = k;
            k += lane % lanes;
            S sum = first_entries<S>(x, k, end);
            while (true) {
                sum = lanes_sum(sum + strided<S>(x, k, end, step), step);
                if (mine) f((long long)i, sum);
                if (waiting == 0) break;
                i = base + (__ffs(waiting) - 1) / lanes;
                waiting &= waiting - 1;
                k = indptr[i] + lane, end = indptr[i + 1], step = WARP;
                sum = S{};
                mine = lane == 0;
            }
        }
    }

    // The sum of row i by one thread, where lanes is 1.
    template <class S, class X> __device__ S row(X x, long long i) const {
        unsigned k = indptr[i];
        const unsigned end = indptr[i + 1];
        const S sum = first_entries<S>(x, k, end);
        return sum + strided<S>(x, k, end, 1u);
    }

  private:
    // The first entries that a lane has in its row, as many as registers allow: all are loaded before one is needed,
    // which hides the latency of memory. k moves on.
    template <class S, class X> __device__ S first_entries(X x, unsigned& k, unsigned end) const {
        using value = decltype(x(0));
        constexpr int N = sizeof(S) <= sizeof(double) ? 4 : 2;
        int columns[N];
        T entries[N];
        value values[N];
#pragma unroll
        for (int e = 0; e < N; ++e) {
            columns[e] = k + e * lanes < end ? indices[k + e * lanes] : 0;
            entries[e] = k + e * lanes < end ? data[k + e * lanes] : T{};
        }
#pragma unroll
        for (int e = 0; e < N; ++e) values[e] = k + e * lanes < end ? x(columns[e]) : value{};
        S sum{};
#pragma unroll
        for (int e = 0; e < N; ++e) sum = plus_product(sum, entries[e], values[e]);
        k += N * lanes;
        return sum;
    }

    // The entries k, k + step, ... before end, in two sums that do not wait for each other.
    template <class S, class X> __device__ S strided(X x, unsigned k, unsigned end, unsigned step) const {
        S s{}, t{};
        for (; k + step < end; k += 2 * step) {
            s = plus_product(s, data[k], x(indices[k]));
            t = plus_product(t, data[k + step], x(indices[k + step]));
        }
        if (k < end) s = plus_product(s, data[k], x(indices[k]));
        return s + t;
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
        using value = decltype(x(0));
        S sum{};
#pragma unroll 4
        for (int d = 0; d < count; ++d) {
            const long long j = i + offsets[d];
            const bool inside = j >= 0 && j < n;
            const T a = inside ? data[d * n + i] : T{};
            const value b = inside ? x(j) : value{};
            sum = plus_product(sum, a, b);
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
            const T* row = data + i * n;
            S s{}, t{};
            long long j = lane;
#pragma unroll 2
            for (; j + WARP < n; j += 2 * WARP) {
                s = plus_product(s, row[j], x(j));
                t = plus_product(t, row[j + WARP], x(j + WARP));
            }
            if (j < n) s = plus_product(s, row[j], x(j));
            s = lanes_sum(s + t, WARP);
            if (lane == 0) f(i, s);
        }
    }

    // The sum of row i by one thread.
    template <class S, class X> __device__ S row(X x, long long i) const {
        S sum{};
#pragma unroll 4
        for (long long j = 0; j < n; ++j) sum = plus_product(sum, data[i * n + j], x(j));
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
        for (unsigned i = unsigned(first_row()); i < size; i += unsigned(row_stride())) f((long long)i, row<S>(x, i));
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
