// A step of the fast gradient projection for the proximal operator of total variation, and its duality gap.

// Where a pixel is, and how far its next neighbour is along each of the last D axes, 0 at the far end.
template <int D> struct Pixel {
    long long at;
    long long to_next[D], to_last[D];

    __device__ Pixel(long long i, long long ny, long long nx, long long pixels) : at(i) {
        const long long x = i % nx, y = i / nx % ny;
        set(D - 1, 1, x > 0, x + 1 < nx);
        set(D - 2, nx, y > 0, y + 1 < ny);
        if constexpr (D == 3) set(0, nx * ny, i >= nx * ny, i + nx * ny < pixels);
    }
    __device__ void set(int axis, long long distance, bool has_last, bool has_next) {
        to_next[axis] = has_next ? distance : 0;
        to_last[axis] = has_last ? distance : 0;
    }
};

// V - w D^T R at a pixel, for one component; axes of R are `apart`.
template <class T, int D>
__device__ inline T image_at(const T* V, const T* R, T w, const Pixel<D>& pixel, long long apart) {
    T s = 0;
#pragma unroll
    for (int a = 0; a < D; ++a) {
        const T* r = R + a * apart + pixel.at;
        s += pixel.to_last[a] ? *r - *(r - pixel.to_last[a]) : *r;
    }
    return V[pixel.at] + w * s;
}

// D(V - w D^T R) at a pixel for all components, and the image there.
template <class T, int D, int C>
__device__ inline void differences(const T* V, const T* R, T w, long long i, long long ny, long long nx,
                                   long long pixels, T (&q)[D][C], T (&x)[C]) {
    const Pixel<D> pixel(i, ny, nx, pixels);
#pragma unroll
    for (int k = 0; k < C; ++k) {
        const T *v = V + k * pixels, *r = R + k * pixels;
        x[k] = image_at(v, r, w, pixel, C * pixels);
#pragma unroll
        for (int a = 0; a < D; ++a) {
            q[a][k] = 0;
            if (!pixel.to_next[a]) continue;
            const Pixel<D> next(i + pixel.to_next[a], ny, nx, pixels);
            q[a][k] = image_at(v, r, w, next, C * pixels) - x[k];
        }
    }
}

template <class T, int D, int C>
__global__ BOUNDS void variation_step(const T* __restrict__ V, const T* __restrict__ weights,
                                      const T* __restrict__ steps, T momentum, const long long* __restrict__ which,
                                      long long images, long long ny, long long nx, long long pixels, T* P,
                                      const T* __restrict__ R, T* S) {
    for (long long n = first_row(); n < images * pixels; n += row_stride()) {
        const long long j = which[n / pixels], i = n % pixels, first = j * D * C * pixels;
        T q[D][C], x[C];
        differences<T, D, C>(V + j * C * pixels, R + first, weights[j], i, ny, nx, pixels, q, x);
        T size = 0;
#pragma unroll
        for (int a = 0; a < D * C; ++a) {
            T& t = q[a / C][a % C];
            t = R[first + a * pixels + i] + steps[j] * t;
            size += t * t;
        }
        const T shrink = T(1) / max(T(1), sqrt(size));
#pragma unroll
        for (int a = 0; a < D * C; ++a) {
            const long long at = first + a * pixels + i;
            const T t = q[a / C][a % C] * shrink;
            S[at] = t + momentum * (t - P[at]);
            P[at] = t;
        }
    }
}

// Each image has `share` blocks, which leave one number each.
template <class T, int D, int C>
__global__ BOUNDS void variation_gap(const T* __restrict__ V, const T* __restrict__ weights,
                                     const long long* __restrict__ which, int share, long long ny, long long nx,
                                     long long pixels, const T* __restrict__ P, T* X, double* parts) {
    const long long j = which[blockIdx.x / share], first = j * D * C * pixels;
    double sum[1] = {0.0};
    for (long long i = (long long)(blockIdx.x % share) * blockDim.x + threadIdx.x; i < pixels;
         i += (long long)share * blockDim.x) {
        T q[D][C], x[C];
        differences<T, D, C>(V + j * C * pixels, P + first, weights[j], i, ny, nx, pixels, q, x);
        double size = 0.0;
#pragma unroll
        for (int a = 0; a < D * C; ++a) {
            const double t = q[a / C][a % C];
            size += t * t;
            sum[0] -= t * P[first + a * pixels + i];
        }
        sum[0] += sqrt(size);
#pragma unroll
        for (int k = 0; k < C; ++k) X[(j * C + k) * pixels + i] = x[k];
    }
    block_sum(sum);
    if (threadIdx.x == 0) parts[blockIdx.x] = double(weights[j]) * sum[0];
}
