// Symmetric successive over-relaxation as a preconditioner, and conjugate gradients around it, one launch a call. With
// K = D/omega + L, a walk forward solves with K and one backward with K^H. Between the last stage of one walk and the
// first of the next, which is the same stage the other way round, nobody waits: its rows read their own numbers only.

// z = (2 - omega)/omega K^-H D K^-1 r; z may be r.
template <class T>
__global__ BOUNDS void ssor_solve(SORTED_ROWS(T), const T* r, T* z, double* report, double omega) {
    const Sweep<T> sweep = SWEEP(T);
    using R = real_of<T>;
    const R w = R(omega), size = R((2.0 - omega) / omega);
    unsigned* arrived = take_barrier(report);
    sweep.forward(arrived, [&](unsigned i) {
        z[i] = w * inverse[i] * (r[i] - sweep.lower.template row<T>(Vector<T>{z}, i));
    });
    sweep.backward(arrived, [&](unsigned i) {
        const T right = size * diagonal[i] * z[i];
        z[i] = w * inverse[i] * (right - sweep.upper.template row<T>(Vector<T>{z}, i));
    });
}

// s = K^-1 r and t = D s; report: the barrier's words (zero), then s^H t.
template <class T>
__global__ BOUNDS void ssor_cg_start(SORTED_ROWS(T), const T* r, T* s, T* t, double* parts, double* report,
                                     double omega) {
    const Sweep<T> sweep = SWEEP(T);
    const real_of<T> w = real_of<T>(omega);
    unsigned* arrived = take_barrier(report);
    double sums[1] = {0.0};
    sweep.forward(arrived, [&](unsigned i) {
        const T here = w * inverse[i] * (r[i] - sweep.lower.template row<T>(Vector<T>{s}, i));
        s[i] = here;
        t[i] = diagonal[i] * here;
        sums[0] += real(conjugate_times(here, diagonal[i] * here));
    });
    grid_sums(sums, parts, arrived);
    if (first_row() == 0) report[1] = sums[0];
}

// x += alpha p and s -= alpha (p + u); adds s^H D s to the sum.
template <class T>
__device__ inline void step(long long n, real_of<T> alpha, const T* diagonal, const T* p, const T* u, T* x, T* s,
                            double (&sums)[1]) {
    for (long long i = first_row(); i < n; i += row_stride()) {
        const T along = p[i], here = s[i] - alpha * (along + u[i]);
        x[i] = x[i] + alpha * along;
        s[i] = here;
        sums[0] += weighted_square(real(diagonal[i]), here);
    }
}

// report: the barrier's words (zero); steps taken, flag, rho, that of the step before, the sign of the first p^H A p; then
// the norms. A step is a walk backward, K^H p = t, and one forward, K u = t - (2/omega - 1) D p, which sums up the
// true residual K s of the iterate on its way; the last walk does only that.
template <class T>
__global__ BOUNDS void ssor_cg_chunk(SORTED_ROWS(T), long long n, T* x, T* s, T* t, T* p, T* u, double* parts,
                                     double* report, double omega, double rho, double rho_last, double sign,
                                     double share, double threshold, int steps) {
    using R = real_of<T>;
    const Sweep<T> sweep = SWEEP(T);
    const R w = R(omega), whole = R(1.0 / omega), middle = R(2.0 / omega - 1.0);
    unsigned* arrived = take_barrier(report);
    double* rhos = parts + (1 + FORMS<T>) * gridDim.x;
    int taken = 0, flag = RUNNING;
    while (steps > 0) {
        const bool moves = taken < steps;
        const R beta = R(rho_last == 0.0 ? 0.0 : rho / rho_last);
        if (moves)
            sweep.backward(arrived, [&](unsigned i) {
                const T along = diagonal[i] * s[i] + beta * t[i];
                t[i] = along;
                p[i] = w * inverse[i] * (along - sweep.upper.template row<T>(Vector<T>{p}, i));
            });
        double sums[1 + FORMS<T>] = {}, forms[FORMS<T>] = {};
        sweep.forward(moves ? arrived : nullptr, [&](unsigned i) {
            const two<T> below = sweep.lower.template row<two<T>>(Both<T>{s, u}, i);
            sums[0] += square(whole * diagonal[i] * s[i] + below.first);
            if (!moves) return;
            const T along = t[i], half = p[i];
            const T other = w * inverse[i] * (along - middle * diagonal[i] * half - below.second);
            u[i] = other;
            add_form(along, half, forms);
            add_form(along, other, forms);
        });
        for (int k = 0; k < FORMS<T>; ++k) sums[1 + k] = forms[k];
        grid_sums(sums, parts, arrived);
        for (int k = 0; k < FORMS<T>; ++k) forms[k] = sums[1 + k];
        if (taken > 0) {
            const double norm = sqrt(sums[0]);
            if (first_row() == 0) report[5 + taken] = norm;
            flag = is_finite(norm) ? judge_end(norm, moves ? threshold : norm, rho, rho_last) : NONFINITE;
            if (flag != RUNNING) break;
        }
        const double alpha = rho / forms[0];
        flag = judge_step(forms, alpha, sign, share);
        if (flag != RUNNING) break;
        sign = forms[0] > 0.0 ? 1.0 : -1.0;
        double next[1] = {0.0};
        step(n, R(alpha), diagonal, p, u, x, s, next);
        grid_sums(next, rhos, arrived);
        rho_last = rho, rho = next[0];
        ++taken;
    }
    if (first_row() == 0) {
        report[1] = taken;
        report[2] = flag == REACHED ? RUNNING : flag;
        report[3] = rho;
        report[4] = rho_last;
        report[5] = sign;
    }
}
