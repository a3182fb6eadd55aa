// What the scheduler and the checker know of each other. Everything runs in one thread of the operating system.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

namespace runtime {

constexpr unsigned WARP = 32;

struct Buffer {
    char* start;
    size_t bytes;
    int parameter;   // the first parameter that it was passed to
    int constant;    // read through the cache that is not coherent: it must not be written
};

// A launch, as Python describes it (launch.py has the same structure).
struct Launch {
    const char* kernel;
    void (*invoke)(void*, void**);
    void* function;
    void** arguments;
    unsigned blocks, threads;
    int together;  // all blocks at once, else one after the other
    int schedule;  // 0 forward, 1 reverse, 2 random
    uint64_t seed;
    int checked;  // the kernel tells us every access
    int patience;  // seconds that a thread may run without waiting for another
    void* shared_anchor;  // an address in its thread-local storage
    Buffer* buffers;
    int buffer_count;
};

struct Site {
    const char* file;
    int line;
    bool operator!=(const Site& other) const { return line != other.line || std::strcmp(file, other.file) != 0; }
};

// The shared memory of the block that runs.
struct Shared {
    char* start = nullptr;
    size_t bytes = 0;
};

extern const Launch* launch;
extern Shared shared;
unsigned current_block();
unsigned current_thread();   // within its block
bool within_memory(const char* start, size_t bytes);  // of the buffers of this launch or of the block
bool on_own_stack(const void* address);
void pause();  // others may come first
// Ends the launch with a message about the running thread; does not return.
[[noreturn]] void fail(const std::string& what, Site site = {nullptr, 0});
std::string at(Site site);

}  // namespace runtime

// What the scheduler tells the checker; each does nothing unless the launch is checked.
namespace checker {
void begin();
void end();
void resumed();
void barrier(unsigned block);
void warp(unsigned block, unsigned first_thread, unsigned mask);
void fence();
void atomic(const void* address, unsigned size);
void publish(const void* address);  // by the last atomic
// An access by the running thread, at that instruction (or null).
enum Sort { READ, WRITE, ATOMIC, LOAD };
void access(const void* address, size_t size, Sort sort, const void* instruction);
// A volatile read: LOAD, and what atomics left there.
void load(const void* address, size_t size, const void* instruction);
}  // namespace checker
