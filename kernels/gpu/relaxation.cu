// Chunks of relaxation in one launch: all blocks stay, meet after each stage, add up the same squares in the same
// order, and so decide alike. Vectors are written and read again here: none may be promised to be constant.

// The diagonal of a CSR matrix, its rows in another order.
template <class T>
__global__ BOUNDS void diagonal(long long n, const int* indptr, const int* indices, const T* data, const int* order,
                                T* d) {
    for (long long i = first_row(); i < n; i += row_stride()) {
        const int row = order[i];
        T sum{};
        for (int k = indptr[row]; k < indptr[row + 1]; ++k)
            if (indices[k] == row) sum = sum + data[k];
        d[i] = sum;
    }
}

// x_j and how much it has changed.
template <class T> struct Change {
    const T *x, *y;
    __device__ two<T> operator()(long long j) const { return {x[j], y[j] - x[j]}; }
};

// Whether a chunk is at its end, now that the norm after `step` steps is known; report: the barrier's words, steps
// taken, the norms.
__device__ inline bool ends(int step, int steps, double norm, double threshold, double* report) {
    if (step == 0) return steps <= 0;
    if (first_row() == 0) {
        report[1] = step;
        report[1 + step] = norm;
    }
    return step >= steps || norm <= threshold || !is_finite(norm);
}

template <class T> __device__ inline void copy(long long n, const T* y, T* x) {
    for (long long i = first_row(); i < n; i += row_stride()) x[i] = y[i];
}

// A sweep reads one vector and writes the other, so that it sums up, on its way, the residual of what it reads.
template <class T>
__global__ BOUNDS void sor_chunk(SORTED_ROWS(T), long long n, const T* b, T* x, T* y, double* parts, double* report,
                                 double omega, double threshold, int steps, int symmetric) {
    const Sweep<T> sweep = SWEEP(T);
    const real_of<T> w = real_of<T>(omega);
    unsigned* arrived = take_barrier(report);
    T *old = x, *next = y;
    for (int step = 0;; ++step) {
        const bool moves = step < steps;
        double squares[1] = {0.0};
        sweep.forward(moves ? arrived : nullptr, [&](unsigned i) {
            const T here = old[i], above = sweep.upper.template row<T>(Vector<T>{old}, i);
            const two<T> below = sweep.lower.template row<two<T>>(Change<T>{old, next}, i);
            const T rest = b[i] - diagonal[i] * here - above - below.first;
            squares[0] += square(rest);
            if (moves) next[i] = here + w * inverse[i] * (rest - below.second);
        });
        // The sums of the step before may still be read by others.
        grid_sums(squares, parts + step % 2 * gridDim.x, arrived);
        if (ends(step, steps, sqrt(squares[0]), threshold, report)) break;
        if (symmetric) {
            sweep.backward(arrived, [&](unsigned i) {
                const T here = next[i], below = sweep.lower.template row<T>(Vector<T>{next}, i);
                const T rest = b[i] - diagonal[i] * here - below - sweep.upper.template row<T>(Vector<T>{next}, i);
                next[i] = here + w * inverse[i] * rest;
            });
            grid_barrier(arrived);
        }
        T* const last = old;
        old = next, next = last;
    }
    if (old != x) copy(n, old, x);
}

// y = x + omega D^-1 (b - A x), and the squares of that residual.
template <class A, class T = typename A::entry>
__device__ inline void jacobi(const A& a, const T* inverse, const T* b, const T* x, T* y, real_of<T> omega,
                              double (&squares)[1]) {
    a.template each_row<T>(Vector<T>{x}, [&](long long i, T sum) {
        const T rest = b[i] - sum;
        squares[0] += square(rest);
        y[i] = x[i] + omega * inverse[i] * rest;
    });
}

template <class T>
__global__ BOUNDS void jacobi_chunk(int storage, const void* first, const void* second, const void* third, long long n,
                                    long long extra, const T* inverse, const T* b, T* x, T* y, double* parts,
                                    double* report, double omega, double threshold, int steps) {
    const real_of<T> w = real_of<T>(omega);
    unsigned* arrived = take_barrier(report);
    T *old = x, *next = y;
    for (int step = 0;; ++step) {
        double squares[1] = {0.0};
        switch (storage) {
        case CSR: jacobi(Csr<T>(first, second, third, n, extra), inverse, b, old, next, w, squares); break;
        case DIAGONALS: jacobi(Diagonals<T>(first, second, third, n, extra), inverse, b, old, next, w, squares); break;
        case DENSE: jacobi(Dense<T>(first, second, third, n, extra), inverse, b, old, next, w, squares); break;
        default: jacobi(Stencil<T>(first, second, third, n, extra), inverse, b, old, next, w, squares);
        }
        grid_sums(squares, parts + step % 2 * gridDim.x, arrived);
        if (ends(step, steps, sqrt(squares[0]), threshold, report)) break;
        T* const last = old;
        old = next, next = last;
    }
    if (old != x) copy(n, old, x);
}
