#include "fibers.h"

#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <new>

extern "C" {
void __sanitizer_start_switch_fiber(void**, const void*, size_t) __attribute__((weak));
void __sanitizer_finish_switch_fiber(void*, const void**, size_t*) __attribute__((weak));
}

namespace fibers {
namespace {

constexpr size_t STACK = 64 * 1024, GUARD = 4096;

jmp_buf home;
// The address sanitizer must be told of each change of stack, and does not follow longjmp: it gets contexts, which are
// slower by a call of the kernel.
ucontext_t home_context;
void* fake_stack = nullptr;
const void* home_stack = nullptr;
size_t home_bytes = 0;

volatile sig_atomic_t turns = 0, turns_before = 0, inside = 0;
pthread_t owner;
void (*too_long)() = nullptr;
struct sigaction handler_before;

bool sanitized() { return __sanitizer_start_switch_fiber != nullptr; }

void prepare(Fiber& fiber, void (*main)()) {
    if (!fiber.stack) {
        void* memory = mmap(nullptr, STACK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (memory == MAP_FAILED) throw std::bad_alloc();
        mprotect(memory, GUARD, PROT_NONE);
        fiber.stack = static_cast<char*>(memory);
    }
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack + GUARD;
    fiber.context.uc_stack.ss_size = STACK - GUARD;
    fiber.context.uc_link = nullptr;
    makecontext(&fiber.context, main, 0);
}

void tick(int number) {
    if (!pthread_equal(pthread_self(), owner)) {
        pthread_kill(owner, number);  // the timer belongs to the process, the stacks to one thread
        return;
    }
    if (inside && turns == turns_before) too_long();
    turns_before = turns;
}

}  // namespace

bool Fiber::holds(const void* address) const {
    const char* p = static_cast<const char*>(address);
    return p >= stack && p < stack + STACK;
}

__attribute__((noinline)) void resume(Fiber& fiber, void (*main)()) {
    const bool first = !fiber.started;
    if (first) prepare(fiber, main);
    fiber.started = true;
    turns = turns + 1;
    inside = 1;
    if (sanitized()) {
        __sanitizer_start_switch_fiber(&fake_stack, fiber.stack + GUARD, STACK - GUARD);
        swapcontext(&home_context, &fiber.context);
        __sanitizer_finish_switch_fiber(fake_stack, nullptr, nullptr);
    } else if (!_setjmp(home)) {
        if (first) setcontext(&fiber.context);
        _longjmp(fiber.jump, 1);
    }
    inside = 0;
}

void arrive() {
    if (sanitized()) __sanitizer_finish_switch_fiber(nullptr, &home_stack, &home_bytes);
}

void leave(Fiber& fiber) {
    if (sanitized()) {
        __sanitizer_start_switch_fiber(nullptr, home_stack, home_bytes);
        swapcontext(&fiber.context, &home_context);
        arrive();
    } else if (!_setjmp(fiber.jump)) {
        _longjmp(home, 1);
    }
}

void watch(int seconds, void (*leave_now)()) {
    const itimerval interval = {{leave_now ? seconds : 0, 0}, {leave_now ? seconds : 0, 0}};
    if (leave_now) {
        owner = pthread_self();
        too_long = leave_now;
        struct sigaction action = {};
        action.sa_handler = tick;
        action.sa_flags = SA_NODEFER | SA_RESTART;  // the handler may be left by a jump
        sigaction(SIGVTALRM, &action, &handler_before);
    }
    setitimer(ITIMER_VIRTUAL, &interval, nullptr);
    if (!leave_now) sigaction(SIGVTALRM, &handler_before, nullptr);
}

}  // namespace fibers
