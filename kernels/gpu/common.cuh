// Numbers, sums over a block, and a barrier for all blocks. Nothing is included: headers cost seconds of compilation.

// What a kernel promises the compiler: THREADS and BLOCKS_PER_PROCESSOR of _device.py.
#define BOUNDS __launch_bounds__(256, 4)

constexpr unsigned FULL_WARP = 0xffffffffu;
constexpr int WARP = 32;
constexpr int MOST_WARPS = 8;

template <class R> struct alignas(2 * sizeof(R)) complex {
    R re, im;
};

template <class T> struct traits {
    using real = T;
    using wide = double;
    static constexpr bool is_complex = false;
};
template <class R> struct traits<complex<R>> {
    using real = R;
    using wide = complex<double>;
    static constexpr bool is_complex = true;
};
template <class T> using real_of = typename traits<T>::real;
template <class T> using wide_of = typename traits<T>::wide;  // float64 or complex128

template <class R> __device__ inline complex<R> operator+(complex<R> a, complex<R> b) { return {a.re + b.re, a.im + b.im}; }
template <class R> __device__ inline complex<R> operator-(complex<R> a, complex<R> b) { return {a.re - b.re, a.im - b.im}; }
template <class R> __device__ inline complex<R> operator*(complex<R> a, complex<R> b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}
template <class R> __device__ inline complex<R> operator*(R a, complex<R> b) { return {a * b.re, a * b.im}; }
template <class T> __device__ inline T& operator+=(T& a, T b) { return a = a + b; }

__device__ inline double real(double a) { return a; }
__device__ inline double imag(double) { return 0.0; }
template <class R> __device__ inline double real(complex<R> a) { return a.re; }
template <class R> __device__ inline double imag(complex<R> a) { return a.im; }

// |a|^2 in float64.
__device__ inline double square(double a) { return a * a; }
template <class R> __device__ inline double square(complex<R> a) { return double(a.re) * a.re + double(a.im) * a.im; }

// weight |a|^2 in float64, weighted first: a square alone may be out of range.
__device__ inline double weighted_square(double weight, double a) { return weight * a * a; }
template <class R> __device__ inline double weighted_square(double weight, complex<R> a) {
    return weight * a.re * a.re + weight * a.im * a.im;
}

// conj(a) b in float64.
__device__ inline double conjugate_times(double a, double b) { return a * b; }
template <class R> __device__ inline complex<double> conjugate_times(complex<R> a, complex<R> b) {
    return {double(a.re) * b.re + double(a.im) * b.im, double(a.re) * b.im - double(a.im) * b.re};
}

// Change of precision: convert<double>(x), convert<complex<double>>(x).
template <class To, class From> struct converter {
    __device__ static To from(From a) { return To(a); }
};
template <class To, class From> struct converter<complex<To>, complex<From>> {
    __device__ static complex<To> from(complex<From> a) { return {To(a.re), To(a.im)}; }
};
template <class To, class From> struct converter<complex<To>, From> {
    __device__ static complex<To> from(From a) { return {To(a), To(0)}; }
};
template <class To, class From> __device__ inline To convert(From a) { return converter<To, From>::from(a); }

__device__ inline bool is_finite(double a) { return a - a == 0.0; }

__device__ inline double shuffle_down(double a, int offset, int width) { return __shfl_down_sync(FULL_WARP, a, offset, width); }
__device__ inline float shuffle_down(float a, int offset, int width) { return __shfl_down_sync(FULL_WARP, a, offset, width); }
template <class R> __device__ inline complex<R> shuffle_down(complex<R> a, int offset, int width) {
    return {shuffle_down(a.re, offset, width), shuffle_down(a.im, offset, width)};
}

// The first row of this thread and the distance to its next one, where rows are dealt out one a thread.
__device__ inline long long first_row() { return (long long)blockIdx.x * blockDim.x + threadIdx.x; }
__device__ inline long long row_stride() { return (long long)gridDim.x * blockDim.x; }

// The sum over the threads of the block, in an order that does not change; every thread gets it.
// All threads must call it together. N sums at once share the barriers.
template <int N> __device__ inline void block_sum(double (&values)[N]) {
    __shared__ double sums[N][MOST_WARPS];
    const int lane = threadIdx.x % WARP, warp = threadIdx.x / WARP, warps = blockDim.x / WARP;
    for (int k = 0; k < N; ++k)
        for (int offset = WARP / 2; offset > 0; offset /= 2) values[k] += shuffle_down(values[k], offset, WARP);
    __syncthreads();  // the sums of the call before have been read
    if (lane == 0)
        for (int k = 0; k < N; ++k) sums[k][warp] = values[k];
    __syncthreads();
    for (int k = 0; k < N; ++k) {
        values[k] = 0.0;
#pragma unroll 1
        for (int w = 0; w < warps; ++w) values[k] += sums[k][w];
    }
}

// The same over all blocks: leave this block's sums, meet at the barrier, then add up every block's.
// `parts` has N rows of gridDim.x numbers.
template <int N> __device__ inline void leave_sums(double (&values)[N], double* parts) {
    block_sum(values);
    if (threadIdx.x == 0)
        for (int k = 0; k < N; ++k) parts[k * gridDim.x + blockIdx.x] = values[k];
}
template <int N> __device__ inline void collect_sums(const double* parts, double (&values)[N]) {
    for (int k = 0; k < N; ++k) {
        values[k] = 0.0;
#pragma unroll 1
        for (int block = threadIdx.x; block < gridDim.x; block += blockDim.x) values[k] += parts[k * gridDim.x + block];
    }
    block_sum(values);
}

// What the report of a kernel whose blocks meet begins with: how many have arrived and, 128 bytes on, the round, so that
// those who ask for the round do not hold up those who arrive. The report is then what begins at the round's number.
constexpr int APART = 128;
__device__ inline unsigned* take_barrier(double*& report) {
    unsigned* const arrived = (unsigned*)report;
    report += APART / sizeof(double);
    return arrived;
}

// Wait until every block is here; what they wrote before is then seen by all. `arrived` and the round are zeros before
// the first call of a launch, which must be cooperative. The last block to come opens the next round. The others ask
// for it by loads, not by atomics, which the memory would serve one after the other.
__device__ inline void grid_barrier(unsigned* arrived) {
    __syncthreads();
    if (gridDim.x > 1 && threadIdx.x == 0) {
        unsigned* const round = arrived + APART / sizeof(unsigned);
        const unsigned before = *(volatile unsigned*)round;
        __threadfence();  // it was asked for before this block arrives
        if (atomicAdd(arrived, 1u) == gridDim.x - 1) {
            atomicExch(arrived, 0u);
            __threadfence();
            atomicAdd(round, 1u);
        } else {
            while (*(volatile unsigned*)round == before) __nanosleep(20);
        }
        __threadfence();
    }
    __syncthreads();
}
