// Products with a matrix, whatever its storage, and the residual that everything is judged by.

template <class A>
__global__ BOUNDS void matvec(const void* first, const void* second, const void* third, long long n, long long extra,
                              const typename A::entry* __restrict__ x, typename A::entry* __restrict__ y) {
    using T = typename A::entry;
    A(first, second, third, n, extra).template each_row<T>(Vector<T>{x}, [&](long long i, T sum) { y[i] = sum; });
}

// b and y may be one array: the thread that writes an entry has read it.
template <class A>
__global__ BOUNDS void subtract_product(const void* first, const void* second, const void* third, long long n,
                                        long long extra, const typename A::entry* __restrict__ x,
                                        const typename A::entry* b, typename A::entry* y) {
    using T = typename A::entry;
    A(first, second, third, n, extra).template each_row<T>(Vector<T>{x}, [&](long long i, T sum) { y[i] = b[i] - sum; });
}

template <class A>
__global__ BOUNDS void relax(const void* first, const void* second, const void* third, long long n, long long extra,
                             const real_of<typename A::entry>* __restrict__ d, double omega,
                             const typename A::entry* __restrict__ b, const typename A::entry* __restrict__ x,
                             typename A::entry* __restrict__ y) {
    using T = typename A::entry;
    const real_of<T> w = real_of<T>(omega);
    A(first, second, third, n, extra).template each_row<T>(Vector<T>{x}, [&](long long i, T sum) {
        y[i] = x[i] + w * d[i] * (b[i] - sum);
    });
}

// r = b - A x, formed in float64; parts: the squares of the norm before the rounding, one number a block.
template <class A>
__global__ BOUNDS void residual(const void* first, const void* second, const void* third, long long n, long long extra,
                                const typename A::entry* __restrict__ x, const typename A::entry* b,
                                typename A::entry* r, double* parts) {
    using T = typename A::entry;
    using S = wide_of<T>;
    double squares[1] = {0.0};
    A(first, second, third, n, extra).template each_row<S>(Vector<T>{x}, [&](long long i, S sum) {
        const S d = convert<S>(b[i]) - sum;
        squares[0] += square(d);
        r[i] = convert<T>(d);
    });
    leave_sums(squares, parts);
}
