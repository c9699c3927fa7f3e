/* What the load generator and the echo server share. */

#ifndef BENCH_COMMON_H
#define BENCH_COMMON_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OPCODE_TEXT 1
#define OPCODE_CLOSE 8
#define OPCODE_PING 9
#define OPCODE_PONG 10

__attribute__((noreturn, format(printf, 1, 2))) static inline void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fputc('\n', stderr);
    exit(1);
}

static inline void *allocate(size_t size)
{
    void *memory = calloc(1, size ? size : 1);
    if (!memory)
        die("no memory for %zu bytes", size);
    return memory;
}

/* XOR with the masking key; the target may overlap the source from below. */
static inline void mask(uint8_t *target, const uint8_t *source, size_t size, const uint8_t key[4])
{
    uint64_t wide, word;
    size_t i = 0;
    memcpy(&wide, key, 4);
    memcpy((uint8_t *)&wide + 4, key, 4);
    for (; i + 8 <= size; i += 8) {
        memcpy(&word, source + i, 8);
        word ^= wide;
        memcpy(target + i, &word, 8);
    }
    for (; i < size; i++)
        target[i] = source[i] ^ key[i & 3];
}

/* Write the header of an unfragmented frame (RFC 6455 5.2); return its size, at most 10. */
static inline size_t write_header(uint8_t *header, unsigned opcode, uint64_t size)
{
    header[0] = 0x80 | opcode;
    if (size < 126) {
        header[1] = size;
        return 2;
    }
    if (size < 65536) {
        header[1] = 126;
        header[2] = size >> 8;
        header[3] = size;
        return 4;
    }
    header[1] = 127;
    for (int i = 0; i < 8; i++)
        header[2 + i] = size >> (56 - 8 * i);
    return 10;
}

/* Read a header; return its size without the masking key, or 0 if bytes are missing. */
static inline size_t read_header(const uint8_t *bytes, size_t available, uint64_t *size)
{
    if (available < 2)
        return 0;
    uint64_t short_size = bytes[1] & 0x7f;
    size_t extra = short_size == 127 ? 8 : short_size == 126 ? 2 : 0;
    if (available < 2 + extra)
        return 0;
    *size = extra ? 0 : short_size;
    for (size_t i = 0; i < extra; i++)
        *size = *size << 8 | bytes[2 + i];
    return 2 + extra;
}

#endif
