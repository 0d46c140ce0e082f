/* Start-up, semihosting and counters of a bare Cortex-M: what the test firmware needs of a machine, and no libc. */
#include "firmware.h"

#include <stddef.h>

extern uint32_t stack_top, data_start, data_end, data_image, bss_start, bss_end;

enum { SYS_OPEN = 0x01, SYS_CLOSE = 0x02, SYS_WRITE0 = 0x04, SYS_WRITE = 0x05, SYS_READ = 0x06, SYS_EXIT_EXTENDED = 0x20 };
enum { STOPPED_NORMALLY = 0x20026, PAINT = 0x5EEDF00D };

#define REGISTER(address) (*(volatile uint32_t *)(address))
#define SYSTICK_CONTROL REGISTER(0xE000E010)
#define SYSTICK_RELOAD REGISTER(0xE000E014)
#define SYSTICK_VALUE REGISTER(0xE000E018)

static uint32_t semihost(uint32_t operation, const void *argument) {
    register uint32_t r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = argument;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
    return r0;
}

void say(const char *text) { semihost(SYS_WRITE0, text); }

void stop(uint32_t status) {
    const uint32_t block[2] = {STOPPED_NORMALLY, status};
    semihost(SYS_EXIT_EXTENDED, block);
    for (;;) {
    }
}

uint32_t open_file(const char *name, uint32_t mode) {
    uint32_t length = 0;
    for (const volatile char *c = name; *c; c++) length++; /* not volatile, it would become a call of strlen */
    const uint32_t block[3] = {(uint32_t)name, mode, length};
    uint32_t handle = semihost(SYS_OPEN, block);
    if (handle == UINT32_MAX) {
        say("a file can't be opened: ");
        say(name);
        stop(3);
    }
    return handle;
}

void close_file(uint32_t handle) { semihost(SYS_CLOSE, &handle); }

uint32_t read_file(uint32_t handle, void *data, uint32_t bytes) {
    const uint32_t block[3] = {handle, (uint32_t)data, bytes};
    return bytes - semihost(SYS_READ, block);
}

void write_file(uint32_t handle, const void *data, uint32_t bytes) {
    const uint32_t block[3] = {handle, (uint32_t)data, bytes};
    if (semihost(SYS_WRITE, block) != 0) {
        say("a file can't be written\n");
        stop(3);
    }
}

static void fault(void) {
    say("the processor met a fault\n");
    stop(4);
}

/* SysTick counts down from 2^24; under an emulator that counts instructions, a fixed number of them to the tick. */
uint32_t ticks(void) { return 0xFFFFFFu - SYSTICK_VALUE; }

uint32_t ticks_since(uint32_t start) { return (ticks() - start) & 0xFFFFFFu; }

/* Fills what lies below the stack in use with a pattern, which tells later how deep the stack grew. In one piece of assembly,
   so that nothing is pushed between reading the stack pointer and the end. */
__attribute__((noinline)) void paint_stack(void) {
    uint32_t *low = &bss_end;
    __asm__ volatile(
        "mov r3, sp\n"
        "1: cmp %0, r3\n"
        "bhs 2f\n"
        "str %1, [%0], #4\n"
        "b 1b\n"
        "2:\n"
        : "+r"(low)
        : "r"(PAINT)
        : "r3", "cc", "memory");
}

/* Bytes below the caller's stack that aren't as they were painted. */
__attribute__((noinline)) uint32_t stack_used(void) {
    const uint32_t *low = &bss_end;
    while (*low == PAINT) low++;
    return (uint32_t)__builtin_dwarf_cfa() - (uint32_t)low;
}

int main(void);

__attribute__((naked, noreturn)) void reset(void) {
    __asm__ volatile(
        "ldr r0, =stack_top\n mov sp, r0\n"
        "ldr r0, =0xE000ED88\n ldr r1, [r0]\n orr r1, r1, #(15 << 20)\n str r1, [r0]\n dsb\n isb\n" /* the FPU on */
        "b start\n");
}

__attribute__((noreturn, used)) void start(void) {
    volatile uint32_t *to = &data_start;
    for (const uint32_t *from = &data_image; to < &data_end;) *to++ = *from++;
    for (to = &bss_start; to < &bss_end;) *to++ = 0;
    SYSTICK_RELOAD = 0xFFFFFF;
    SYSTICK_VALUE = 0;
    SYSTICK_CONTROL = 5; /* on, by the processor's clock, no interrupt */
    stop((uint32_t)main());
    for (;;) {
    }
}

__attribute__((section(".vectors"), used)) static void (*const vectors[16])(void) = {
    (void (*)(void)) & stack_top, reset, fault, fault, fault, fault, fault, NULL, NULL, NULL, NULL, fault, fault, NULL, fault, fault};
