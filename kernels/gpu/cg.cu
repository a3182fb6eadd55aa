// Chunks of conjugate-gradient iterations in one launch: all blocks stay, meet at three barriers an iteration, add up
// the same sums in the same order, and so decide alike. x, r, p and q are written and read again here: none of them
// may be promised to be constant or unaliased, or what another block wrote would be missed.

// q = A p, and the sums of p^H q.
template <class A>
__device__ inline void product(const A& a, const typename A::entry* p, typename A::entry* q,
                               double (&sums)[FORMS<typename A::entry>]) {
    using T = typename A::entry;
    a.template each_row<T>(Vector<T>{p}, [&](long long i, T sum) {
        q[i] = sum;
        add_form(p[i], sum, sums);
    });
}

// report: the barrier's words (zero); steps taken, flag, rho and the sign of the first p^H A p; then the norms.
template <class T>
__global__ BOUNDS void cg_chunk(int storage, const void* first, const void* second, const void* third, long long n,
                                long long extra, const real_of<T>* d, T* x, T* r, T* p, T* q, double* parts,
                                double* report, double rho, double sign, double share, double threshold, int steps) {
    using R = real_of<T>;
    const own_rows own{first_row(), row_stride(), n, 1};
    unsigned* arrived = take_barrier(report);
    double* sizes = parts + FORMS<T> * gridDim.x;
    int taken = 0, flag = RUNNING;
    while (taken < steps && flag == RUNNING) {
        double forms[FORMS<T>] = {};
        switch (storage) {
        case CSR: product(Csr<T>(first, second, third, n, extra), p, q, forms); break;
        case DIAGONALS: product(Diagonals<T>(first, second, third, n, extra), p, q, forms); break;
        case DENSE: product(Dense<T>(first, second, third, n, extra), p, q, forms); break;
        default: product(Stencil<T>(first, second, third, n, extra), p, q, forms);
        }
        grid_sums(forms, parts, arrived);
        const double alpha = rho / forms[0];
        flag = judge_step(forms, alpha, sign, share);
        if (flag != RUNNING) break;
        double squares[2] = {};
        update_residual<AT_ONCE<T>>(own, d, R(alpha), q, r, squares);
        grid_sums(squares, sizes, arrived);
        const double norm = sqrt(squares[0]), rho_next = squares[1], beta = rho_next / rho;
        flag = is_finite(norm) ? judge_end(norm, threshold, rho_next, rho) : NONFINITE;
        // Else x and p stay the last finite ones.
        if (is_finite(norm)) update_iterate<AT_ONCE<T>>(own, d, R(alpha), R(beta), r, x, p);
        rho = rho_next;
        sign = forms[0] > 0.0 ? 1.0 : -1.0;
        if (first_row() == 0) report[5 + taken] = norm;
        ++taken;
        if (flag == RUNNING && taken < steps) grid_barrier(arrived);
    }
    if (first_row() == 0) {
        report[1] = taken;
        report[2] = flag == REACHED ? RUNNING : flag;
        report[3] = rho;
        report[4] = sign;
    }
}
