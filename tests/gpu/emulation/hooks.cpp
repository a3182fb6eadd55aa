// What the compiler's thread and undefined-behaviour sanitizers call in instrumented code. Their own libraries are not
// there: the checker is told instead.

#include "runtime.h"

using checker::access;

// The data of the undefined-behaviour sanitizer begin with the place in the source.
struct Place {
    const char* file;
    uint32_t line, column;
};

namespace {
void undefined(const char* what, const void* data) {
    if (!runtime::launch) return;
    const auto place = static_cast<const Place*>(data);
    runtime::fail(what, {place->file, int(place->line)});
}
}  // namespace

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
#define SIZED(N)                                                                                                \
    void __tsan_read##N(void* p) { access(p, N, checker::READ, __builtin_return_address(0)); }                  \
    void __tsan_write##N(void* p) { access(p, N, checker::WRITE, __builtin_return_address(0)); }                \
    void __tsan_volatile_read##N(void* p) { checker::load(p, N, __builtin_return_address(0)); }                 \
    void __tsan_volatile_write##N(void* p) { access(p, N, checker::WRITE, __builtin_return_address(0)); }       \
    void __tsan_unaligned_read##N(void* p) { access(p, N, checker::READ, __builtin_return_address(0)); }        \
    void __tsan_unaligned_write##N(void* p) { access(p, N, checker::WRITE, __builtin_return_address(0)); }
SIZED(1)
SIZED(2)
SIZED(4)
SIZED(8)
SIZED(16)
void __tsan_read_range(void* p, size_t n) { access(p, n, checker::READ, __builtin_return_address(0)); }
void __tsan_write_range(void* p, size_t n) { access(p, n, checker::WRITE, __builtin_return_address(0)); }
#define UNDEFINED(NAME, WHAT) \
    void __ubsan_handle_##NAME(void* data, ...) { undefined(WHAT, data); }
UNDEFINED(out_of_bounds, "an index is out of the bounds of its array")
UNDEFINED(add_overflow, "a signed sum overflows")
UNDEFINED(sub_overflow, "a signed difference overflows")
UNDEFINED(mul_overflow, "a signed product overflows")
UNDEFINED(negate_overflow, "a negation overflows")
UNDEFINED(divrem_overflow, "a division by zero, or one that overflows")
UNDEFINED(shift_out_of_bounds, "a shift by more than the width of the type")
UNDEFINED(type_mismatch_v1, "a misaligned address, or null")
UNDEFINED(builtin_unreachable, "code that was said to be unreachable")
}
