// Races and bounds, from every access of a kernel to memory (hooks.cpp). Races are found by vector clocks, one per
// thread: an access must be ordered after the conflicting ones by __syncthreads, __syncwarp, or atomics between fences,
// whatever order the schedule happened to run them in. The memory model is that of C++ with relaxed atomics and fences.

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
    Accesses reads, atomics, loads;
};

struct Region {
    const char *start = nullptr, *end = nullptr;
    std::vector<Word> words;  // none until the first access

    Word& at(const char* p) {
        if (words.empty()) words.resize((end - start) / 4 + 1);
        return words[(p - start) / 4];
    }
};

std::vector<Thread> threads;
std::vector<Region> arguments;  // the buffers of the launch; those that overlap are one
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

[[noreturn]] void race(Sort sort, const char* before, Access other, const std::string& where, uint32_t place) {
    static const char* const verbs[] = {"reads ", "writes ", "changes by an atomic ", "reads as volatile "};
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
    if (sort == READ || sort == WRITE)
        if (Access other = word.atomics.first(unordered)) race(sort, " changed by an atomic", other, name_of(p, buffer), place);
    if (sort == WRITE || sort == ATOMIC)
        if (Access other = word.reads.first(unordered)) race(sort, " read", other, name_of(p, buffer), place);
    if (sort == WRITE)
        if (Access other = word.loads.first(unordered)) race(sort, " read as volatile", other, name_of(p, buffer), place);
    const Access own{me, thread.now, place};
    if (sort == READ || sort == LOAD) {
        if (buffer < 0 && !word.write && !word.atomics.one)
            runtime::fail("reads " + name_of(p, buffer) + line_of(place) + " before anything was written there");
        (sort == READ ? word.reads : word.loads).add(own);
    } else if (sort == ATOMIC) {
        word.atomics.add(own);
    } else {
        word.write = own;
        word.reads.clear();
        word.atomics.clear();
        word.loads.clear();
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
    runtime::fail(std::string("out of bounds: ") + (sort == READ || sort == LOAD ? "reads " : "writes ") + std::to_string(size) + " bytes, " + where +
                  line_of(place));
}

void check_writable(const char* p, int found, uint32_t place) {
    for (int i = 0; i < launch->buffer_count; ++i) {
        const auto& each = launch->buffers[i];
        if (each.constant && p >= each.start && p < each.start + each.bytes)
            runtime::fail("writes " + name_of(p, found) + ", which is read through the non-coherent cache" + line_of(place));
    }
}

// Buffers that overlap, such as an array and its first rows, share their words.
void lay_out_arguments() {
    arguments.clear();
    for (int i = 0; i < launch->buffer_count; ++i) {
        const auto& buffer = launch->buffers[i];
        arguments.emplace_back();
        arguments.back().start = buffer.start;
        arguments.back().end = buffer.start + buffer.bytes;
    }
    std::sort(arguments.begin(), arguments.end(), [](const Region& a, const Region& b) { return a.start < b.start; });
    size_t kept = 0;
    for (size_t i = 1; i < arguments.size(); ++i) {
        if (arguments[i].start < arguments[kept].end)
            arguments[kept].end = std::max(arguments[kept].end, arguments[i].end);
        else
            std::swap(arguments[++kept], arguments[i]);
    }
    if (!arguments.empty()) arguments.resize(kept + 1);
}

Region& region_of(const char* p, int buffer) {
    if (buffer >= 0) {
        size_t i = arguments.size() - 1;
        while (arguments[i].start > p) --i;
        return arguments[i];
    }
    Region& own = shared[runtime::current_block()];
    own.start = runtime::shared.start;
    own.end = own.start + runtime::shared.bytes;
    return own;
}

}  // namespace

void access(const void* address, size_t size, Sort sort, const void* instruction) {
    const char* p = static_cast<const char*>(address);
    if (!launch || !launch->checked || runtime::on_own_stack(p)) return;
    const uint32_t place = place_of(instruction);
    if (++steps > PATIENCE) runtime::fail("runs on and on" + line_of(place));
    if (size <= 16 && reinterpret_cast<uintptr_t>(p) % size) runtime::fail("misaligned address" + line_of(place));
    int found = -2;
    const auto& block = runtime::shared;
    if (p >= block.start && p + size <= block.start + block.bytes) found = -1;
    for (int i = 0; found == -2 && i < launch->buffer_count; ++i) {
        const auto& each = launch->buffers[i];
        if (p >= each.start && p + size <= each.start + each.bytes) found = i;
    }
    if (found == -2) outside(p, size, sort, place);
    if (found >= 0 && sort != READ && sort != LOAD) check_writable(p, found, place);
    Region& region = region_of(p, found);
    for (const char* word = p - (p - region.start) % 4; word < p + size; word += 4)
        check(region.at(word), sort, word, found, place);
}

void begin() {
    if (!launch->checked) return;
    const size_t count = size_t(launch->blocks) * launch->threads;
    threads.assign(count, Thread());
    const auto nothing = std::make_shared<const Clock>(count);
    for (Thread& thread : threads) thread.known = nothing;
    lay_out_arguments();
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

static void receive(const void* address) {
    const auto carried = handed_on.find(address);
    if (carried != handed_on.end()) join(threads[self()].brought, carried->second);
}

void atomic(const void* address, unsigned size) {
    if (!launch->checked) return;
    access(address, size, ATOMIC, nullptr);
    receive(address);
}

// Of a word that atomics change this is C++'s relaxed load; of one that is written otherwise it is a plain read, as the
// write is found to race.
void load(const void* address, size_t size, const void* instruction) {
    if (!launch || !launch->checked || runtime::on_own_stack(static_cast<const char*>(address))) return;
    runtime::pause();
    access(address, size, LOAD, instruction);
    receive(address);
}

// Only an atomic that changes the number hands on what came before its thread's fence: C++ would let one that adds
// zero do so too, but a source that needs this does not say what it means.
void publish(const void* address) {
    if (!launch->checked) return;
    const uint32_t me = self();
    const Thread& thread = threads[me];
    if (!thread.released) return;
    Clock& carried = handed_on[address];
    join(carried, *thread.released);
    carried[me] = std::max(carried[me], thread.released_at);
}

}  // namespace checker
