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
template <class T> struct Csr {
    using entry = T;
    // Entries: a longer row is summed by the whole warp, so that none waits for it.
    static constexpr unsigned LONG = 1024;
    const int* indptr;
    const int* indices;
    const T* data;
    long long n;
    int lanes;

    __device__ Csr(const void* first, const void* second, const void* third, long long n, long long extra)
        : indptr((const int*)first), indices((const int*)second), data((const T*)third), n(n), lanes(int(extra)) {}

    template <class S, class X, class F> __device__ void each_row(X x, F f) const {
        // Loads in flight hide the latency of memory: two rows at a time, two entries of each, as registers allow.
        constexpr int TOGETHER = sizeof(S) <= sizeof(double) ? 2 : 1;
        const int lane = threadIdx.x % WARP, member = lane % lanes, group = lane / lanes, groups = WARP / lanes;
        const long long tile = TOGETHER * groups;
        for (long long base = first_row() / WARP * tile; base < n; base += row_stride() / WARP * tile) {
            unsigned begin[TOGETHER], end[TOGETHER], long_rows[TOGETHER];
#pragma unroll
            for (int r = 0; r < TOGETHER; ++r) {
                const long long i = base + r * groups + group;
                begin[r] = i < n ? indptr[i] : 0;
                end[r] = i < n ? indptr[i + 1] : 0;
            }
            S sums[TOGETHER];
            bool is_long[TOGETHER];
#pragma unroll
            for (int r = 0; r < TOGETHER; ++r) {
                is_long[r] = lanes < WARP && end[r] - begin[r] > LONG;
                long_rows[r] = lanes < WARP ? __ballot_sync(FULL_WARP, is_long[r]) : 0u;
                if (is_long[r]) end[r] = begin[r];
            }
            first_entries<TOGETHER>(x, begin, end, member, sums);
#pragma unroll
            for (int r = 0; r < TOGETHER; ++r) {
                const unsigned rest = begin[r] + member + 2u * lanes;
                if (rest < end[r]) sums[r] = sums[r] + strided<S>(x, rest, end[r], lanes);
                sums[r] = lanes_sum(sums[r], lanes);
                const long long i = base + r * groups + group;
                if (member == 0 && i < n && !is_long[r]) f(i, sums[r]);
                if (long_rows[r]) each_long_row<S>(x, f, base + r * groups, long_rows[r]);
            }
        }
    }

  private:
    // The first two entries that each lane has in its rows; all are loaded before the first is needed.
    template <int N, class S, class X>
    __device__ void first_entries(X x, const unsigned (&begin)[N], const unsigned (&end)[N], int member,
                                  S (&sums)[N]) const {
        using value = decltype(x(0));
        int columns[N][2];
        T entries[N][2];
        value values[N][2];
#pragma unroll
        for (int r = 0; r < N; ++r)
#pragma unroll
            for (int e = 0; e < 2; ++e) {
                const unsigned k = begin[r] + member + e * lanes;
                columns[r][e] = k < end[r] ? indices[k] : 0;
                entries[r][e] = k < end[r] ? data[k] : T{};
            }
#pragma unroll
        for (int r = 0; r < N; ++r)
#pragma unroll
            for (int e = 0; e < 2; ++e)
                values[r][e] = begin[r] + member + e * lanes < end[r] ? x(columns[r][e]) : value{};
#pragma unroll
        for (int r = 0; r < N; ++r)
            sums[r] = plus_product(plus_product(S{}, entries[r][0], values[r][0]), entries[r][1], values[r][1]);
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

    template <class S, class X, class F> __device__ void each_long_row(X x, F& f, long long base, unsigned rows) const {
        const int lane = threadIdx.x % WARP;
        for (int group = 0; group < WARP / lanes; ++group) {
            if (!(rows >> (group * lanes) & 1u)) continue;
            const long long i = base + group;
            const S sum = lanes_sum(strided<S>(x, indptr[i] + lane, indptr[i + 1], WARP), WARP);
            if (lane == 0) f(i, sum);
        }
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
        using value = decltype(x(0));
        for (long long i = first_row(); i < n; i += row_stride()) {
            S sum{};
#pragma unroll 4
            for (int d = 0; d < count; ++d) {
                const long long j = i + offsets[d];
                const bool inside = j >= 0 && j < n;
                const T a = inside ? data[d * n + i] : T{};
                const value b = inside ? x(j) : value{};
                sum = plus_product(sum, a, b);
            }
            f(i, sum);
        }
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
};

// third: the weights of the centre and of the neighbours along z, y and x; extra: the grid's ny in the upper half and
// its nx in the lower one (nz is n / (ny nx)); zero outside the grid. n < 2^31: divisions of 64 bits are slow.
template <class T> struct Stencil {
    using entry = T;
    const T* weights;
    long long n;
    unsigned nx, ny;

    __device__ Stencil(const void*, const void*, const void* third, long long n, long long extra)
        : weights((const T*)third), n(n), nx(unsigned(extra & 0xffffffff)), ny(unsigned(extra >> 32)) {}

    template <class S, class X, class F> __device__ void each_row(X x, F f) const {
        using value = decltype(x(0));
        const T centre = weights[0], wz = weights[1], wy = weights[2], wx = weights[3];
        const unsigned size = unsigned(n), plane = nx * ny;
        for (unsigned i = unsigned(first_row()); i < size; i += unsigned(row_stride())) {
            const unsigned line = i / nx, column = i - line * nx, above = line % ny;
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
            f(i, s + t);
        }
    }
};
