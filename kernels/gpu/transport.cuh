// Costs of transport, and sums of the exponentials over a plan P_ij = exp(u_i + v_j - C_ij / eps): by rows, by columns,
// and of clouds of points, whose costs are computed where they are needed. Exponents are to base 2.
//
// A sum is left in parts, one for each slab of what is added up: these are then added in the order of slabs.

constexpr double LOG2E = 1.4426950408889634, LN2 = 0.6931471805599453;

__device__ inline double infinity() { return -log(0.0); }
__device__ inline double power_of_2(double x) { return exp2(x); }
__device__ inline float power_of_2(float x) { return exp2f(x); }
__device__ inline double larger_of(double a, double b) { return a < b ? b : a; }

// Entries whose loads are under way at once. Those beyond the end cost infinity, and add nothing.
constexpr int AT_A_TIME = 4;

// What is made of the exponents x and their costs c, and how it is handed from lane to lane and left in parts. One copy
// of the code adds exponentials up or finds the largest exponent, as it is told: compilers take seconds for such loops.
template <class A> struct SumOrMost {
    bool is_sum;
    double found;
    __device__ explicit SumOrMost(bool is_sum) : is_sum(is_sum), found(is_sum ? 0.0 : -infinity()) {}
    __device__ double join(double other) const { return is_sum ? found + other : larger_of(found, other); }
    __device__ void add(const A (&x)[AT_A_TIME], const A (&)[AT_A_TIME]) {
        if (is_sum)
            found += (power_of_2(x[0]) + power_of_2(x[1])) + (power_of_2(x[2]) + power_of_2(x[3]));
        else
            for (int k = 0; k < AT_A_TIME; ++k) found = larger_of(found, x[k]);
    }
    __device__ void join_lanes(int width) {
#pragma unroll 1
        for (int offset = width / 2; offset > 0; offset /= 2) found = join(shuffle_down(found, offset, width));
    }
    __device__ void leave(double* parts, long long place, long long) const { parts[place] = found; }
};

// The sum, and the same weighted by the costs, to which a forbidden pair adds nothing.
template <class A> struct Value {
    double sum = 0.0, value = 0.0;
    __device__ explicit Value(bool) {}
    __device__ void add(const A (&x)[AT_A_TIME], const A (&c)[AT_A_TIME]) {
        for (int k = 0; k < AT_A_TIME; ++k) {
            const double e = power_of_2(x[k]);
            sum += e;
            value += e == 0.0 ? 0.0 : e * c[k];  // a NaN is not 0
        }
    }
    __device__ void join_lanes(int width) {
#pragma unroll 1
        for (int offset = width / 2; offset > 0; offset /= 2) {
            sum += shuffle_down(sum, offset, width);
            value += shuffle_down(value, offset, width);
        }
    }
    __device__ void leave(double* parts, long long place, long long all) const {
        parts[place] = sum;
        parts[place + all] = value;
    }
};

// The exponent of an entry: the potential of the one side, of the other, less the cost, less what was found to be most.
template <class T, class A> struct Exponents {
    A scale;
    const T *own, *other;  // `own` may be missing
    const double* most;    // may be missing
    __device__ A own_at(long long i) const { return own ? A(own[i]) * A(LOG2E) : A(0); }
    __device__ A most_at(long long i) const { return most ? A(most[i]) : A(0); }
    __device__ A other_at(long long j) const { return A(other[j]) * A(LOG2E); }
    __device__ A at(A here, A there, A cost, A largest) const { return (here + there) - cost * scale - largest; }
};

__device__ inline int lane_of_warp() { return threadIdx.x % WARP; }
__device__ inline long long first_warp() { return first_row() / WARP; }
__device__ inline long long warp_stride() { return row_stride() / WARP; }

// Rows of a matrix: a warp has a row's share of a slab of columns.
template <class R, class T, class A>
__device__ inline void row_sums(const T* C, long long n, long long m, Exponents<T, A> exponents, int slabs,
                                bool is_sum, double* parts) {
    for (long long item = first_warp(); item < n * slabs; item += warp_stride()) {
        const long long i = item / slabs, slab = item % slabs, end = m * (slab + 1) / slabs;
        const A here = exponents.own_at(i), largest = exponents.most_at(i);
        const T* row = C + i * m;
        R found(is_sum);
        for (long long j = m * slab / slabs + lane_of_warp(); j < end; j += AT_A_TIME * WARP) {
            A c[AT_A_TIME], x[AT_A_TIME];
#pragma unroll
            for (int k = 0; k < AT_A_TIME; ++k) c[k] = j + k * WARP < end ? A(row[j + k * WARP]) : A(infinity());
#pragma unroll
            for (int k = 0; k < AT_A_TIME; ++k)
                x[k] = exponents.at(here, exponents.other_at(j + k * WARP < end ? j + k * WARP : j), c[k], largest);
            found.add(x, c);
        }
        found.join_lanes(WARP);
        if (lane_of_warp() == 0) found.leave(parts, slab * n + i, n * slabs);
    }
}

// Columns of a matrix: a lane has a column's share of a slab of rows.
template <class R, class T, class A>
__device__ inline void column_sums(const T* C, long long n, long long m, Exponents<T, A> exponents, int slabs,
                                   bool is_sum, double* parts) {
    const long long strips = (m + WARP - 1) / WARP;
    for (long long item = first_warp(); item < strips * slabs; item += warp_stride()) {
        const long long j = item % strips * WARP + lane_of_warp(), slab = item / strips, end = n * (slab + 1) / slabs;
        if (j >= m) continue;
        const A here = exponents.own_at(j), largest = exponents.most_at(j);
        R found(is_sum);
        for (long long i = n * slab / slabs; i < end; i += AT_A_TIME) {
            A c[AT_A_TIME], x[AT_A_TIME];
#pragma unroll
            for (int k = 0; k < AT_A_TIME; ++k) c[k] = i + k < end ? A(C[(i + k) * m + j]) : A(infinity());
#pragma unroll
            for (int k = 0; k < AT_A_TIME; ++k)
                x[k] = exponents.at(here, exponents.other_at(i + k < end ? i + k : i), c[k], largest);
            found.add(x, c);
        }
        found.leave(parts, slab * m + j, m * slabs);
    }
}

// square^(power / 2). A function of its own: 16 copies of it would take seconds to compile.
__device__ __noinline__ double power_of_square(double square, double power) {
    return square > 0.0 ? exp2(0.5 * power * log(square) * LOG2E) : 0.0;
}

// Two clouds: |p_i - q_j|^power, a row of coordinates for each point.
template <class T> struct Clouds {
    const T *P, *Q;
    long long p, q;
    int d;
    double power;
    __device__ T cost(T square) const {
        if (power == 2.0) return square;
        if (power == 1.0) return sqrt(square);
        return T(power_of_square(square, power));
    }
    __device__ T entry(long long i, long long j) const {
        T square = 0;
        for (int k = 0; k < d; ++k) {
            const T difference = P[i * d + k] - Q[j * d + k];
            square += difference * difference;
        }
        return cost(square);
    }
    __device__ Clouds swapped() const { return {Q, P, q, p, d, power}; }
};

template <class T> struct Matrix {
    const T* C;
    long long n, m;
    __device__ T entry(long long i, long long j) const { return C[i * m + j]; }
};

// A block's tile of two clouds: a thread has 4 x 4 pairs, DEPTH coordinates at a time lie in shared memory.
constexpr int ACROSS = 16, TILE = AT_A_TIME * ACROSS, DEPTH = 8;

template <class T> struct tile_of_clouds {
    T left[DEPTH][TILE], right[DEPTH][TILE];
};

// Some coordinates of points begin, begin + 1, ...; beyond the end they are 0.
template <class T>
__device__ inline void load_points(const T* X, long long begin, long long end, int d, int from, int depth, int count,
                                   T (&to)[DEPTH][TILE]) {
    for (int place = threadIdx.x; place < depth * count; place += blockDim.x) {
        const int point = place / depth, k = place % depth;
        to[k][point] = begin + point < end ? X[(begin + point) * d + from + k] : T(0);
    }
}

// The squares of the distances from this thread's four points to its other four.
template <class T>
__device__ inline void squares_of_tile(const Clouds<T>& clouds, long long row, int height, long long column,
                                       tile_of_clouds<T>& tile, T (&squares)[AT_A_TIME][AT_A_TIME]) {
    const int x = threadIdx.x % ACROSS, y = threadIdx.x / ACROSS, rows = height / AT_A_TIME;
    for (int from = 0; from < clouds.d; from += DEPTH) {
        const int depth = min(DEPTH, clouds.d - from);
        __syncthreads();  // the coordinates before have been read
        load_points(clouds.P, row, clouds.p, clouds.d, from, depth, height, tile.left);
        load_points(clouds.Q, column, clouds.q, clouds.d, from, depth, TILE, tile.right);
        __syncthreads();
        for (int k = 0; k < depth; ++k)
#pragma unroll
            for (int r = 0; r < AT_A_TIME; ++r)
#pragma unroll
                for (int c = 0; c < AT_A_TIME; ++c) {
                    const T difference = tile.left[k][y + r * rows] - tile.right[k][x + c * ACROSS];
                    squares[r][c] += difference * difference;
                }
    }
}

// For each point of P, over the points of Q: a block has a tile of P and a slab of Q. Tiles without a point that is
// marked in `gate`, where that is given, are left out.
template <class R, class T, class A>
__device__ inline void cloud_sums(const Clouds<T>& clouds, Exponents<T, A> exponents, const int* gate, int slabs,
                                  bool is_sum, double* parts) {
    __shared__ tile_of_clouds<T> tile;
    const int x = threadIdx.x % ACROSS, y = threadIdx.x / ACROSS, rows = blockDim.x / ACROSS, height = AT_A_TIME * rows;
    const long long tiles = (clouds.p + height - 1) / height, units = (clouds.q + TILE - 1) / TILE;
    for (long long item = blockIdx.x; item < tiles * slabs; item += gridDim.x) {
        const long long row = item % tiles * height, slab = item / tiles, end = units * (slab + 1) / slabs * TILE;
        bool wanted = !gate;
        for (int r = 0; r < height && !wanted; ++r) wanted = row + r < clouds.p && gate[row + r];
        if (!wanted) continue;
        R found[AT_A_TIME]{R(is_sum), R(is_sum), R(is_sum), R(is_sum)};
        A here[AT_A_TIME], largest[AT_A_TIME];
#pragma unroll
        for (int r = 0; r < AT_A_TIME; ++r) {
            const long long i = min(row + y + r * rows, clouds.p - 1);
            here[r] = exponents.own_at(i);
            largest[r] = exponents.most_at(i);
        }
        for (long long column = units * slab / slabs * TILE; column < end; column += TILE) {
            T squares[AT_A_TIME][AT_A_TIME] = {};
            squares_of_tile(clouds, row, height, column, tile, squares);
            A there[AT_A_TIME];
#pragma unroll
            for (int c = 0; c < AT_A_TIME; ++c)
                there[c] = exponents.other_at(min(column + x + c * ACROSS, clouds.q - 1));
#pragma unroll
            for (int r = 0; r < AT_A_TIME; ++r) {
                A cost[AT_A_TIME], at[AT_A_TIME];
#pragma unroll
                for (int c = 0; c < AT_A_TIME; ++c) {
                    const bool inside = column + x + c * ACROSS < clouds.q;
                    cost[c] = inside ? A(clouds.cost(squares[r][c])) : A(infinity());
                    at[c] = exponents.at(here[r], there[c], cost[c], largest[r]);
                }
                found[r].add(at, cost);
            }
        }
#pragma unroll
        for (int r = 0; r < AT_A_TIME; ++r) {
            const long long i = row + y + r * rows;
            found[r].join_lanes(ACROSS);
            if (x == 0 && i < clouds.p) found[r].leave(parts, slab * clouds.p + i, clouds.p * slabs);
        }
    }
}

// What can be taken out of exponents of which this is the largest: 0 where all pairs are forbidden.
__device__ inline double finite_most(double most) { return most == -infinity() ? 0.0 : most; }
__device__ inline double sum_of_parts(const double* parts, int slabs, long long size, long long place) {
    double sum = 0.0;
    for (int slab = 0; slab < slabs; ++slab) sum += parts[slab * size + place];
    return sum;
}
__device__ inline double most_of_parts(const double* parts, int slabs, long long size, long long place) {
    double most = -infinity();
    for (int slab = 0; slab < slabs; ++slab) most = larger_of(most, parts[slab * size + place]);
    return finite_most(most);
}
