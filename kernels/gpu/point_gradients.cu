// Derivatives of a transport cost with respect to the points, summed over the plan.

// P_ij p |p_i - q_j|^(p - 2), by which p_i - q_j is multiplied; nothing for equal points.
__device__ inline double slope_of_pair(double cost, double exponent, double power) {
    const double entry = power * exp2(exponent);
    if (power == 2.0) return entry;
    if (!(cost > 1e-300)) return 0.0;
    return power == 1.0 ? entry / cost : entry * exp2((power - 2.0) / power * log(cost) * LOG2E);
}

// For each point of P, over the points of Q: a warp has a point, and four of its coordinates at a time.
template <class T>
__global__ BOUNDS void point_gradients(const T* P, const T* Q, long long p, long long q, int d, double power,
                                       double scale, const T* own, const T* other, double* out) {
    const Clouds<T> clouds{P, Q, p, q, d, power};
    for (long long i = first_warp(); i < p; i += warp_stride()) {
        const double here = own[i] * LOG2E;
        for (int from = 0; from < d; from += AT_A_TIME) {
            double sums[AT_A_TIME] = {};
            for (long long j = lane_of_warp(); j < q; j += WARP) {
                const double cost = clouds.entry(i, j);
                const double slope = slope_of_pair(cost, (here + other[j] * LOG2E) - cost * scale, power);
#pragma unroll
                for (int k = 0; k < AT_A_TIME; ++k)
                    if (from + k < d) sums[k] += slope * (double(P[i * d + from + k]) - double(Q[j * d + from + k]));
            }
#pragma unroll
            for (int k = 0; k < AT_A_TIME; ++k) {
                for (int offset = WARP / 2; offset > 0; offset /= 2) sums[k] += shuffle_down(sums[k], offset, WARP);
                if (lane_of_warp() == 0 && from + k < d) out[i * d + from + k] = sums[k];
            }
        }
    }
}
