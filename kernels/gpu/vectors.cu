// Inner products and updates of vectors, each one pass over memory.

template <class T> __global__ BOUNDS void axpy(long long n, T alpha, const T* x, T* y) {
    for (long long i = first_row(); i < n; i += row_stride()) y[i] = y[i] + alpha * x[i];
}

// p^H q: parts[0] the real parts and parts[1] the imaginary ones, one number a block.
template <class T> __global__ BOUNDS void inner(long long n, const T* p, const T* q, double* parts) {
    double sums[2] = {0.0, 0.0};
    for (long long i = first_row(); i < n; i += row_stride()) {
        const auto product = conjugate_times(p[i], q[i]);
        sums[0] += real(product);
        sums[1] += imag(product);
    }
    leave_sums(sums, parts);
}
