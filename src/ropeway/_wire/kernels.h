/* The byte loops of the wire: masking (RFC 6455 section 5.3), UTF-8 (RFC 3629) and header lines
 * (RFC 9112 section 5).
 *
 * Plain C11 without a Python object in sight, so that it can be compiled and fuzzed alone.
 * A masking key is a uint32_t whose lowest byte is the key's first byte; key 0 masks nothing.
 */
#ifndef ROPEWAY_KERNELS_H
#define ROPEWAY_KERNELS_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) && defined(__x86_64__) && !defined(ROPEWAY_PLAIN)
/* Compiled for a processor that not everybody has: called where it was found to be there. With
 * ROPEWAY_PLAIN, the loops for all the others can be tested here too. */
#define ROPEWAY_AVX2 __attribute__((target("avx2")))
#endif

#ifdef __GNUC__
#define ROPEWAY_INLINE inline __attribute__((always_inline))
#else
#define ROPEWAY_INLINE inline
#endif

/* Repeats a key so that byte i of the result, in memory order, masks byte i of the payload. */
static inline uint64_t ropeway_key_block(uint32_t key)
{
    uint8_t bytes[8];
    uint64_t block;
    for (int i = 0; i < 8; i++)
        bytes[i] = (uint8_t)(key >> (8 * (i & 3)));
    memcpy(&block, bytes, sizeof block);
    return block;
}

/* The key for the payload's rest, once `consumed` bytes of it have been unmasked. */
static inline uint32_t ropeway_rotate_key(uint32_t key, size_t consumed)
{
    const unsigned shift = 8 * (unsigned)(consumed & 3);
    return shift ? (key >> shift) | (key << (32 - shift)) : key;
}

static inline uint64_t ropeway_load(const uint8_t *src)
{
    uint64_t word;
    memcpy(&word, src, sizeof word);
    return word;
}

static inline uint8_t ropeway_fold(uint64_t word)
{
    word |= word >> 32;
    word |= word >> 16;
    return (uint8_t)(word | word >> 8);
}

/* Copies n bytes, masked, and returns all of them OR-ed together: < 0x80 means pure ASCII.
 * dst may be src. The 8-byte strides are what compilers turn into SIMD, 16 bytes wide on x86-64
 * and AArch64; written out by hand that was no faster. */
static ROPEWAY_INLINE uint8_t ropeway_mask_strides(uint8_t *dst, const uint8_t *src, size_t n,
                                                   uint32_t key)
{
    const uint64_t block = ropeway_key_block(key);
    uint64_t seen = 0, end = 0;
    if (n < 8) {
        uint8_t few = 0;
        for (size_t i = 0; i < n; i++) {
            const uint8_t byte = src[i] ^ (uint8_t)(key >> (8 * (i & 3)));
            few |= byte;
            dst[i] = byte;
        }
        return few;
    }
    /* The last 8 bytes overlap the last stride, so they are read before it is written. */
    if (n & 7)
        end = ropeway_load(src + n - 8) ^ ropeway_key_block(ropeway_rotate_key(key, n));
    for (size_t i = 0; i + 8 <= n; i += 8) {
        const uint64_t word = ropeway_load(src + i) ^ block;
        seen |= word;
        memcpy(dst + i, &word, 8);
    }
    if (n & 7) {
        seen |= end;
        memcpy(dst + n - 8, &end, 8);
    }
    return ropeway_fold(seen);
}

#ifdef ROPEWAY_AVX2
/* The same loop, 32 bytes wide. */
ROPEWAY_AVX2 static inline uint8_t ropeway_mask_avx2(uint8_t *dst, const uint8_t *src, size_t n,
                                                     uint32_t key)
{
    return ropeway_mask_strides(dst, src, n, key);
}
#endif

static inline uint8_t ropeway_mask_copy(uint8_t *dst, const uint8_t *src, size_t n, uint32_t key)
{
#ifdef ROPEWAY_AVX2
    /* Below this the wider loop isn't faster: there are too few strides. */
    if (n >= 256 && __builtin_cpu_supports("avx2"))
        return ropeway_mask_avx2(dst, src, n, key);
#endif
    return ropeway_mask_strides(dst, src, n, key);
}

/* All of n bytes OR-ed together, for text that arrived where it stays and isn't masked. */
static inline uint8_t ropeway_seen(const uint8_t *src, size_t n)
{
    uint64_t seen = 0;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        seen |= ropeway_load(src + i);
    for (; i < n; i++)
        seen |= src[i];
    return ropeway_fold(seen);
}

/* Length of the UTF-8 sequence that a byte starts, 0 where none may start with it. */
static inline unsigned ropeway_utf8_length(uint8_t lead)
{
    if (lead < 0x80)
        return 1;
    if (lead < 0xC2)
        return 0;
    if (lead < 0xE0)
        return 2;
    if (lead < 0xF0)
        return 3;
    return lead < 0xF5 ? 4 : 0;
}

/* Whether the second byte of a sequence may follow its lead: no overlong forms, no surrogates,
 * nothing above U+10FFFF (RFC 3629 section 4). */
static inline int ropeway_utf8_second(uint8_t lead, uint8_t byte)
{
    switch (lead) {
    case 0xE0:
        return byte >= 0xA0 && byte <= 0xBF;
    case 0xED:
        return byte >= 0x80 && byte <= 0x9F;
    case 0xF0:
        return byte >= 0x90 && byte <= 0xBF;
    case 0xF4:
        return byte >= 0x80 && byte <= 0x8F;
    default:
        return (byte & 0xC0) == 0x80;
    }
}

/* Scans text and returns how many bytes at its start are complete, valid sequences.
 * Where that is less than n, *truncated tells whether the rest is the valid beginning of a
 * sequence (more bytes may complete it) or already wrong. */
static inline size_t ropeway_utf8_scan(const uint8_t *text, size_t n, int *truncated)
{
    size_t i = 0;
    *truncated = 0;
    while (i < n) {
        uint64_t word;
        if (i + 8 <= n) {
            memcpy(&word, text + i, 8);
            if (!(word & UINT64_C(0x8080808080808080))) {
                i += 8;
                continue;
            }
        }
        const uint8_t lead = text[i];
        const unsigned length = ropeway_utf8_length(lead);
        if (length == 1) {
            i++;
            continue;
        }
        if (length == 0)
            return i;
        if (i + 1 < n && !ropeway_utf8_second(lead, text[i + 1]))
            return i;
        for (unsigned k = 2; k < length && i + k < n; k++)
            if ((text[i + k] & 0xC0) != 0x80)
                return i;
        if (i + length > n) {
            *truncated = 1;
            return i;
        }
        i += length;
    }
    return n;
}

/* Writes a frame header and returns its size (2 to 14 bytes); RFC 6455 section 5.2 demands the
 * shortest length form. */
static inline size_t ropeway_write_header(uint8_t *dst, uint8_t first, uint64_t length,
                                          int masked, uint32_t key)
{
    const uint8_t mask_bit = masked ? 0x80 : 0;
    size_t size = 2;
    dst[0] = first;
    if (length < 126) {
        dst[1] = mask_bit | (uint8_t)length;
    } else if (length < 65536) {
        dst[1] = mask_bit | 126;
        dst[2] = (uint8_t)(length >> 8);
        dst[3] = (uint8_t)length;
        size = 4;
    } else {
        dst[1] = mask_bit | 127;
        for (int i = 0; i < 8; i++)
            dst[2 + i] = (uint8_t)(length >> (56 - 8 * i));
        size = 10;
    }
    if (masked) {
        for (int i = 0; i < 4; i++)
            dst[size + i] = (uint8_t)(key >> (8 * i));
        size += 4;
    }
    return size;
}

static inline size_t ropeway_header_size(uint64_t length, int masked)
{
    return (length < 126 ? 2 : length < 65536 ? 4 : 10) + (masked ? 4 : 0);
}

/* A token's bytes (RFC 9110 section 5.6.2) in lower case; 0 for bytes that no token has. The first
 * of the table is the space. */
static const uint8_t ropeway_token_bytes[96] = {
    0, '!', 0, '#', '$', '%', '&', '\'', 0, 0, '*', '+', 0, '-', '.', 0,
    '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 0, 0, 0, 0, 0, 0,
    0, 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, 0, 0, '^', '_',
    '`', 'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'k', 'l', 'm', 'n', 'o',
    'p', 'q', 'r', 's', 't', 'u', 'v', 'w', 'x', 'y', 'z', 0, '|', 0, '~', 0,
};

static inline uint8_t ropeway_token_lower(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x80 ? ropeway_token_bytes[byte - 0x20] : 0;
}

/* Finds "name: value\r\n" at the start of n bytes, in its plainest form: a token, one space, and a
 * value that neither is empty nor begins or ends with whitespace. Returns its size, or 0 where the
 * line has another form or is none. */
static inline size_t ropeway_header_line(const uint8_t *line, size_t n, size_t *name_size,
                                         size_t *value_size)
{
    size_t i = 0;
    while (i < n && ropeway_token_lower(line[i]))
        i++;
    if (i == 0 || n - i < 5 || line[i] != ':' || line[i + 1] != ' ')
        return 0;
    *name_size = i;
    const size_t start = i + 2;
    const uint8_t *const end = memchr(line + start, '\r', n - start);
    if (end == NULL || end == line + start || end + 1 == line + n || end[1] != '\n')
        return 0;
    /* RFC 9110 section 5.5: no control character but the tab. */
    unsigned controls = 0;
    for (i = start; line + i < end; i++)
        controls |= ((line[i] < 0x20) & (line[i] != '\t')) | (line[i] == 0x7F);
    if (controls || line[start] == ' ' || line[start] == '\t' || line[i - 1] == ' '
        || line[i - 1] == '\t')
        return 0;
    *value_size = i - start;
    return i + 2;
}

#endif
