// Chunks of conjugate-gradient iterations for many right-hand sides, one launch a chunk. The k columns lie side by
// side; neighbouring threads have neighbouring columns of a row, so that they read the same entry of A and
// consecutive numbers of the block. A block takes a tile of columns at a time.

// Widest tile: more columns than this read A once more.
constexpr int MOST_COLUMNS = 64;
constexpr int MOST_THREADS = WARP * MOST_WARPS;

// Rows of the report, k numbers each, behind the barrier's word.
constexpr int RHO = 0, SIGN = 1, SHARE = 2, THRESHOLD = 3, STATE = 4, COUNT = 5;
constexpr int ALPHA = 6, BETA = 7, MOVES = 8, NORMS = 9;

struct tile_of_columns {
    int width, groups, column;
    bool busy;  // else the thread has no column, but meets the others

    __device__ tile_of_columns(int k) {
        const int most = min(MOST_COLUMNS, int(blockDim.x)), tiles = (k + most - 1) / most;
        width = (k + tiles - 1) / tiles;
        groups = blockDim.x / width;
        to(0, k);
    }
    __device__ void to(int begin, int k) {
        column = begin + threadIdx.x % width;
        busy = threadIdx.x / width < groups && column < k;
    }
    __device__ own_rows rows(long long n, int k, bool wanted) const {
        const long long first = (long long)blockIdx.x * groups + threadIdx.x / width;
        return {busy && wanted ? first : n, (long long)gridDim.x * groups, n, k};
    }
};

// Leave the sums of each column of the tile over this block's rows; `parts` is N blocks of k rows of gridDim.x numbers.
template <int N>
__device__ inline void leave_column_sums(const tile_of_columns& tile, int k, const double (&values)[N], double* parts) {
    __shared__ double sums[N][MOST_THREADS];
    __syncthreads();  // the sums of the call before have been read
    for (int which = 0; which < N; ++which) sums[which][threadIdx.x] = values[which];
    __syncthreads();
    if (threadIdx.x >= tile.width || !tile.busy) return;
    for (int which = 0; which < N; ++which) {
        double sum = 0.0;
#pragma unroll 1
        for (int group = 0; group < tile.groups; ++group) sum += sums[which][group * tile.width + threadIdx.x];
        parts[((long long)which * k + tile.column) * gridDim.x + blockIdx.x] = sum;
    }
}

// Add up what all blocks left for one column; the first lane of the warp gets it.
template <int N>
__device__ inline void collect_column_sums(const double* parts, int k, int column, double (&values)[N]) {
    for (int which = 0; which < N; ++which) {
        const double* row = parts + ((long long)which * k + column) * gridDim.x;
        values[which] = 0.0;
#pragma unroll 1
        for (int block = threadIdx.x % WARP; block < gridDim.x; block += WARP) values[which] += row[block];
#pragma unroll 1
        for (int offset = WARP / 2; offset > 0; offset /= 2) values[which] += shuffle_down(values[which], offset, WARP);
    }
}

// The numbers of one column in the report.
struct column_of_report {
    double* at;
    int k;
    __device__ double& operator[](int row) const { return at[(long long)row * k]; }
};

template <int N> __device__ inline void choose_alpha(const double (&forms)[N], const column_of_report& its) {
    its[MOVES] = 0.0;
    if (its[STATE] != RUNNING) return;
    its[ALPHA] = its[RHO] / forms[0];
    const int flag = judge_step(forms, its[ALPHA], its[SIGN], its[SHARE]);
    if (flag != RUNNING) {
        its[STATE] = flag;
        return;
    }
    its[SIGN] = forms[0] > 0.0 ? 1.0 : -1.0;
    its[MOVES] = 1.0;
}

__device__ inline void choose_beta(const double (&squares)[2], int step, const column_of_report& its) {
    if (its[MOVES] == 0.0) return;
    const double norm = sqrt(squares[0]), rho_next = squares[1];
    if (!is_finite(norm)) {
        its[STATE] = NONFINITE;
        its[MOVES] = 0.0;  // x stays the last finite iterate
        return;
    }
    its[NORMS + step] = norm;
    its[COUNT] += 1.0;
    its[BETA] = rho_next / its[RHO];
    its[STATE] = judge_end(norm, its[THRESHOLD], rho_next, its[RHO]);
    its[RHO] = rho_next;
}

// Columns that run, the same number for all threads of all blocks.
__device__ inline bool any_runs(const double* states, int k) {
    double running[1] = {0.0};
#pragma unroll 1
    for (int column = threadIdx.x; column < k; column += blockDim.x) running[0] += states[column] == RUNNING;
    block_sum(running);
    return running[0] > 0.0;
}

// One column of Q = A P for the rows that this thread owns, and the sums of P^H Q.
template <class A>
__device__ inline void product(const A& a, const own_rows& own, const typename A::entry* p, typename A::entry* q,
                               double (&sums)[FORMS<typename A::entry>]) {
    using T = typename A::entry;
#pragma unroll 1
    for (long long row = own.first; row < own.n; row += own.stride) {
        const T sum = a.template row<T>(Column<T>{p, own.width}, row);
        q[row * own.width] = sum;
        add_form(p[row * own.width], sum, sums);
    }
}

// report: the barrier's words (zero), then the rows that are named above.
template <class T>
__global__ BOUNDS void cg_chunk_many(int storage, const void* first, const void* second, const void* third, long long n,
                                     long long extra, int k, const real_of<T>* d, T* x, T* r, T* p, T* q, double* parts,
                                     double* report, int steps) {
    using R = real_of<T>;
    constexpr int U = AT_ONCE<T> / 2;
    unsigned* arrived = take_barrier(report);
    tile_of_columns tile(k);
    const int warp = blockIdx.x + gridDim.x * (threadIdx.x / WARP), warps = gridDim.x * (blockDim.x / WARP);
    double* board = report + 1;
    for (int step = 0; step < steps && any_runs(board + STATE * k, k); ++step) {
#pragma unroll 1
        for (int begin = 0; begin < k; begin += tile.width) {
            tile.to(begin, k);
            const int j = tile.column;
            const own_rows own = tile.rows(n, k, tile.busy && board[STATE * k + j] == RUNNING);
            double forms[FORMS<T>] = {};
            switch (storage) {
            case CSR: product(Csr<T>(first, second, third, n, extra), own, p + j, q + j, forms); break;
            case DIAGONALS: product(Diagonals<T>(first, second, third, n, extra), own, p + j, q + j, forms); break;
            case DENSE: product(Dense<T>(first, second, third, n, extra), own, p + j, q + j, forms); break;
            default: product(Stencil<T>(first, second, third, n, extra), own, p + j, q + j, forms);
            }
            leave_column_sums(tile, k, forms, parts);
        }
        grid_barrier(arrived);
#pragma unroll 1
        for (int column = warp; column < k; column += warps) {
            double forms[FORMS<T>];
            collect_column_sums(parts, k, column, forms);
            if (threadIdx.x % WARP == 0) choose_alpha(forms, {board + column, k});
        }
        grid_barrier(arrived);
#pragma unroll 1
        for (int begin = 0; begin < k; begin += tile.width) {
            tile.to(begin, k);
            const int j = tile.column;
            const bool moves = tile.busy && board[MOVES * k + j] != 0.0;
            double squares[2] = {};
            if (moves) update_residual<U>(tile.rows(n, k, true), d, R(board[ALPHA * k + j]), q + j, r + j, squares);
            leave_column_sums(tile, k, squares, parts);
        }
        grid_barrier(arrived);
#pragma unroll 1
        for (int column = warp; column < k; column += warps) {
            double squares[2];
            collect_column_sums(parts, k, column, squares);
            if (threadIdx.x % WARP == 0) choose_beta(squares, step, {board + column, k});
        }
        grid_barrier(arrived);
#pragma unroll 1
        for (int begin = 0; begin < k; begin += tile.width) {
            tile.to(begin, k);
            const int j = tile.column;
            if (!tile.busy || board[MOVES * k + j] == 0.0) continue;
            const R alpha = R(board[ALPHA * k + j]), beta = R(board[BETA * k + j]);
            update_iterate<U>(tile.rows(n, k, true), d, alpha, beta, r + j, x + j, p + j);
        }
        grid_barrier(arrived);
    }
}
