// What is known about a CSR matrix before it is used: whether its index arrays are valid, and its diagonals.

// bad[0] becomes 1 where the arrays do not describe a square matrix with nnz entries.
template <class I, class J>
__global__ BOUNDS void is_valid(long long n, long long nnz, const I* __restrict__ indptr, const J* __restrict__ indices,
                                int* bad) {
    bool wrong = first_row() == 0 && (indptr[0] != 0 || indptr[n] != nnz);
    for (long long i = first_row(); i < n; i += row_stride()) wrong |= indptr[i] > indptr[i + 1];
    for (long long k = first_row(); k < nnz; k += row_stride()) wrong |= indices[k] < 0 || (long long)indices[k] >= n;
    if (wrong) atomicOr(bad, 1);
}

constexpr int SLOTS = 33;  // one more than the diagonals that are worth it: the last one filled says "too many"
constexpr int FREE = -2147483647 - 1;

// Put an offset into the first free slot unless it is there; false where none is left.
__device__ inline bool insert(int* table, int offset) {
    for (int slot = 0; slot < SLOTS; ++slot) {
        const int found = atomicCAS(table + slot, FREE, offset);
        if (found == FREE || found == offset) return true;
    }
    return false;
}

// The offsets of the diagonals that have entries, in no order; `table` is SLOTS times FREE before. A block collects its
// own first, and looks them up in a copy that changes between two barriers only.
template <class Index>
__global__ BOUNDS void survey(long long n, const Index* __restrict__ indptr, const Index* __restrict__ indices,
                              int* table) {
    __shared__ int live[SLOTS], known[SLOTS], changed;
    for (int slot = threadIdx.x; slot < SLOTS; slot += blockDim.x) live[slot] = known[slot] = FREE;
    if (threadIdx.x == 0) changed = 0;
    __syncthreads();
    for (long long base = (long long)blockIdx.x * blockDim.x; base < n; base += row_stride()) {
        const long long i = base + threadIdx.x;
        int slot = 0;
        bool unknown = false;
        for (Index k = i < n ? indptr[i] : 0, end = i < n ? indptr[i + 1] : 0; k < end; ++k, ++slot) {
            const int offset = int(indices[k] - i);
            // The next entry of a row most often lies on the diagonal that was found next to the last one.
            if (slot < SLOTS && known[slot] == offset) continue;
            for (slot = 0; slot < SLOTS && known[slot] != offset; ++slot) {}
            if (slot < SLOTS) continue;
            unknown = true;
            if (!insert(live, offset)) break;
        }
        if (unknown) atomicOr(&changed, 1);
        __syncthreads();
        const bool again = changed;
        __syncthreads();
        if (!again) continue;
        for (int each = threadIdx.x; each < SLOTS; each += blockDim.x) known[each] = live[each];
        if (threadIdx.x == 0) changed = 0;
        __syncthreads();
        if (known[SLOTS - 1] != FREE) break;
    }
    for (int slot = threadIdx.x; slot < SLOTS; slot += blockDim.x)
        if (live[slot] != FREE) insert(table, live[slot]);
}

// diagonals[d * n + i] += A[i, i + offsets[d]], entries given twice in their order; `diagonals` is zero before.
template <class T>
__global__ BOUNDS void to_diagonals(long long n, int count, const int* __restrict__ indptr,
                                    const int* __restrict__ indices, const T* __restrict__ data,
                                    const long long* __restrict__ offsets, T* diagonals) {
    for (long long i = first_row(); i < n; i += row_stride()) {
        int d = 0;
        for (int k = indptr[i]; k < indptr[i + 1]; ++k, ++d) {
            const long long offset = indices[k] - i;
            if (d >= count || offsets[d] != offset)
                for (d = 0; offsets[d] != offset; ++d) {}
            diagonals[d * n + i] += data[k];
        }
    }
}
