// Integrals of an image along lines by Joseph's weights, a thread a line, and their adjoint, a thread a pixel.

// Where each line crosses row 0, as a column plus one, how far it moves a row, and its length within a row. For a line
// nearer to the horizontal rows and columns are exchanged, and its length is given as a negative number.
template <class T>
__global__ BOUNDS void trace_lines(const T* views, long long n_views, long long n_lines, double pixel, T* starts,
                                   T* slopes, T* lengths) {
    for (long long line = first_row(); line < n_views * n_lines; line += row_stride()) {
        const T* const view = views + line / n_lines * 7;
        const T d = T(line % n_lines);
        const T along = view[4] + d * view[6] * view[2], down = view[5] + d * view[6] * view[3];
        const T x = view[0] + d * view[2], y = view[1] + d * view[3];
        const bool steep = fabs(down) >= fabs(along);
        const T slope = steep ? along / down : down / along;
        const T length = pixel * sqrt(1.0 + slope * slope);
        starts[line] = (steep ? x - y * slope : y - x * slope) + 1.0;
        slopes[line] = slope;
        lengths[line] = steep ? length : -length;
    }
}

struct Rows {
    long long first, end;
};

// The rows that a line crosses within a pixel of the image.
__device__ inline Rows crossed(double start, double slope, long long rows, long long columns) {
    const double top = double(columns) + 1.0;
    if (slope == 0.0) return {0, 0.0 < start && start < top ? rows : 0};
    const double one = -start / slope, other = (top - start) / slope;
    const double low = fmin(fmax(fmin(one, other), 0.0), double(rows));
    const double high = fmin(fmax(fmax(one, other), -1.0), double(rows) - 1.0);
    return {(long long)ceil(low), (long long)floor(high) + 1};
}

// Y[k, line] = the integral of image k.
template <class T>
__global__ BOUNDS void line_integrals(const double* starts, const double* slopes, const double* lengths,
                                      long long n_lines, const T* X, long long k, long long ny, long long nx, T* Y) {
    for (long long item = first_row(); item < k * n_lines; item += row_stride()) {
        const long long line = item % n_lines;
        const double start = starts[line], slope = slopes[line], length = lengths[line];
        const bool steep = length > 0.0;
        const long long columns = steep ? nx : ny, across = steep ? 1 : nx, down = steep ? nx : 1;
        const Rows rows = crossed(start, slope, steep ? ny : nx, columns);
        const T* const image = X + item / n_lines * (ny * nx);
        T sum = 0;
        for (long long i = rows.first; i < rows.end; ++i) {
            const double at = start + slope * double(i);
            const long long j = (long long)at;  // the columns j - 1 and j are beside it
            const T part = T(at - double(j));
            const T left = j >= 1 && j <= columns ? image[i * down + (j - 1) * across] : T(0);
            const T right = j < columns ? image[i * down + j * across] : T(0);
            sum += left + part * (right - left);
        }
        Y[item] = T(fabs(length)) * sum;
    }
}

// The line of a view that passes through a point, a number between two lines.
__device__ inline double line_through(const double* view, double x, double y) {
    const double p = x - view[0], q = y - view[1];
    return (p * view[5] - q * view[4]) /
           (view[2] * view[5] - view[3] * view[4] - view[6] * (p * view[3] - q * view[2]));
}

// X[k, i, j] = the sum of the data of the lines within a pixel, by the same weights.
template <class T>
__global__ BOUNDS void back_projection(const double* views, long long n_views, const double* starts,
                                       const double* slopes, const double* lengths, long long n_lines, const T* Y,
                                       long long k, long long ny, long long nx, T* X) {
    for (long long item = first_row(); item < k * ny * nx; item += row_stride()) {
        const double j = double(item % nx), i = double(item / nx % ny);
        const T* const data = Y + item / (ny * nx) * (n_views * n_lines);
        T sum = 0;
        for (long long v = 0; v < n_views; ++v) {
            const double* const view = views + v * 7;
            const double a = line_through(view, j - 1.0, i), b = line_through(view, j + 1.0, i);
            const double c = line_through(view, j, i - 1.0), d = line_through(view, j, i + 1.0);
            const double least = fmin(fmin(a, b), fmin(c, d)), most = fmax(fmax(a, b), fmax(c, d));
            const long long first = (long long)ceil(fmin(fmax(least, 0.0), double(n_lines)));
            const long long last = (long long)floor(fmax(fmin(most, double(n_lines) - 1.0), -1.0));
            for (long long line = v * n_lines + first; line <= v * n_lines + last; ++line) {
                const double length = lengths[line];
                const bool steep = length > 0.0;
                const double gap = starts[line] + slopes[line] * (steep ? i : j) - 1.0 - (steep ? j : i);
                const double weight = 1.0 - fabs(gap);
                if (weight > 0.0) sum += T(weight) * (T(fabs(length)) * data[line]);
            }
        }
        X[item] = sum;
    }
}
