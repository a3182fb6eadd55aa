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
    };
    __device__ T nothing() const { return T(infinity()); }
    __device__ Start start(long long i) const { return {u[i], T(double(u[i]) * LOG2E), T(0)}; }
    __device__ T exponent(T c, long long j, T own) const { return (own + T(LOG2E) * v[j]) - c * T(rules.scale); }
    __device__ T entry(T c, long long j, Start pre) const { return power_of_2(exponent(c, j, pre.own) - pre.most); }
    __device__ T term(T e, long long) const { return e; }

    template <int K>
    __device__ T finish(const Shares<K>& own, long long i, const T* row, long long m, double s, T (&e)[K],
                        Start& rest) const {
        Change change;
        const double weight = a[i], potential = rest.potential;  // another thread may write u[i] now
        if (!rules.row_trusted(s) || !plain_change(weight, potential, s, rules.omega, rules.safe, change)) {
            rest.own = T(0);
            double most = -infinity();
            for (long long j = own.lane; j < m; j += own.lanes) most = larger_of(most, exponent(row[j], j, T(0)));
            most = finite_most(most_of_row(most, own.wide));
            rest.most = T(most);
            double sum = 0.0;
#pragma unroll
            for (int k = 0; k < K; ++k) {
                const int j = own.lane + k * own.lanes;
                if (j < m) sum += e[k] = entry(row[j], j, rest);
            }
            for (long long j = own.rest(); j < m; j += own.lanes) sum += entry(row[j], j, rest);
            change = shifted_change(weight, potential, total_of_row(sum, own.wide), most, rules.omega);
        }
        if (own.lane == 0) {
            u[i] = T(change.potential);
            tally[0] += change.gap;
            tally[1] = larger_of(tally[1], change.factor);
        }
        return T(change.factor);
    }
};

// The new v of the columns whose sums are out of range, by the largest exponent of each; the error of their sums.
template <class T>
__device__ inline double exact_columns(const Rules& rules, const T* C, long long n, long long m, const T* b, const T* u,
                                       const T* v, T* next, const double* sums, double least, double* parts, int slabs,
                                       double* leaves, unsigned* arrived) {
    double *most = parts + slabs * m, *exact = most + m, error[1] = {0.0};
    column_sums<Most<double>>(C, n, m, Exponents<T, double>{rules.scale, nullptr, u, nullptr}, slabs, parts);
    grid_barrier(arrived);
    for (long long j = first_row(); j < m; j += row_stride()) most[j] = most_of_parts(parts, slabs, m, j);
    grid_barrier(arrived);
    column_sums<Total<double>>(C, n, m, Exponents<T, double>{rules.scale, nullptr, u, most}, slabs, exact);
    grid_barrier(arrived);
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

    // The error of the sums, and how many are out of range: theirs are still to come.
    __device__ void take(const Rules& rules, double (&found)[2], double* leaves, unsigned* arrived) const {
        cloud_sums<Total<T>>(clouds, Exponents<T, T>{T(rules.scale), own, other, nullptr}, nullptr, slabs, parts);
        grid_barrier(arrived);
        found[0] = found[1] = 0.0;
        for (long long i = first_row(); i < clouds.p; i += row_stride()) {
            const double s = sum_of_parts(parts, slabs, clouds.p, i);
            Change change;
            bool good = in_range(s, least, rules.safe);
            good = plain_change(weights[i], own[i], s, rules.omega, rules.safe, change) && good;
            if (good) found[0] += are_rows ? change.gap : fabs(s - weights[i]);
            bad[i] = !good;
            found[1] += !good;
            if (good) next[i] = T(change.potential);
        }
        total_of_grid(found, leaves, arrived);
    }

    // Those out of range, by their largest exponents; returns their error.
    __device__ double repair(const Rules& rules, double* leaves, unsigned* arrived) const {
        const T scale = T(rules.scale);
        cloud_sums<Most<T>>(clouds, Exponents<T, T>{scale, nullptr, other, nullptr}, bad, slabs, parts);
        grid_barrier(arrived);
        for (long long i = first_row(); i < clouds.p; i += row_stride())
            most[i] = bad[i] ? most_of_parts(parts, slabs, clouds.p, i) : 0.0;
        grid_barrier(arrived);
        cloud_sums<Total<T>>(clouds, Exponents<T, T>{scale, nullptr, other, most}, bad, slabs, parts);
        grid_barrier(arrived);
        double found[1] = {0.0};
        for (long long i = first_row(); i < clouds.p; i += row_stride()) {
            if (!bad[i]) continue;
            const double s = sum_of_parts(parts, slabs, clouds.p, i);
            const Change change = shifted_change(weights[i], own[i], s, most[i], rules.omega);
            found[0] += are_rows ? change.gap : fabs(exp(own[i] + most[i] * LN2) * s - weights[i]);
            next[i] = T(change.potential);
        }
        total_of_grid(found, leaves, arrived);
        return found[0];
    }
};

// doubles: the parts of sums, then the largest exponents (size: `room` of parts); leaves: three numbers a block.
template <class T>
__global__ TWO_A_PROCESSOR void log_chunk_clouds(const T* X, const T* Y, long long n, long long m, int d, double power,
                                                 const T* a, const T* b, T* u, T* v, T* spare, double* doubles,
                                                 long long room, int* bad, double* leaves, double* report, double scale,
                                                 double omega, double safe, double lost, double threshold, int steps,
                                                 int row_slabs, int column_slabs) {
    const Rules rules{scale, omega, safe, lost, threshold, steps};
    const Clouds<T> clouds{X, Y, n, m, d, power};
    unsigned* const arrived = take_barrier(report);
    double* const repaired = leaves + 2 * gridDim.x;
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
        double found[2];
        half.take(rules, found, leaves, arrived);
        error = is_rows ? found[0] : error + found[0];
        if (found[1] > 0.0) error += half.repair(rules, repaired, arrived);
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
