// Races and bounds. The compiler's thread sanitizer calls the functions at the end of this file for every access of a
// kernel to memory; its own library is not there. Races are found by vector clocks, one per thread: an access must be
// ordered after the conflicting ones by __syncthreads, __syncwarp, or atomics between fences, whatever order the
// schedule happened to run them in. The memory model is that of C++ with relaxed atomics and fences.

#include "runtime.h"

#include <dlfcn.h>

#include <algorithm>
#include <memory>
#include <unordered_map>

namespace checker {
namespace {

using runtime::launch;
using Clock = std::vector<uint32_t>;  // by thread of the grid: what is known to have happened

// So many accesses without giving way are an endless loop.
constexpr uint64_t PATIENCE = 100'000'000;

struct Thread {
    std::shared_ptr<const Clock> known;  // its own entry is `now` instead
    uint32_t now = 1;
    // The state at its last fence, which its atomics hand on from then; and what atomics brought in until the next one.
    std::shared_ptr<const Clock> released;
    uint32_t released_at = 0;
    Clock brought;
};

struct Access {
    uint32_t thread = ~0u, time = 0, place = 0;
    explicit operator bool() const { return thread != ~0u; }
};

// The last accesses of one sort, at most one a thread.
struct Accesses {
    Access one;
    std::unique_ptr<std::vector<Access>> more;  // ordered by thread

    void add(Access access) {
        if (!one || one.thread == access.thread) {
            one = access;
            return;
        }
        if (!more) more = std::make_unique<std::vector<Access>>();
        const auto less = [](const Access& a, const Access& b) { return a.thread < b.thread; };
        const auto place = std::lower_bound(more->begin(), more->end(), access, less);
        if (place != more->end() && place->thread == access.thread)
            *place = access;
        else
            more->insert(place, access);
    }
    template <class Test> Access first(Test test) const {
        if (one && test(one)) return one;
        if (more)
            for (const Access& each : *more)
                if (test(each)) return each;
        return Access();
    }
    void clear() {
        one = Access();
        more.reset();
    }
};

struct Word {  // four bytes
    Access write;
    Accesses reads, atomics;
};

struct Region {
    std::vector<Word> words;
};

std::vector<Thread> threads;
std::vector<Region> arguments;  // as launch->buffers
std::vector<Region> shared;     // by block
std::unordered_map<const void*, Clock> handed_on;  // what the atomics of an address carry
uint64_t steps = 0;

uint32_t self() { return runtime::current_block() * launch->threads + runtime::current_thread(); }

void join(Clock& into, const Clock& from) {
    if (into.size() < from.size()) into.resize(from.size());
    for (size_t i = 0; i < from.size(); ++i) into[i] = std::max(into[i], from[i]);
}

// These threads have met: each knows what every other one did before.
void meet(const std::vector<uint32_t>& those) {
    auto joined = std::make_shared<Clock>(*threads[those[0]].known);
    const Clock* last = threads[those[0]].known.get();
    for (uint32_t t : those) {
        if (threads[t].known.get() != last) join(*joined, *threads[t].known);
        last = threads[t].known.get();
    }
    for (uint32_t t : those) (*joined)[t] = threads[t].now++;
    for (uint32_t t : those) threads[t].known = joined;
}

std::string who(uint32_t thread) {
    return "block " + std::to_string(thread / launch->threads) + ", thread " + std::to_string(thread % launch->threads);
}

// Where an instruction is, in a form that launch.py turns into file and line.
std::string line_of(uint32_t place) {
    char text[32];
    snprintf(text, sizeof text, " @0x%x", place);
    return place ? text : "";
}

uint32_t place_of(const void* instruction) {
    static const void *last = nullptr, *base = nullptr;
    if (!instruction) return 0;
    if (last != launch->function) {
        Dl_info info;
        base = dladdr(launch->function, &info) ? info.dli_fbase : nullptr;
        last = launch->function;
    }
    return uint32_t(static_cast<const char*>(instruction) - static_cast<const char*>(base) - 1);
}

enum Sort { READ, WRITE, ATOMIC };

[[noreturn]] void race(Sort sort, const char* before, Access other, const std::string& where, uint32_t place) {
    static const char* const verbs[] = {"reads ", "writes ", "changes by an atomic "};
    runtime::fail(std::string("race: ") + verbs[sort] + where + line_of(place) + ", which " + who(other.thread) + before +
                  line_of(other.place) + ", and nothing orders the two");
}

std::string name_of(const char* p, int buffer) {
    if (buffer < 0) return "byte " + std::to_string(p - runtime::shared.start) + " of shared memory";
    const auto& each = launch->buffers[buffer];
    return "byte " + std::to_string(p - each.start) + " of argument " + std::to_string(each.parameter);
}

void check(Word& word, Sort sort, const char* p, int buffer, uint32_t place) {
    const uint32_t me = self();
    Thread& thread = threads[me];
    const Clock& known = *thread.known;
    const auto unordered = [&](const Access& a) { return a.thread != me && a.time > known[a.thread]; };
    if (word.write && unordered(word.write)) race(sort, " wrote", word.write, name_of(p, buffer), place);
    if (sort != ATOMIC)
        if (Access other = word.atomics.first(unordered)) race(sort, " changed by an atomic", other, name_of(p, buffer), place);
    if (sort != READ)
        if (Access other = word.reads.first(unordered)) race(sort, " read", other, name_of(p, buffer), place);
    const Access own{me, thread.now, place};
    if (sort == READ) {
        if (buffer < 0 && !word.write && !word.atomics.one)
            runtime::fail("reads " + name_of(p, buffer) + line_of(place) + " before anything was written there");
        word.reads.add(own);
    } else if (sort == ATOMIC) {
        word.atomics.add(own);
    } else {
        word.write = own;
        word.reads.clear();
        word.atomics.clear();
    }
}

[[noreturn]] void outside(const char* p, size_t size, Sort sort, uint32_t place) {
    std::string where = "an address that belongs to no argument";
    for (int i = 0; i < launch->buffer_count; ++i) {
        const auto& each = launch->buffers[i];
        const ptrdiff_t behind = p - (each.start + each.bytes), before = each.start - p;
        const std::string argument = " argument " + std::to_string(each.parameter) + " of " + std::to_string(each.bytes) + " bytes";
        if (behind > -ptrdiff_t(size) && behind < 128) where = std::to_string(behind) + " bytes behind" + argument;
        if (before > 0 && before <= 128) where = std::to_string(before) + " bytes before" + argument;
    }
    runtime::fail(std::string("out of bounds: ") + (sort == READ ? "reads " : "writes ") + std::to_string(size) + " bytes, " + where +
                  line_of(place));
}

void access(const void* address, size_t size, Sort sort, const void* instruction) {
    const char* p = static_cast<const char*>(address);
    if (!launch || !launch->checked || runtime::on_own_stack(p)) return;
    const uint32_t place = place_of(instruction);
    if (++steps > PATIENCE) runtime::fail("runs on and on" + line_of(place));
    if (size <= 16 && reinterpret_cast<uintptr_t>(p) % size) runtime::fail("misaligned address" + line_of(place));
    int found = -2;
    const char* start = nullptr;
    const auto& block = runtime::shared;
    if (p >= block.start && p + size <= block.start + block.bytes) found = -1, start = block.start;
    for (int i = 0; found == -2 && i < launch->buffer_count; ++i) {
        const auto& each = launch->buffers[i];
        if (p >= each.start && p + size <= each.start + each.bytes) found = i, start = each.start;
    }
    if (found == -2) outside(p, size, sort, place);
    if (found >= 0 && sort != READ && launch->buffers[found].constant)
        runtime::fail("writes " + name_of(p, found) + ", which is read through the non-coherent cache" + line_of(place));
    auto& words = (found < 0 ? shared[runtime::current_block()] : arguments[found]).words;
    if (words.empty()) words.resize((found < 0 ? block.bytes : launch->buffers[found].bytes) / 4 + 1);
    for (size_t word = (p - start) / 4; word <= (p + size - 1 - start) / 4; ++word)
        check(words[word], sort, start + 4 * word, found, place);
}

}  // namespace

void begin() {
    if (!launch->checked) return;
    const size_t count = size_t(launch->blocks) * launch->threads;
    threads.assign(count, Thread());
    const auto nothing = std::make_shared<const Clock>(count);
    for (Thread& thread : threads) thread.known = nothing;
    arguments = std::vector<Region>(launch->buffer_count);
    shared = std::vector<Region>(launch->blocks);
    handed_on.clear();
    steps = 0;
}

void end() {
    threads.clear();
    arguments.clear();
    shared.clear();
}

void resumed() { steps = 0; }

void barrier(unsigned block) {
    if (!launch->checked) return;
    std::vector<uint32_t> those(launch->threads);
    for (unsigned t = 0; t < launch->threads; ++t) those[t] = block * launch->threads + t;
    meet(those);
}

void warp(unsigned block, unsigned first_thread, unsigned mask) {
    if (!launch->checked) return;
    std::vector<uint32_t> those;
    for (unsigned lane = 0; lane < runtime::WARP; ++lane)
        if (mask >> lane & 1) those.push_back(block * launch->threads + first_thread + lane);
    meet(those);
}

void fence() {
    if (!launch->checked) return;
    Thread& thread = threads[self()];
    if (!thread.brought.empty()) {
        auto joined = std::make_shared<Clock>(*thread.known);
        join(*joined, thread.brought);
        thread.known = joined;
        thread.brought.clear();
    }
    thread.released = thread.known;
    thread.released_at = thread.now++;
}

void atomic(const void* address, unsigned size) {
    if (!launch->checked) return;
    access(address, size, ATOMIC, nullptr);
    const uint32_t me = self();
    Thread& thread = threads[me];
    Clock& carried = handed_on[address];
    if (!carried.empty()) join(thread.brought, carried);
    if (thread.released) {
        join(carried, *thread.released);
        carried[me] = std::max(carried[me], thread.released_at);
    }
}

}  // namespace checker

using checker::access;

// What instrumented code calls. The undefined-behaviour sanitizer's data begin with the place in the source.
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
