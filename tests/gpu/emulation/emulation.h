// CUDA C as C++: what a kernel source may use, so that its unmodified text compiles with g++.
//
// Threads are fibers of one thread of the operating system (scheduler.cpp); a thread gives way only in the calls
// declared here as `emulation_*`. Shared memory is thread-local storage, which the scheduler exchanges when it goes
// from one block to another. EMULATION.md says what this cannot show.
#pragma once

// Inline: else the compiler sees every use of the shared memory of a kernel, folds it, and does not watch it.
#define __global__ inline
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline
#define __noinline__ inline
#define __launch_bounds__(...)
#define __shared__ static thread_local

using size_t = decltype(sizeof(0));

struct emulation_index {
    unsigned x, y, z;
};

// Sites are (file, line); `exchange` is what the lanes of a mask do together: the kinds must agree with scheduler.cpp.
enum emulation_exchange_kind { EMULATION_SHUFFLE, EMULATION_VOTE, EMULATION_SYNC_WARP };
extern "C" {
// Constant as far as one thread can see, so that no sanitizer watches them.
extern const emulation_index threadIdx, blockIdx, blockDim, gridDim;
void emulation_barrier(const char* file, int line);
void emulation_fence();
void emulation_pause(const char* file, int line);
void emulation_changed(const void* address);
void emulation_atomic(const void* address, unsigned size, const char* file, int line);
unsigned long long emulation_exchange(int kind, unsigned mask, unsigned long long value, int source, const char* file,
                                      int line);
void emulation_fail(const char* what, const char* file, int line);

double sqrt(double) noexcept;
double fabs(double) noexcept;
double hypot(double, double) noexcept;
double exp(double) noexcept;
double exp2(double) noexcept;
float exp2f(float) noexcept;
double log(double) noexcept;
double pow(double, double) noexcept;
double floor(double) noexcept;
double ceil(double) noexcept;
}

#define EMULATION_SITE const char *file = __builtin_FILE(), int line = __builtin_LINE()
// What stands for one instruction of the device is invisible to the sanitizers; the runtime checks it itself.
#define EMULATION_QUIET __attribute__((noinline, no_sanitize("thread"), no_sanitize("address"), no_sanitize("undefined")))

inline void __syncthreads(EMULATION_SITE) { emulation_barrier(file, line); }
inline void __threadfence() { emulation_fence(); }
inline void __threadfence_system() { emulation_fence(); }
inline void __nanosleep(unsigned, EMULATION_SITE) { emulation_pause(file, line); }
inline void __syncwarp(unsigned mask = 0xffffffffu, EMULATION_SITE) {
    emulation_exchange(EMULATION_SYNC_WARP, mask, 0, 0, file, line);
}
inline unsigned __ballot_sync(unsigned mask, int predicate, EMULATION_SITE) {
    return unsigned(emulation_exchange(EMULATION_VOTE, mask, predicate != 0, 0, file, line));
}
inline int __any_sync(unsigned mask, int predicate, EMULATION_SITE) {
    return __ballot_sync(mask, predicate, file, line) != 0;
}
inline int __all_sync(unsigned mask, int predicate, EMULATION_SITE) {
    return __ballot_sync(mask, predicate, file, line) == mask;
}

namespace emulation {
inline int lane() { return threadIdx.x % 32; }

template <class T>
EMULATION_QUIET inline T shuffle(unsigned mask, T value, int source, int width, const char* file, int line) {
    if (width < 1 || width > 32 || (width & (width - 1))) emulation_fail("shuffle width is no power of two up to 32", file, line);
    unsigned long long bits = 0;
    __builtin_memcpy(&bits, &value, sizeof(T));
    bits = emulation_exchange(EMULATION_SHUFFLE, mask, bits, source, file, line);
    __builtin_memcpy(&value, &bits, sizeof(T));
    return value;
}
// The lane to read from, own lane where the neighbour lies outside the part of `width` lanes.
inline int down(unsigned delta, int width) { return lane() % width + delta < unsigned(width) ? lane() + delta : lane(); }
inline int up(unsigned delta, int width) { return unsigned(lane() % width) >= delta ? lane() - delta : lane(); }
inline int at(int source, int width) { return lane() / width * width + (source & (width - 1)); }
inline int across(int bits, int width) {
    const int other = lane() ^ bits;
    return other / width <= lane() / width ? other : lane();
}

template <class T, class Change>
EMULATION_QUIET inline T atomically(T* address, const char* file, int line, Change change) {
    emulation_atomic(address, sizeof(T), file, line);
    const T old = *address, value = change(old);
    if (__builtin_memcmp(&old, &value, sizeof(T))) emulation_changed(address);
    *address = value;
    return old;
}
}  // namespace emulation

#define EMULATION_SHUFFLES(T)                                                                                           \
    inline T __shfl_sync(unsigned mask, T a, int source, int width = 32, EMULATION_SITE) {                             \
        return emulation::shuffle(mask, a, emulation::at(source, width), width, file, line);                           \
    }                                                                                                                  \
    inline T __shfl_down_sync(unsigned mask, T a, unsigned delta, int width = 32, EMULATION_SITE) {                    \
        return emulation::shuffle(mask, a, emulation::down(delta, width), width, file, line);                          \
    }                                                                                                                  \
    inline T __shfl_up_sync(unsigned mask, T a, unsigned delta, int width = 32, EMULATION_SITE) {                      \
        return emulation::shuffle(mask, a, emulation::up(delta, width), width, file, line);                            \
    }                                                                                                                  \
    inline T __shfl_xor_sync(unsigned mask, T a, int bits, int width = 32, EMULATION_SITE) {                           \
        return emulation::shuffle(mask, a, emulation::across(bits, width), width, file, line);                         \
    }
EMULATION_SHUFFLES(int)
EMULATION_SHUFFLES(unsigned)
EMULATION_SHUFFLES(long)
EMULATION_SHUFFLES(unsigned long)
EMULATION_SHUFFLES(long long)
EMULATION_SHUFFLES(unsigned long long)
EMULATION_SHUFFLES(float)
EMULATION_SHUFFLES(double)

#define EMULATION_ATOMIC(NAME, T, EXPRESSION)                                                                          \
    inline T NAME(T* address, T value, EMULATION_SITE) {                                                               \
        return emulation::atomically(address, file, line, [=](T old) -> T { return EXPRESSION; });                     \
    }
#define EMULATION_CAS(T)                                                                                               \
    inline T atomicCAS(T* address, T compare, T value, EMULATION_SITE) {                                               \
        return emulation::atomically(address, file, line, [=](T old) -> T { return old == compare ? value : old; });   \
    }
#define EMULATION_INTEGER_ATOMICS(T)                                                                                   \
    EMULATION_ATOMIC(atomicExch, T, ((void)old, value))                                                                \
    EMULATION_ATOMIC(atomicMax, T, old > value ? old : value)                                                          \
    EMULATION_ATOMIC(atomicMin, T, old < value ? old : value)                                                          \
    EMULATION_ATOMIC(atomicOr, T, old | value)                                                                         \
    EMULATION_ATOMIC(atomicAnd, T, old& value)                                                                         \
    EMULATION_ATOMIC(atomicXor, T, old ^ value)                                                                        \
    EMULATION_CAS(T)
EMULATION_INTEGER_ATOMICS(int)
EMULATION_INTEGER_ATOMICS(unsigned)
EMULATION_INTEGER_ATOMICS(unsigned long long)
EMULATION_ATOMIC(atomicExch, float, ((void)old, value))
EMULATION_ATOMIC(atomicAdd, int, int(unsigned(old) + unsigned(value)))
EMULATION_ATOMIC(atomicAdd, unsigned, old + value)
EMULATION_ATOMIC(atomicAdd, unsigned long long, old + value)
EMULATION_ATOMIC(atomicAdd, float, old + value)
EMULATION_ATOMIC(atomicAdd, double, old + value)
EMULATION_ATOMIC(atomicSub, int, int(unsigned(old) - unsigned(value)))
EMULATION_ATOMIC(atomicSub, unsigned, old - value)

inline int __ffs(int a) { return __builtin_ffs(a); }
inline int __popc(unsigned a) { return __builtin_popcount(a); }
inline int __clz(int a) { return a ? __builtin_clz(unsigned(a)) : 32; }
template <class T> inline T __ldg(const T* address) { return *address; }

inline float sqrt(float a) { return __builtin_sqrtf(a); }
inline float sqrtf(float a) { return __builtin_sqrtf(a); }
inline float fabs(float a) { return __builtin_fabsf(a); }
inline float fabsf(float a) { return __builtin_fabsf(a); }
inline float hypot(float a, float b) { return __builtin_hypotf(a, b); }
inline double abs(double a) { return __builtin_fabs(a); }
inline float abs(float a) { return __builtin_fabsf(a); }
inline int abs(int a) { return a < 0 ? -a : a; }
inline long long abs(long long a) { return a < 0 ? -a : a; }
inline double rsqrt(double a) { return 1.0 / __builtin_sqrt(a); }
inline double fma(double a, double b, double c) { return __builtin_fma(a, b, c); }
inline float fma(float a, float b, float c) { return __builtin_fmaf(a, b, c); }
inline bool isnan(double a) { return a != a; }
inline bool isinf(double a) { return __builtin_isinf(a); }
inline bool isfinite(double a) { return a - a == 0.0; }
inline bool signbit(double a) { return __builtin_signbit(a); }

// As on the device, the number wins over a NaN.
#define EMULATION_LARGER(T)                                                                                            \
    inline T fmax(T a, T b) { return a != a || a < b ? b : a; }                                                        \
    inline T fmin(T a, T b) { return a != a || b < a ? b : a; }                                                        \
    inline T max(T a, T b) { return fmax(a, b); }                                                                      \
    inline T min(T a, T b) { return fmin(a, b); }
EMULATION_LARGER(float)
EMULATION_LARGER(double)
#define EMULATION_LARGER_INTEGER(T)                                                                                    \
    inline T max(T a, T b) { return a < b ? b : a; }                                                                   \
    inline T min(T a, T b) { return b < a ? b : a; }
EMULATION_LARGER_INTEGER(int)
EMULATION_LARGER_INTEGER(unsigned)
EMULATION_LARGER_INTEGER(long long)
EMULATION_LARGER_INTEGER(unsigned long long)

// What a launch needs to know about a kernel: how to call it, and what its parameters are, as C++ spells them.
struct emulation_kernel {
    const char* name;
    void (*invoke)(void* function, void** arguments);
    void* function;
    int count;
    const int* sizes;
    const char* const* types;
};

namespace emulation {
template <class T> const char* spelling() { return __PRETTY_FUNCTION__; }
template <int... I> struct positions {};
template <int N, int... I> struct up_to : up_to<N - 1, N - 1, I...> {};
template <int... I> struct up_to<0, I...> {
    using type = positions<I...>;
};

// The arguments lie in memory of the runtime: no sanitizer may watch them being read.
template <class... P> struct signature {
    static constexpr int sizes[sizeof...(P) + 1] = {int(sizeof(P))..., 0};
    template <int... I>
    EMULATION_QUIET static void call(void (*function)(P...), void** arguments, positions<I...>) {
        function(*static_cast<P*>(arguments[I])...);
    }
    EMULATION_QUIET static void invoke(void* function, void** arguments) {
        call(reinterpret_cast<void (*)(P...)>(function), arguments, typename up_to<sizeof...(P)>::type());
    }
};
template <class... P> emulation_kernel describe(const char* name, void (*function)(P...)) {
    static const char* const types[sizeof...(P) + 1] = {spelling<P>()..., nullptr};
    using own = signature<P...>;
    return {name, own::invoke, reinterpret_cast<void*>(function), int(sizeof...(P)), own::sizes, types};
}
}  // namespace emulation
