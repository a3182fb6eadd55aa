// Chunks of Sinkhorn's iteration in the log domain, each in one launch. A matrix of costs is read once a sweep, and an
// exponential is formed once an entry; the costs of points are computed twice, for the rows and for the columns.
// u, v and what is left for other blocks are written and read again here: none may be promised to be constant.

// Blocks of which a processor holds two, or one, for the sake of registers.
#define TWO_A_PROCESSOR __launch_bounds__(256, 2)
#define ONE_A_PROCESSOR __launch_bounds__(256, 1)

// What the sweeps are told: inv_eps to base 2, over-relaxation, the range of sums that are trusted, what is lost of a
// column by underflow, the error that suffices, how many sweeps at most.
struct Rules {
    double scale, omega, safe, lost, threshold;
    int steps;
    __device__ bool row_trusted(double s) const { return in_range(s, 1.0 / safe, safe); }
};

template <class T> struct LogRows {
    Rules rules;
    const T *a, *v;
    T* u;
    double* tally;  // this thread's: the error of the rows' sums, the largest factor
    struct Start {
        T potential, own, most;
        bool shifted;
    };
    __device__ T nothing() const { return T(infinity()); }
    __device__ Start start(long long i) const { return {u[i], T(double(u[i]) * LOG2E), T(0), false}; }
    __device__ T exponent(T c, long long j, T own) const { return (own + T(LOG2E) * v[j]) - c * T(rules.scale); }
    __device__ T entry(T c, long long j, Start pre) const { return power_of_2(exponent(c, j, pre.own) - pre.most); }
    __device__ T term(T e, long long) const { return e; }

    template <int K>
    __device__ bool finish(const Shares<K>& own, long long i, const T* row, long long m, double s, Start& pre,
                           T& factor) const {
        Change change;
        const double weight = a[i], potential = pre.potential;  // another thread may write u[i] now
        if (pre.shifted) {
            change = shifted_change(weight, potential, s, pre.most, rules.omega);
        } else if (!rules.row_trusted(s) || !plain_change(weight, potential, s, rules.omega, rules.safe, change)) {
            pre = {pre.potential, T(0), T(finite_most(most_of_row(most_of_lane(own, row, m), own.wide))), true};
            return false;
        }
        if (own.lane == 0) {
            u[i] = T(change.potential);
            tally[0] += change.gap;
            tally[1] = larger_of(tally[1], change.factor);
        }
        factor = T(change.factor);
        return true;
    }
    template <int K> __device__ double most_of_lane(const Shares<K>& own, const T* row, long long m) const {
        double most = -infinity();
#pragma unroll 1
        for (long long j = own.lane; j < m; j += own.lanes) most = larger_of(most, exponent(row[j], j, T(0)));
        return most;
    }
};

// The new v of the columns whose sums are out of range, by the largest exponent of each; the error of their sums.
template <class T>
__device__ inline double exact_columns(const Rules& rules, const T* C, long long n, long long m, const T* b, const T* u,
                                       const T* v, T* next, const double* sums, double least, double* parts, int slabs,
                                       double* leaves, unsigned* arrived) {
    double *most = parts + slabs * m, *exact = most + m, error[1] = {0.0};
#pragma unroll 1
    for (int is_sum = 0; is_sum <= 1; ++is_sum) {
        const Exponents<T, double> exponents{rules.scale, nullptr, u, is_sum ? most : nullptr};
        column_sums<SumOrMost<double>>(C, n, m, exponents, slabs, is_sum, is_sum ? exact : parts);
        grid_barrier(arrived);
        if (is_sum) break;
        for (long long j = first_row(); j < m; j += row_stride()) most[j] = most_of_parts(parts, slabs, m, j);
        grid_barrier(arrived);
    }
    for (long long j = first_row(); j < m; j += row_stride()) {
        if (in_range(sums[j], least, rules.safe)) continue;
        const double s = sum_of_parts(exact, slabs, m, j);
        next[j] = T(shifted_change(b[j], v[j], s, most[j], rules.omega).potential);
        error[0] += fabs(exp(v[j] + most[j] * LN2) * s - b[j]);
    }
    total_of_grid(error, leaves, arrived);
    return error[0];
}

// parts: m numbers a block; doubles: the sums (m), two times slabs sums and the largest exponents of columns (m);
// leaves: five numbers a block; report: the barrier's words (zero), sweeps taken, then the errors.
template <class T, int K>
__device__ inline void log_sweeps(const T* C, long long n, long long m, const T* a, const T* b, T* u, T* v, T* spare,
                                  T* parts, double* doubles, double* leaves, double* report, const Rules& rules,
                                  int slabs) {
    unsigned* const arrived = take_barrier(report);
    double *sums = doubles, *factors = leaves + gridDim.x, *errors = factors + gridDim.x;
    double* const repaired = errors + 2 * gridDim.x;
    T *old = v, *next = spare;
    int taken = 0;
    for (; taken < rules.steps;) {
        double tally[2] = {0.0, 0.0};
        sweep_rows<K>(LogRows<T>{rules, a, old, u, tally}, C, n, m, parts);
        const double largest = most_of_row(tally[1], true);
        if (threadIdx.x == 0) factors[blockIdx.x] = largest;
        double row_error[1] = {tally[0]};
        total_of_grid(row_error, leaves, arrived);
        double factor = 0.0;
        for (int block = threadIdx.x; block < int(gridDim.x); block += blockDim.x)
            factor = larger_of(factor, factors[block]);
        const double least = rules.lost * most_of_row(factor, true);
        double found[2] = {0.0, 0.0};  // the columns' error, how many are out of range
        each_column(parts, m, [&](long long j, double s) {
            sums[j] = s;
            const bool good = in_range(s, least, rules.safe);
            if (good) found[0] += fabs(s - b[j]);
            found[1] += !good;
            next[j] = T(old[j] + rules.omega * log(b[j] / s));
        });
        total_of_grid(found, errors, arrived);
        double error = row_error[0] + found[0];
        if (found[1] > 0.0)
            error += exact_columns(rules, C, n, m, b, u, old, next, sums, least, doubles + m, slabs, repaired, arrived);
        if (first_row() == 0) report[2 + taken] = error;
        ++taken;
        if (!(rules.threshold < error && error < infinity())) break;
        T* const last = old;
        old = next, next = last;
    }
    if (old != v) copy_vector(m, old, v);
    if (first_row() == 0) report[1] = taken;
}

template <class T>
__global__ TWO_A_PROCESSOR void log_chunk(const T* C, long long n, long long m, const T* a, const T* b, T* u, T* v,
                                          T* spare, T* parts, double* doubles, double* leaves, double* report,
                                          double scale, double omega, double safe, double lost, double threshold,
                                          int steps, int slabs) {
    log_sweeps<T, HELD>(C, n, m, a, b, u, v, spare, parts, doubles, leaves, report,
                        Rules{scale, omega, safe, lost, threshold, steps}, slabs);
}

// The same for longer rows.
template <class T>
__global__ ONE_A_PROCESSOR void log_chunk_wide(const T* C, long long n, long long m, const T* a, const T* b, T* u, T* v,
                                               T* spare, T* parts, double* doubles, double* leaves, double* report,
                                               double scale, double omega, double safe, double lost, double threshold,
                                               int steps, int slabs) {
    log_sweeps<T, HELD_WIDE<T>>(C, n, m, a, b, u, v, spare, parts, doubles, leaves, report,
                                Rules{scale, omega, safe, lost, threshold, steps}, slabs);
}

// What half a sweep over clouds does: plain sums; the largest exponents of those out of range; their sums without them.
constexpr int PLAIN = 0, EXTENT = 1, SHIFTED = 2;

// Half a sweep over clouds: the points of P get new potentials. `next` may be `own`.
template <class T> struct CloudHalf {
    Clouds<T> clouds;
    const T *weights, *own, *other;
    T* next;
    int slabs;
    double least;     // sums below, or above rules.safe, are formed again
    bool are_rows;    // whose errors are those after the change
    double *parts, *most;
    int* bad;

    // Returns the error of the sums. Those out of range are formed again: their largest exponents come first.
    __device__ double take(const Rules& rules, double* leaves, unsigned* arrived) const {
        double error = 0.0;
#pragma unroll 1
        for (int pass = PLAIN; pass <= SHIFTED; ++pass) {
            const Exponents<T, T> exponents{T(rules.scale), pass == PLAIN ? own : nullptr, other,
                                            pass == SHIFTED ? most : nullptr};
            cloud_sums<SumOrMost<T>>(clouds, exponents, pass == PLAIN ? nullptr : bad, slabs, pass != EXTENT, parts);
            grid_barrier(arrived);
            double found[2] = {0.0, 0.0};  // the error, how many are out of range
            for (long long i = first_row(); i < clouds.p; i += row_stride()) {
                if (pass == EXTENT)
                    most[i] = bad[i] ? most_of_parts(parts, slabs, clouds.p, i) : 0.0;
                else if (pass == PLAIN || bad[i])
                    change(rules, i, sum_of_parts(parts, slabs, clouds.p, i), pass == SHIFTED, found);
            }
            if (pass == EXTENT) {
                grid_barrier(arrived);
                continue;
            }
            total_of_grid(found, leaves, arrived);
            error += found[0];
            if (found[1] == 0.0) break;
        }
        return error;
    }

    __device__ void change(const Rules& rules, long long i, double s, bool shifted, double (&found)[2]) const {
        Change to;
        bool good = true;
        if (shifted) {
            to = shifted_change(weights[i], own[i], s, most[i], rules.omega);
            s *= exp(own[i] + most[i] * LN2);
        } else {
            good = plain_change(weights[i], own[i], s, rules.omega, rules.safe, to) && in_range(s, least, rules.safe);
            bad[i] = !good;
        }
        found[1] += !good;
        if (!good) return;
        found[0] += are_rows ? to.gap : fabs(s - weights[i]);
        next[i] = T(to.potential);
    }
};

// doubles: the parts of sums, then the largest exponents (size: `room` of parts); leaves: two numbers a block.
template <class T>
__global__ TWO_A_PROCESSOR void log_chunk_clouds(const T* X, const T* Y, long long n, long long m, int d, double power,
                                                 const T* a, const T* b, T* u, T* v, T* spare, double* doubles,
                                                 long long room, int* bad, double* leaves, double* report, double scale,
                                                 double omega, double safe, double lost, double threshold, int steps,
                                                 int row_slabs, int column_slabs) {
    const Rules rules{scale, omega, safe, lost, threshold, steps};
    const Clouds<T> clouds{X, Y, n, m, d, power};
    unsigned* const arrived = take_barrier(report);
    T *old = v, *next = spare;
    double error = 0.0;
    bool is_rows = true;  // one copy of the code for both halves, of which the compiler has enough
    int taken = 0;
    while (taken < steps) {
        const CloudHalf<T> half{is_rows ? clouds : clouds.swapped(), is_rows ? a : b,
                                is_rows ? u : old,                   is_rows ? old : u,
                                is_rows ? u : next,                  is_rows ? row_slabs : column_slabs,
                                is_rows ? 1.0 / safe : lost,         is_rows,
                                doubles,                             doubles + room,
                                bad};
        error = half.take(rules, leaves, arrived) + (is_rows ? 0.0 : error);
        if (!is_rows) {
            if (first_row() == 0) report[2 + taken] = error;
            ++taken;
            if (!(threshold < error && error < infinity())) break;
            T* const last = old;
            old = next, next = last;
        }
        is_rows = !is_rows;
    }
    if (old != v) copy_vector(m, old, v);
    if (first_row() == 0) report[1] = taken;
}
