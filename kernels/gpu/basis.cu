// Products of a vector with a few others that lie side by side as rows: the basis of a Krylov space.

// Rows at a time: w is read once for all of them. A complex row needs two sums.
template <class T> constexpr int GROUP = traits<T>::is_complex ? 4 : 8;

// V^H w, row by row: parts[row * gridDim.x + block] the real parts, the imaginary ones behind them.
template <class T>
__global__ BOUNDS void project(long long n, int rows, const T* __restrict__ V, const T* __restrict__ w, double* parts) {
    constexpr int N = GROUP<T>, PARTS = traits<T>::is_complex ? 2 : 1;
    for (int row = 0; row < rows; row += N) {
        double sums[PARTS * N] = {};
        const T* group = V + row * n;
#pragma unroll 1
        for (long long i = first_row(); i < n; i += row_stride()) {
            const T b = w[i];
            T a[N];
#pragma unroll
            for (int k = 0; k < N; ++k) a[k] = row + k < rows ? group[k * n + i] : T{};
#pragma unroll
            for (int k = 0; k < N; ++k) {
                const auto product = conjugate_times(a[k], b);
                sums[k] += real(product);
                if (PARTS == 2) sums[(PARTS - 1) * N + k] += imag(product);
            }
        }
        block_sum(sums);
        if (threadIdx.x == 0)
            for (int k = 0; k < PARTS * N; ++k) {
                const long long place = k / N * (long long)rows + row + k % N;
                if (row + k % N < rows) parts[place * gridDim.x + blockIdx.x] = sums[k];
            }
    }
}

__device__ inline void assign(double re, double, float& value) { value = float(re); }
__device__ inline void assign(double re, double, double& value) { value = re; }
template <class R> __device__ inline void assign(double re, double im, complex<R>& value) { value = {R(re), R(im)}; }

// values[row], added up over the `count` blocks that left their parts; the imaginary parts are further `rows` rows.
template <class T> __global__ BOUNDS void collect(int rows, int count, const double* __restrict__ parts, T* values) {
    constexpr int PARTS = traits<T>::is_complex ? 2 : 1;
    for (int row = blockIdx.x; row < rows; row += gridDim.x) {
        double sums[2] = {0.0, 0.0};
        for (int part = 0; part < PARTS; ++part)
            for (int block = threadIdx.x; block < count; block += blockDim.x)
                sums[part] += parts[((long long)part * rows + row) * count + block];
        block_sum(sums);
        if (threadIdx.x == 0) assign(sums[0], sums[1], values[row]);
    }
}

// w += sum over the rows of h[row] V[row].
template <class T>
__global__ BOUNDS void combine(long long n, int rows, const T* __restrict__ h, const T* __restrict__ V, T* w) {
    constexpr int N = 32 / sizeof(T);
#pragma unroll 1
    for (long long i = first_row(); i < n; i += row_stride()) {
        T sum{};
#pragma unroll 1
        for (int row = 0; row < rows; row += N) {
            T factors[N], entries[N];
#pragma unroll
            for (int k = 0; k < N; ++k) {
                const int at = row + k < rows ? row + k : row;
                factors[k] = h[at];
                entries[k] = V[at * n + i];
            }
#pragma unroll
            for (int k = 0; k < N; ++k)
                if (row + k < rows) sum = sum + factors[k] * entries[k];
        }
        w[i] = w[i] + sum;
    }
}
