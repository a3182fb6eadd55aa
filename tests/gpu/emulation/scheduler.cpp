// Threads as fibers: who runs, who waits for whom, and what is wrong when nobody can.

#include "fibers.h"
#include "runtime.h"

#include <link.h>

#include <algorithm>
#include <cstring>
#include <memory>
#include <random>

enum emulation_exchange_kind { EMULATION_SHUFFLE, EMULATION_VOTE, EMULATION_SYNC_WARP };
struct emulation_index {
    unsigned x, y, z;
};
extern "C" {
emulation_index threadIdx, blockIdx, blockDim, gridDim;
}

namespace runtime {
namespace {

// So many rounds in which every thread only waited, and nothing changed, are a deadlock.
constexpr int PATIENCE = 2000;

enum class State { READY, AT_BARRIER, IN_EXCHANGE, DONE };

struct Fiber : fibers::Fiber {
    unsigned block = 0, thread = 0;
    State state = State::READY;
    Site site{};
    // What an exchange is about, and what came of it.
    int kind = 0, source = 0;
    unsigned mask = 0;
    uint64_t value = 0;
};

struct Block {
    unsigned ready = 0, waiting = 0, done = 0;
    unsigned last_waiting = 0;  // one of the waiting threads
    std::vector<char> memory;  // its shared memory while another block runs
};

std::vector<std::unique_ptr<Fiber>> pool;  // stacks are kept from launch to launch
std::vector<Fiber*> threads;
std::vector<Block> blocks;
Fiber* running = nullptr;
unsigned first_block = 0;
unsigned resident = ~0u;  // the block whose shared memory lies in `shared`
bool progressed = false;
std::string failure;

void leave() { fibers::leave(*running); }

void fiber_main() {
    fibers::arrive();
    for (;;) {
        launch->invoke(launch->function, launch->arguments);
        Fiber& own = *running;
        Block& block = blocks[own.block];
        own.state = State::DONE;
        --block.ready;
        ++block.done;
        progressed = true;
        leave();
    }
}

void enter_block(unsigned number) {
    if (resident == number || !shared.bytes) return;
    if (resident != ~0u) std::memcpy(blocks[resident].memory.data(), shared.start, shared.bytes);
    std::memcpy(shared.start, blocks[number].memory.data(), shared.bytes);
    resident = number;
}

void run(Fiber& fiber) {
    running = &fiber;
    checker::resumed();
    enter_block(fiber.block);
    threadIdx.x = fiber.thread;
    blockIdx.x = fiber.block;
    fibers::resume(fiber, fiber_main);
    running = nullptr;
}

std::string name(const Fiber& fiber) {
    return "block " + std::to_string(fiber.block) + ", thread " + std::to_string(fiber.thread);
}

const char* doing(const Fiber& fiber) {
    static const char* const exchanges[] = {"a shuffle", "a vote", "__syncwarp"};
    if (fiber.state == State::AT_BARRIER) return "__syncthreads";
    return fiber.state == State::IN_EXCHANGE ? exchanges[fiber.kind] : "a loop";
}

// Nobody can run on: say who waits for what, and which thread does not come.
std::string deadlock() {
    for (Fiber* fiber : threads) {
        if (fiber->state != State::AT_BARRIER && fiber->state != State::IN_EXCHANGE) continue;
        std::string message = name(*fiber) + " waits at " + doing(*fiber) + at(fiber->site);
        for (Fiber* other : threads) {
            const bool same = other->state == fiber->state && other->site.line == fiber->site.line;
            if (other->block != fiber->block || same) continue;
            if (fiber->state == State::IN_EXCHANGE &&
                (other->thread / WARP != fiber->thread / WARP || !(fiber->mask >> other->thread % WARP & 1))) continue;
            if (other->state == State::DONE) return message + ", and " + name(*other) + " has returned";
            return message + ", and " + name(*other) + " waits at " + doing(*other) + at(other->site);
        }
        return message + ", and others never come";
    }
    return "nothing can run";
}

std::string endless() {
    for (Fiber* fiber : threads)
        if (fiber->state == State::READY)
            return "deadlock: " + name(*fiber) + " waits in a loop" + at(fiber->site) + " for what no other thread does" +
                   (launch->together ? "" : " (blocks do not run at once: the launch is not cooperative)");
    return "deadlock: " + deadlock();
}

void run_away() { fail("runs on and on", running->site); }

void set_up(unsigned first, unsigned count) {
    const unsigned width = launch->threads;
    blocks.assign(first + count, Block{});
    threads.clear();
    first_block = first;
    while (pool.size() < size_t(count) * width) pool.push_back(std::make_unique<Fiber>());
    for (unsigned b = 0; b < count; ++b) {
        blocks[first + b].ready = width;
        blocks[first + b].memory.assign(shared.bytes, char(0xff));
        for (unsigned t = 0; t < width; ++t) {
            Fiber* fiber = pool[size_t(b) * width + t].get();
            fiber->block = first + b;
            fiber->thread = t;
            fiber->state = State::READY;
            fiber->site = {};
            threads.push_back(fiber);
        }
    }
    resident = ~0u;
}

void one_round(std::mt19937_64& random) {
    static std::vector<Fiber*> order;
    order = threads;
    if (launch->schedule == 1) std::reverse(order.begin(), order.end());
    if (launch->schedule == 2) std::shuffle(order.begin(), order.end(), random);
    for (Fiber* fiber : order) {
        if (fiber->state == State::READY) run(*fiber);
        if (!failure.empty()) return;
    }
}

// Run these blocks to their ends.
void run_blocks(unsigned first, unsigned count, std::mt19937_64& random) {
    set_up(first, count);
    int idle = 0;
    for (;;) {
        unsigned ready = 0, done = 0;
        for (const Block& block : blocks) ready += block.ready, done += block.done;
        if (done == threads.size()) return;
        if (!ready) failure = "deadlock: " + deadlock();
        if (idle > PATIENCE) failure = endless();
        if (!failure.empty()) return;
        progressed = false;
        one_round(random);
        idle = progressed ? 0 : idle + 1;
    }
}

int find_shared(dl_phdr_info* info, size_t, void*) {
    const char* anchor = static_cast<const char*>(launch->shared_anchor);
    for (int i = 0; i < info->dlpi_phnum; ++i) {
        const auto& header = info->dlpi_phdr[i];
        char* start = static_cast<char*>(info->dlpi_tls_data);
        if (header.p_type != PT_TLS || !start || anchor < start || anchor >= start + header.p_memsz) continue;
        shared.start = start;
        shared.bytes = header.p_memsz;
        return 1;
    }
    return 0;
}

// The warp of a thread, and how many threads it has.
Fiber** warp_of(const Fiber& fiber) {
    return &threads[size_t(fiber.block - first_block) * launch->threads + fiber.thread / WARP * WARP];
}
unsigned lanes_of(const Fiber& fiber) { return std::min(WARP, launch->threads - fiber.thread / WARP * WARP); }

// Every lane of the mask is here: hand out the values, and let all go on.
void complete_exchange(Fiber** warp, unsigned mask, int kind) {
    uint64_t values[WARP] = {}, votes = 0;
    for (unsigned lane = 0; lane < WARP; ++lane) {
        if (!(mask >> lane & 1)) continue;
        values[lane] = warp[lane]->value;
        if (values[lane]) votes |= uint64_t(1) << lane;
    }
    for (unsigned lane = 0; lane < WARP; ++lane) {
        if (!(mask >> lane & 1)) continue;
        warp[lane]->value = kind == EMULATION_SHUFFLE ? values[warp[lane]->source] : votes;
        warp[lane]->state = State::READY;
        ++blocks[warp[lane]->block].ready;
    }
    if (kind == EMULATION_SYNC_WARP) checker::warp(warp[0]->block, warp[0]->thread, mask);
    progressed = true;
}

}  // namespace

const Launch* launch = nullptr;
Shared shared;
unsigned current_block() { return running->block; }
unsigned current_thread() { return running->thread; }

bool on_own_stack(const void* address) { return running->holds(address); }

bool within_memory(const char* p, size_t size) {
    if (p >= shared.start && p + size <= shared.start + shared.bytes) return true;
    for (int i = 0; i < launch->buffer_count; ++i) {
        const Buffer& buffer = launch->buffers[i];
        if (p >= buffer.start && p + size <= buffer.start + buffer.bytes) return true;
    }
    return false;
}

std::string at(Site site) {
    return site.file ? std::string(" at ") + site.file + ":" + std::to_string(site.line) : std::string();
}

void pause() { leave(); }

void fail(const std::string& what, Site site) {
    failure = name(*running) + ": " + what + at(site);
    leave();
    __builtin_unreachable();
}

}  // namespace runtime

using namespace runtime;

extern "C" {

void emulation_barrier(const char* file, int line) {
    Fiber& own = *running;
    Block& block = blocks[own.block];
    const Fiber& other = *threads[size_t(own.block - first_block) * launch->threads + block.last_waiting];
    own.site = {file, line};
    if (block.done) fail("reaches __syncthreads, which a thread that returned early never will", own.site);
    if (block.waiting && other.site != own.site)
        fail("reaches __syncthreads" + at(own.site) + " while thread " + std::to_string(other.thread) + " waits", other.site);
    block.last_waiting = own.thread;
    if (++block.waiting < launch->threads) {
        own.state = State::AT_BARRIER;
        --block.ready;
        leave();
        return;
    }
    Fiber** all = &threads[size_t(own.block - first_block) * launch->threads];
    for (unsigned t = 0; t < launch->threads; ++t) all[t]->state = State::READY;
    block.ready = launch->threads;
    block.waiting = 0;
    progressed = true;
    checker::barrier(own.block);
    leave();  // in the order of the schedule, not with the last one first
}

void emulation_fence() { checker::fence(); }

void emulation_changed(const void* address) {
    progressed = true;
    checker::publish(address);
}

void emulation_pause(const char* file, int line) {
    running->site = {file, line};
    leave();
}

void emulation_fail(const char* what, const char* file, int line) { fail(what, {file, line}); }

void emulation_atomic(const void* address, unsigned size, const char* file, int line) {
    emulation_pause(file, line);  // others may come first
    const char* p = static_cast<const char*>(address);
    if (reinterpret_cast<uintptr_t>(p) % size) fail("atomic on a misaligned address", running->site);
    if (!within_memory(p, size)) fail("atomic out of bounds", running->site);
    checker::atomic(address, size);
}

unsigned long long emulation_exchange(int kind, unsigned mask, unsigned long long value, int source, const char* file,
                                      int line) {
    Fiber& own = *running;
    Fiber** warp = warp_of(own);
    const unsigned lane = own.thread % WARP, lanes = lanes_of(own);
    own.site = {file, line};
    own.kind = kind, own.mask = mask, own.value = value, own.source = source;
    if (!(mask >> lane & 1)) fail("is not in the mask that it passes", own.site);
    if (lanes < WARP && mask >> lanes) fail("names lanes in the mask that the block does not have", own.site);
    if (!(mask >> source & 1) && kind == EMULATION_SHUFFLE) fail("reads a lane outside the mask", own.site);
    bool complete = true;
    for (unsigned other = 0; other < lanes; ++other) {
        if (other == lane || !(mask >> other & 1)) continue;
        const Fiber& fiber = *warp[other];
        if (fiber.state == State::DONE) fail("shuffles with thread " + std::to_string(fiber.thread) + ", which has returned", own.site);
        if (fiber.state != State::IN_EXCHANGE)
            complete = false;
        else if (fiber.kind != kind || fiber.mask != mask || fiber.site != own.site)
            fail("meets thread " + std::to_string(fiber.thread) + " in another exchange" + at(fiber.site), own.site);
    }
    own.state = State::IN_EXCHANGE;
    --blocks[own.block].ready;
    if (complete) complete_exchange(warp, mask, kind);
    leave();
    return own.value;
}

// Run a kernel; null, or what went wrong.
const char* emulation_launch(const Launch* description) {
    launch = description;
    failure.clear();
    shared = Shared();
    dl_iterate_phdr(find_shared, nullptr);
    blockDim = {launch->threads, 1, 1};
    gridDim = {launch->blocks, 1, 1};
    checker::begin();
    fibers::watch(launch->patience, run_away);
    std::mt19937_64 random(launch->seed);
    if (launch->together) {
        run_blocks(0, launch->blocks, random);
    } else {
        std::vector<unsigned> order(launch->blocks);
        for (unsigned b = 0; b < launch->blocks; ++b) order[b] = b;
        if (launch->schedule == 1) std::reverse(order.begin(), order.end());
        if (launch->schedule == 2) std::shuffle(order.begin(), order.end(), random);
        for (unsigned block : order)
            if (failure.empty()) run_blocks(block, 1, random);
    }
    fibers::watch(0, nullptr);
    checker::end();
    launch = nullptr;
    for (Fiber* fiber : threads)
        if (!failure.empty()) fiber->started = false;  // it stands in the middle of the kernel
    return failure.empty() ? nullptr : failure.c_str();
}

}  // extern "C"
