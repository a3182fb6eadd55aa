// What conjugate gradients do to vectors and with numbers, for one right-hand side and for each of many.

// Why a column ended: indices into the caller's table.
constexpr int RUNNING = 0, NONFINITE = 1, INDEFINITE = 2, NOT_HERMITIAN = 3, REACHED = 4;

// How the matrix is stored, asked at run time: with an instance for each storage the sources take three times as long
// to compile, and once an iteration the question costs nothing.
constexpr int CSR = 0, DIAGONALS = 1, DENSE = 2;

// Rows whose loads a thread has under way at once: up to 32 bytes of each vector, as only half of the warps that a
// processor could hold are there to keep the memory busy.
template <class T> constexpr int AT_ONCE = sizeof(T) == 16 ? 2 : 4;

// The entries of one column that a thread owns: rows first, first + stride, ... below n, `width` entries apart.
struct own_rows {
    long long first, stride, n, width;
};

// The diagonal of the preconditioner; none is ones, and a product with 1 is exact.
template <class R> __device__ inline R weight(const R* d, long long row) { return d ? d[row] : R(1); }

// The sums that p^H q is judged by: its real part; where numbers are complex, its imaginary part and the sum of
// the terms' magnitudes.
template <class T> constexpr int FORMS = traits<T>::is_complex ? 3 : 1;

template <class T> __device__ inline void add_form(T p, T q, double (&sums)[FORMS<T>]) {
    const auto product = conjugate_times(p, q);
    sums[0] += real(product);
    if constexpr (traits<T>::is_complex) {
        sums[1] += imag(product);
        sums[2] += fabs(real(product)) + fabs(imag(product));
    }
}

// Whether p^H A p (real part, imaginary part, magnitude of its terms) allows another step; a flag.
__device__ inline int judge(double re, double im, double size, double sign, double imaginary_share) {
    if (!is_finite(re) || !is_finite(im)) return NONFINITE;
    if (fabs(im) > imaginary_share * size) return NOT_HERMITIAN;
    return re == 0.0 || re * sign < 0.0 ? INDEFINITE : RUNNING;
}

// The sums over all blocks, in one order; every thread gets them. `parts` has N rows of gridDim.x numbers.
template <int N> __device__ inline void grid_sums(double (&values)[N], double* parts, unsigned* arrived) {
    leave_sums(values, parts);
    grid_barrier(arrived);
    collect_sums(parts, values);
}

// The same for the sums of add_form and the step length that follows from them.
template <int N> __device__ inline int judge_step(const double (&sums)[N], double alpha, double sign, double share) {
    const double im = N > 1 ? sums[1 % N] : 0.0, size = N > 1 ? sums[2 % N] : 0.0;
    const int flag = judge(sums[0], im, size, sign, share);
    return flag == RUNNING && !is_finite(alpha) ? NONFINITE : flag;
}

// How a column goes on after a step, of which the norm of r is finite.
__device__ inline int judge_end(double norm, double threshold, double rho_next, double rho) {
    if (norm <= threshold) return REACHED;
    return rho_next == 0.0 || (rho_next > 0.0) != (rho > 0.0) ? INDEFINITE : RUNNING;
}

// r -= alpha q, U rows at a time, all loads first; adds |r|^2 and d |r|^2 to the sums.
template <int U, class T, class R>
__device__ inline void update_residual(const own_rows& own, const R* d, R alpha, const T* q, T* r, double (&sums)[2]) {
    const long long step = own.stride * own.width;
    long long row = own.first;
#pragma unroll 1
    for (; row + (U - 1) * own.stride < own.n; row += U * own.stride) {
        T residual[U], change[U];
        R weights[U];
        const long long at = row * own.width;
#pragma unroll
        for (int u = 0; u < U; ++u) {
            residual[u] = r[at + u * step];
            change[u] = q[at + u * step];
            weights[u] = weight(d, row + u * own.stride);
        }
#pragma unroll
        for (int u = 0; u < U; ++u) {
            residual[u] = residual[u] - alpha * change[u];
            r[at + u * step] = residual[u];
            const double size = square(residual[u]);
            sums[0] += size;
            sums[1] += size * weights[u];
        }
    }
    if constexpr (U > 1) update_residual<1>(own_rows{row, own.stride, own.n, own.width}, d, alpha, q, r, sums);
}

// x += alpha p and p = d r + beta p, U rows at a time, all loads first.
template <int U, class T, class R>
__device__ inline void update_iterate(const own_rows& own, const R* d, R alpha, R beta, const T* r, T* x, T* p) {
    const long long step = own.stride * own.width;
    long long row = own.first;
#pragma unroll 1
    for (; row + (U - 1) * own.stride < own.n; row += U * own.stride) {
        T iterate[U], direction[U], residual[U];
        const long long at = row * own.width;
#pragma unroll
        for (int u = 0; u < U; ++u) {
            iterate[u] = x[at + u * step];
            direction[u] = p[at + u * step];
            residual[u] = weight(d, row + u * own.stride) * r[at + u * step];
        }
#pragma unroll
        for (int u = 0; u < U; ++u) {
            x[at + u * step] = iterate[u] + alpha * direction[u];
            p[at + u * step] = residual[u] + beta * direction[u];
        }
    }
    if constexpr (U > 1) update_iterate<1>(own_rows{row, own.stride, own.n, own.width}, d, alpha, beta, r, x, p);
}
