// Fibers: stacks that take turns on one thread of the operating system.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>

namespace fibers {

struct Fiber {
    jmp_buf jump;
    ucontext_t context;
    char* stack = nullptr;
    bool started = false;  // set to false to begin anew, whatever it stands in

    bool holds(const void* address) const;  // on its stack
};

// Run a fiber until it leaves. `main` is what it runs: it calls `arrive` first, and does not return.
void resume(Fiber& fiber, void (*main)());
void arrive();
void leave(Fiber& fiber);

// Have `leave_now` called, on the stack of whatever fiber runs, once one has run for so many seconds of this
// process without leaving. Without a callback: no longer.
void watch(int seconds, void (*leave_now)());

}  // namespace fibers
