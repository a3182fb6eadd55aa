// What a sweep of scaling does to rows and to columns; all blocks stay, meet at barriers, and decide alike.

// Sums over the grid, the same for every block.
template <int N> __device__ inline void total_of_grid(double (&values)[N], double* leaves, unsigned* arrived) {
    leave_sums(values, leaves);
    grid_barrier(arrived);
    collect_sums(leaves, values);
}

// A row belongs to a warp, or to a block: its sum, its largest number, for every thread.
__device__ inline double total_of_row(double s, bool wide) {
    if (wide) {
        double values[1] = {s};
        block_sum(values);
        return values[0];
    }
    __syncwarp();  // what this row's lanes read may be written now
    for (int offset = WARP / 2; offset > 0; offset /= 2) s += shuffle_down(s, offset, WARP);
    return __shfl_sync(FULL_WARP, s, 0, WARP);
}
__device__ inline double most_of_row(double s, bool wide) {
    for (int offset = WARP / 2; offset > 0; offset /= 2) s = larger_of(s, shuffle_down(s, offset, WARP));
    if (!wide) return __shfl_sync(FULL_WARP, s, 0, WARP);
    __shared__ double most[MOST_WARPS];
    __syncthreads();  // the numbers of the call before have been read
    if (threadIdx.x % WARP == 0) most[threadIdx.x / WARP] = s;
    __syncthreads();
    s = most[0];
    for (int warp = 1; warp < int(blockDim.x) / WARP; ++warp) s = larger_of(s, most[warp]);
    return s;
}

// A new potential, the factor by which the entries of its row grew, and the error of the row's sum.
struct Change {
    double potential, factor, gap;
};
__device__ inline bool in_range(double s, double least, double most) { return least <= s && s <= most; }

// From a sum s that is in range; false where the factor may be out of range.
__device__ inline bool plain_change(double weight, double potential, double s, double omega, double safe, Change& to) {
    const double change = omega * log(weight / s);
    if (omega == 1.0) {
        to = {potential + change, weight / s, 0.0};
        return true;
    }
    const double factor = exp(change);
    to = {potential + change, factor, fabs(factor * s - weight)};
    return fabs(change) < 0.9 * log(safe);
}
// From a sum s of exponentials without the potential, whose largest exponent `most` was taken out of it.
__device__ inline Change shifted_change(double weight, double potential, double s, double most, double omega) {
    const double here = most * LN2;
    if (omega == 1.0) return {log(weight / s) - here, weight / s, 0.0};
    const double next = potential + omega * (log(weight / s) - here - potential), factor = exp(next + here);
    return {next, factor, fabs(factor * s - weight)};
}

// How rows share the threads: a warp for a short one, else a block. A thread's K first columns stay in registers; those
// beyond are formed twice and added up in memory.
template <int K> struct Shares {
    bool wide;
    int lanes, lane, group, groups;
    __device__ explicit Shares(long long m)
        : wide(m > K * WARP), lanes(wide ? blockDim.x : WARP), lane(threadIdx.x % lanes), group(threadIdx.x / lanes),
          groups(blockDim.x / lanes) {}
    __device__ long long first() const { return (long long)blockIdx.x * groups + group; }
    __device__ long long stride() const { return (long long)gridDim.x * groups; }
    __device__ long long rest() const { return (long long)K * lanes + lane; }
};

// Every row: its entries, their sum, from which `op` makes a factor or other entries, and the entries times the factor,
// added up over the rows of this block in its share of `parts`.
template <int K, class T, class Op>
__device__ inline void sweep_rows(const Op& op, const T* C, long long n, long long m, T* parts) {
    const Shares<K> own(m);
    T* const part = parts + blockIdx.x * m;
    const int width = int(m);
    T sums[K] = {};
    for (long long j = own.rest(); j < m; j += own.lanes) part[j] = 0;
    for (long long i = own.first(); i < n; i += own.stride()) {
        const T* const row = C + i * m;
        auto pre = op.start(i);
        T e[K], factor;
#pragma unroll 1
        for (bool settled = false; !settled;) {  // one copy of the code for both ways, of which the compiler has enough
#pragma unroll
            for (int k = 0; k < K; ++k) {
                const int j = own.lane + k * own.lanes;
                e[k] = j < width ? row[j] : op.nothing();
            }
            T few = 0;
#pragma unroll
            for (int k = 0; k < K; ++k) {
                const int j = own.lane + k * own.lanes;
                if (j < width) {
                    e[k] = op.entry(e[k], j, pre);
                    few += op.term(e[k], j);
                }
            }
            double s = few;
#pragma unroll 1
            for (long long j = own.rest(); j < m; j += own.lanes) s += op.term(op.entry(row[j], j, pre), j);
            s = total_of_row(s, own.wide);
            settled = op.finish(own, i, row, m, s, pre, factor);
        }
#pragma unroll
        for (int k = 0; k < K; ++k)
            if (own.lane + k * own.lanes < width) sums[k] += factor * e[k];
#pragma unroll 1
        for (long long j = own.rest(); j < m; j += own.lanes) part[j] += factor * op.entry(row[j], j, pre);
    }
    for (int turn = 0; turn < own.groups; ++turn) {
        if (turn == own.group) {
#pragma unroll
            for (int k = 0; k < K; ++k) {
                const int j = own.lane + k * own.lanes;
                if (j < width) part[j] = turn > 0 ? part[j] + sums[k] : sums[k];
            }
        }
        __syncthreads();
    }
}

// ``done(j, s)`` for the sum s of each column over all blocks' shares: a block has COLUMNS of them at a time.
constexpr int COLUMNS = 8;
template <class T, class Done> __device__ inline void each_column(const T* parts, long long m, Done done) {
    __shared__ double found[MOST_WARPS][COLUMNS];
    const int place = threadIdx.x % COLUMNS, lanes = blockDim.x / COLUMNS;
    for (long long first = (long long)blockIdx.x * COLUMNS; first < m; first += (long long)gridDim.x * COLUMNS) {
        const long long j = first + place;
        double s = 0.0;
        if (j < m)
            for (int block = threadIdx.x / COLUMNS; block < int(gridDim.x); block += lanes) s += parts[block * m + j];
        for (int offset = WARP / 2; offset >= COLUMNS; offset /= 2) s += shuffle_down(s, offset, WARP);
        __syncthreads();  // the sums of the columns before have been read
        if (lane_of_warp() < COLUMNS) found[threadIdx.x / WARP][place] = s;
        __syncthreads();
        if (threadIdx.x < COLUMNS && j < m) {
            s = found[0][place];
            for (int warp = 1; warp < int(blockDim.x) / WARP; ++warp) s += found[warp][place];
            done(j, s);
        }
    }
}

template <class T> __device__ inline void copy_vector(long long n, const T* x, T* y) {
    for (long long i = first_row(); i < n; i += row_stride()) y[i] = x[i];
}

// Columns that a thread holds: as many as its share of registers takes, beside their sums.
constexpr int HELD = 16;
template <class T> constexpr int HELD_WIDE = sizeof(T) == 4 ? 48 : 40;
