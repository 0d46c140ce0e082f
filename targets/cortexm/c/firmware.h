/* What the test firmware may ask of the machine; see firmware.c. */
#ifndef FIRMWARE_H
#define FIRMWARE_H

#include <stdint.h>

enum { READ_BINARY = 1, WRITE_BINARY = 5 };

void say(const char *text);
void stop(uint32_t status) __attribute__((noreturn));
uint32_t open_file(const char *name, uint32_t mode);
void close_file(uint32_t handle);
uint32_t read_file(uint32_t handle, void *data, uint32_t bytes);
void write_file(uint32_t handle, const void *data, uint32_t bytes);
uint32_t ticks(void);
uint32_t ticks_since(uint32_t start);
void paint_stack(void);
uint32_t stack_used(void);

#endif
