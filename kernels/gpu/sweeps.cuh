// A matrix whose rows are sorted by stages, none of which is coupled to another row of its stage, and walks over it. A
// stage is shared out over the grid, one thread a row, and all blocks meet before the next one. A row belongs to the
// same thread in every walk, so that what only this row needs may be read without meeting.

// What every kernel that walks gets first, and what it makes of it.
#define SORTED_ROWS(T)                                                                                                \
    const int *lower_indptr, const int *lower_indices, const T *lower_data, const int *upper_indptr,                  \
        const int *upper_indices, const T *upper_data, const T *diagonal, const T *inverse, const int *edges, int stages
#define SWEEP(T)                                                                                                      \
    Sweep<T> {                                                                                                        \
        {lower_indptr, lower_indices, lower_data, 0, 1}, {upper_indptr, upper_indices, upper_data, 0, 1}, edges, stages \
    }

template <class T> struct Sweep {
    Csr<T> lower, upper;  // the strict triangles, rows only
    const int* edges;  // where stages begin, and the end
    int stages;

    // f(i) for the rows of each stage; without `arrived`, for walks that read only, nobody waits.
    template <class F> __device__ void forward(unsigned* arrived, F f) const {
        for (int stage = 0; stage < stages; ++stage) {
            if (stage > 0 && arrived) grid_barrier(arrived);
            each(stage, f);
        }
    }
    template <class F> __device__ void backward(unsigned* arrived, F f) const {
        for (int stage = stages - 1; stage >= 0; --stage) {
            each(stage, f);
            if (stage > 0) grid_barrier(arrived);
        }
    }

  private:
    template <class F> __device__ void each(int stage, F f) const {
        const unsigned end = edges[stage + 1], stride = unsigned(row_stride());
        for (unsigned i = edges[stage] + unsigned(first_row()); i < end; i += stride) f(i);
    }
};

// Two sums over the same entries.
template <class T> struct two {
    T first, second;
};
template <class T> __device__ inline two<T> plus_product(two<T> sum, T a, two<T> b) {
    return {sum.first + a * b.first, sum.second + a * b.second};
}

// x_j and y_j.
template <class T> struct Both {
    const T *x, *y;
    __device__ two<T> operator()(long long j) const { return {x[j], y[j]}; }
};
