// Plans P_ij = exp(u_i + v_j - C_ij / eps) and their sums, from the potentials; all in float64.

template <class T> using Wide = Exponents<T, double>;

// Sums R over the rows, or over the columns, of a matrix, and for each point of P over those of Q; left in parts.
template <class T, class R>
__global__ BOUNDS void add_rows(const T* C, long long n, long long m, double scale, const T* own, const T* other,
                                const double* most, int slabs, int is_sum, double* parts) {
    row_sums<R>(C, n, m, Wide<T>{scale, own, other, most}, slabs, is_sum, parts);
}
template <class T, class R>
__global__ BOUNDS void add_columns(const T* C, long long n, long long m, double scale, const T* own, const T* other,
                                   const double* most, int slabs, int is_sum, double* parts) {
    column_sums<R>(C, n, m, Wide<T>{scale, own, other, most}, slabs, is_sum, parts);
}
template <class T, class R>
__global__ __launch_bounds__(256, 2) void add_clouds(const T* P, const T* Q, long long p, long long q, int d,
                                                     double power, double scale, const T* own, const T* other,
                                                     const double* most, int slabs, int is_sum, double* parts) {
    cloud_sums<R>(Clouds<T>{P, Q, p, q, d, power}, Wide<T>{scale, own, other, most}, nullptr, slabs, is_sum, parts);
}

// What is made of the parts: their sum; the largest, 0 where that is -infinity; the logarithm of a sum from which the
// largest exponent was taken out.
constexpr int SUM = 0, LARGEST = 1;
template <class T>
__global__ BOUNDS void finish_sums(long long size, int slabs, const double* parts, const double* most, int what,
                                   T* out) {
    for (long long i = first_row(); i < size; i += row_stride()) {
        if (what == LARGEST) {
            out[i] = T(most_of_parts(parts, slabs, size, i));
        } else {
            const double sum = sum_of_parts(parts, slabs, size, i);
            out[i] = T(what == SUM ? sum : most[i] * LN2 + log(sum));
        }
    }
}

// The sum of numbers, one part a block.
template <class T> __global__ BOUNDS void total(long long size, const T* values, double* parts) {
    double sum[1] = {0.0};
    for (long long i = first_row(); i < size; i += row_stride()) sum[0] += values[i];
    leave_sums(sum, parts);
}

// Entries one by one: of a matrix X, or of clouds X and Y.
template <class T> struct Entries {
    const T *X, *Y;
    long long n, m;
    int d;
    double power, scale;
    const T *u, *v;
    __device__ double exponent(long long i, long long j) const {
        const T cost = Y ? Clouds<T>{X, Y, n, m, d, power}.entry(i, j) : X[i * m + j];
        return (u[i] * LOG2E + v[j] * LOG2E) - cost * scale;
    }
};

// A warp has a row: P_ij.
template <class T, class O>
__global__ BOUNDS void write_plan(const T* X, const T* Y, long long n, long long m, int d, double power, double scale,
                                  const T* u, const T* v, O* P) {
    const Entries<T> entries{X, Y, n, m, d, power, scale, u, v};
    for (long long i = first_warp(); i < n; i += warp_stride())
        for (long long j = lane_of_warp(); j < m; j += WARP) P[i * m + j] = O(exp2(entries.exponent(i, j)));
}

// How many entries of each row are as large as `least`, to base 2: counts[i + 1].
template <class T>
__global__ BOUNDS void count_large(const T* X, const T* Y, long long n, long long m, int d, double power, double scale,
                                   const T* u, const T* v, double least, long long* counts) {
    const Entries<T> entries{X, Y, n, m, d, power, scale, u, v};
    for (long long i = first_warp(); i < n; i += warp_stride()) {
        long long count = 0;
        for (long long j = 0; j < m; j += WARP) {
            const bool large = j + lane_of_warp() < m && entries.exponent(i, j + lane_of_warp()) >= least;
            count += __popc(__ballot_sync(FULL_WARP, large));
        }
        if (lane_of_warp() == 0) counts[i + 1] = count;
    }
}

// Sums of the numbers up to each one, in place; one block.
template <class I> __global__ BOUNDS void running_sums(long long size, I* values) {
    __shared__ I warps[MOST_WARPS];
    I before = 0;
    for (long long from = 0; from < size; from += blockDim.x) {
        const long long i = from + threadIdx.x;
        I sum = i < size ? values[i] : I(0);
        for (int offset = 1; offset < WARP; offset *= 2) {
            const I left = __shfl_up_sync(FULL_WARP, sum, offset, WARP);
            if (lane_of_warp() >= offset) sum += left;
        }
        __syncthreads();  // the sums of the stretch before have been read
        if (lane_of_warp() == WARP - 1) warps[threadIdx.x / WARP] = sum;
        __syncthreads();
        I all = 0;
        for (int warp = 0; warp < int(blockDim.x) / WARP; ++warp) {
            if (warp < int(threadIdx.x) / WARP) sum += warps[warp];
            all += warps[warp];
        }
        if (i < size) values[i] = before + sum;
        before += all;
    }
}

// The entries that were counted, in the order of columns.
template <class T, class I>
__global__ BOUNDS void fill_large(const T* X, const T* Y, long long n, long long m, int d, double power, double scale,
                                  const T* u, const T* v, double least, const long long* indptr, I* indices, T* data) {
    const Entries<T> entries{X, Y, n, m, d, power, scale, u, v};
    for (long long i = first_warp(); i < n; i += warp_stride()) {
        long long place = indptr[i];
        for (long long j = lane_of_warp(); j - lane_of_warp() < m && place < indptr[i + 1]; j += WARP) {
            const double exponent = j < m ? entries.exponent(i, j) : 0.0;
            const bool large = j < m && exponent >= least;
            const unsigned found = __ballot_sync(FULL_WARP, large);
            if (large) {
                const long long to = place + __popc(found & ((1u << lane_of_warp()) - 1u));
                indices[to] = I(j);
                data[to] = T(exp2(exponent));
            }
            place += __popc(found);
        }
    }
}
