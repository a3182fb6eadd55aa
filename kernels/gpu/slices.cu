// Projections of points on lines, a row each: sorted digit by digit, and coupled by their quantiles.

// out[l, i] = directions[l] . X[i], the sums in the order of the coordinates: a block has a tile of directions by points,
// a thread 4 x 4 of them.
template <class T>
__global__ BOUNDS void project(const T* X, long long n, int d, const T* directions, long long rows, T* out) {
    __shared__ tile_of_clouds<T> tile;
    const int x = threadIdx.x % ACROSS, y = threadIdx.x / ACROSS, high = blockDim.x / ACROSS, height = AT_A_TIME * high;
    const long long tiles = (n + TILE - 1) / TILE, bands = (rows + height - 1) / height;
    for (long long item = blockIdx.x; item < tiles * bands; item += gridDim.x) {
        const long long point = item % tiles * TILE, row = item / tiles * height;
        T sums[AT_A_TIME][AT_A_TIME] = {};
        for (int from = 0; from < d; from += DEPTH) {
            const int depth = min(DEPTH, d - from);
            __syncthreads();  // the coordinates before have been read
            load_points(directions, row, rows, d, from, depth, height, tile.left);
            load_points(X, point, n, d, from, depth, TILE, tile.right);
            __syncthreads();
            for (int k = 0; k < depth; ++k)
#pragma unroll
                for (int r = 0; r < AT_A_TIME; ++r)
#pragma unroll
                    for (int c = 0; c < AT_A_TIME; ++c)
                        sums[r][c] += tile.left[k][y + r * high] * tile.right[k][x + c * ACROSS];
        }
#pragma unroll
        for (int r = 0; r < AT_A_TIME; ++r)
#pragma unroll
            for (int c = 0; c < AT_A_TIME; ++c) {
                const long long l = row + y + r * high, i = point + x + c * ACROSS;
                if (l < rows && i < n) out[l * n + i] = sums[r][c];
            }
    }
}

// Rows are sorted by eight bits at a time, from the lowest on, which keeps the order of what is alike. A warp has a
// chunk of a row.
constexpr int DIGIT = 8, DIGITS = 1 << DIGIT;

// Eight bits of a whole number in the order of the floating-point numbers, of which these are the bits; -0 is 0.
template <class W> __device__ inline int digit_of(W word, int shift) {
    const W top = W(1) << (8 * sizeof(W) - 1);
    if (word == top) word = 0;
    word ^= word & top ? ~W(0) : top;
    return int(word >> shift) & (DIGITS - 1);
}

struct Chunks {
    long long n, each, chunks;
    __device__ Chunks(long long n, int each) : n(n), each(each), chunks((n + each - 1) / each) {}
    // The place of a digit's count among those of a row; the first is 0 for the running sums.
    __device__ long long place(long long item, int digit) const {
        const long long row = item / chunks, chunk = item % chunks;
        return row * (DIGITS * chunks + 1) + 1 + digit * chunks + chunk;
    }
    __device__ long long begin(long long item) const { return item / chunks * n + item % chunks * each; }
    __device__ long long size(long long item) const { return min(each, n - item % chunks * each); }
};

// How many keys of each chunk have each digit.
template <class W>
__global__ BOUNDS void count_digits(const W* keys, long long rows, long long n, int each, int shift, unsigned* counts) {
    __shared__ unsigned found[MOST_WARPS][DIGITS];
    unsigned* const own = found[threadIdx.x / WARP];
    const Chunks chunks(n, each);
    for (long long item = first_warp(); item < rows * chunks.chunks; item += warp_stride()) {
        for (int digit = lane_of_warp(); digit < DIGITS; digit += WARP) own[digit] = 0;
        __syncwarp();
        const W* const here = keys + chunks.begin(item);
        for (long long i = lane_of_warp(); i < chunks.size(item); i += WARP)
            atomicAdd(&own[digit_of(here[i], shift)], 1u);
        __syncwarp();  // all keys have been counted
        for (int digit = lane_of_warp(); digit < DIGITS; digit += WARP) counts[chunks.place(item, digit)] = own[digit];
    }
}

// Keys to their places by a digit, and the indices beside them; index_to may be missing, and index_from, of which the
// entries are then 0, 1, ...
template <class W>
__global__ BOUNDS void place_keys(const W* from, const int* index_from, long long rows, long long n, int each,
                                  int shift, const unsigned* counts, W* to, int* index_to) {
    __shared__ unsigned next[MOST_WARPS][DIGITS];
    unsigned* const own = next[threadIdx.x / WARP];
    const Chunks chunks(n, each);
    for (long long item = first_warp(); item < rows * chunks.chunks; item += warp_stride()) {
        for (int digit = lane_of_warp(); digit < DIGITS; digit += WARP)
            own[digit] = counts[chunks.place(item, digit) - 1];
        const long long begin = chunks.begin(item), row = item / chunks.chunks * n;
        for (long long first = 0; first < chunks.size(item); first += WARP) {
            const bool inside = first + lane_of_warp() < chunks.size(item);
            const long long i = begin + first + (inside ? lane_of_warp() : 0);
            const W key = from[i];
            const int digit = digit_of(key, shift);
            unsigned alike = __ballot_sync(FULL_WARP, inside);
#pragma unroll 1
            for (int bit = 0; bit < DIGIT; ++bit) {
                const unsigned set = __ballot_sync(FULL_WARP, digit >> bit & 1);
                alike &= digit >> bit & 1 ? set : ~set;
            }
            __syncwarp();  // the places have been moved on
            const unsigned before = __popc(alike & ((1u << lane_of_warp()) - 1u)), place = own[digit] + before;
            __syncwarp();  // the places have been read
            if (!inside) continue;
            if (before == 0) own[digit] += __popc(alike);
            to[row + place] = key;
            if (index_to) index_to[row + place] = index_from ? index_from[i] : int(i - row);
        }
        __syncwarp();
    }
}

// Weights are whole numbers of this part of 1: sums of them are exact, in any order, and never decrease.
constexpr double PARTS = 4611686018427387904.0;

// Sums of each row's numbers up to each one, behind a 0: in place, or of the weights that an index puts in order. A
// block has a row.
template <class I>
__global__ BOUNDS void add_up(long long rows, long long size, const double* weights, const int* index, I* sums) {
    __shared__ I warps[MOST_WARPS];
    for (long long row = blockIdx.x; row < rows; row += gridDim.x) {
        I* const to = sums + row * (size + 1) + 1;
        I before = 0;
        if (threadIdx.x == 0) to[-1] = 0;
        for (long long first = 0; first < size; first += blockDim.x) {
            const long long i = first + threadIdx.x;
            I sum = i >= size ? I(0) : weights ? I(weights[index[row * size + i]] * PARTS) : to[i];
            for (int offset = 1; offset < WARP; offset *= 2) {
                const I left = __shfl_up_sync(FULL_WARP, sum, offset, WARP);
                if (lane_of_warp() >= offset) sum += left;
            }
            __syncthreads();  // the sums of the stretch before have been read
            if (lane_of_warp() == WARP - 1) warps[threadIdx.x / WARP] = sum;
            __syncthreads();
            I all = 0, below = 0;
            for (int warp = 0; warp < int(blockDim.x) / WARP; ++warp) {
                if (warp == int(threadIdx.x) / WARP) below = all;
                all += warps[warp];
            }
            if (i < size) to[i] = before + (below + sum);
            before += all;
        }
    }
}

// The levels at which a quantile function changes: sums of weights, or whole multiples of a step.
struct Levels {
    const long long* sums;
    long long step;
    __device__ long long at(long long k) const { return sums ? sums[k] : k * step; }
};

// The first of `size` steps that ends above a level.
__device__ inline long long step_above(const Levels& levels, long long size, long long level) {
    if (!levels.sums) return level / levels.step;
    long long low = 0, high = size;
    while (low < high) {
        const long long middle = low + (high - low) / 2;
        if (levels.sums[middle + 1] > level)
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

// The derivative of |gap|^p over p. A function of its own, for the compiler's sake.
__device__ __noinline__ double slope_of(double gap, double p) {
    if (p == 2.0) return gap;
    const double size = fabs(gap);
    double slope = 1.0;
    if (p == floor(p) && p <= 8.0)
        for (int k = 1; k < int(p); ++k) slope *= size;
    else
        slope = pow(size, p - 1.0);
    return gap < 0.0 ? -slope : slope;
}

// Each point of a row of x, coupled to the points of y at its levels: the sum of mass |x - y|^p over a slab of x in
// `parts`, where they are wanted; and the derivative by each point, times the scale of its row, where `slopes` are.
template <class T>
__global__ BOUNDS void couple(const T* x, const T* y, long long rows, long long n, long long m, const long long* A,
                              const long long* B, const int* index, double p, const double* scales, int slabs,
                              double* parts, double* slopes) {
    for (long long item = blockIdx.x; item < rows * slabs; item += gridDim.x) {
        const long long row = item / slabs, slab = item % slabs, end = n * (slab + 1) / slabs;
        const Levels of_x{A ? A + row * (n + 1) : nullptr, m}, of_y{B ? B + row * (m + 1) : nullptr, n};
        double sum[1] = {0.0};
        for (long long k = n * slab / slabs + threadIdx.x; k < end; k += blockDim.x) {
            const long long low = of_x.at(k), high = of_x.at(k + 1);
            const double here = x[row * n + k];
            double change = 0.0;
            for (long long l = step_above(of_y, m, low); l < m && of_y.at(l) < high; ++l) {
                const long long mass = min(of_y.at(l + 1), high) - max(of_y.at(l), low);
                const double gap = here - y[row * m + l];
                if (mass == 0 || gap == 0.0) continue;
                const double slope = slope_of(gap, p);
                sum[0] += double(mass) * slope * gap;
                change += double(mass) * slope;
            }
            if (slopes) slopes[row * n + index[row * n + k]] = scales[row] * change;
        }
        if (!parts) continue;
        block_sum(sum);
        if (threadIdx.x == 0) parts[item] = sum[0];
    }
}

// dZ[i] += the sum over rows of slopes[row, i] directions[row], in the order of the rows.
template <class T>
__global__ BOUNDS void add_slopes(const double* slopes, long long rows, long long n, int d, const T* directions,
                                  double* dZ) {
    for (long long place = first_row(); place < n * d; place += row_stride()) {
        const long long i = place / d, k = place % d;
        double sum = dZ[place];
        for (long long row = 0; row < rows; ++row) sum += slopes[row * n + i] * directions[row * d + k];
        dZ[place] = sum;
    }
}
