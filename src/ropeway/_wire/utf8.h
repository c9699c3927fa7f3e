/* Text between UTF-8 (RFC 3629) and the three widths in which CPython stores it.
 *
 * A text is surveyed once: checked, and counted for the size and width of its str. What was
 * surveyed is then widened without another look at its validity; the other way round likewise.
 * Plain C11 without a Python object in sight. Where the processor has AVX2, which is asked at run
 * time, all but the ends of a text go through it.
 */
#ifndef ROPEWAY_UTF8_H
#define ROPEWAY_UTF8_H

#include "kernels.h"

/* What is known of a text so far: its characters, and the largest byte of them. */
typedef struct {
    size_t characters;
    uint8_t top;
} ropeway_survey;

/* Bytes a character that is stored in a str of the surveyed text takes: 1, 2 or 4. */
static inline int ropeway_width(const ropeway_survey *survey)
{
    return survey->top < 0xC4 ? 1 : survey->top < 0xF0 ? 2 : 4;
}

/* Surveys text and returns how many bytes at its start are complete, valid sequences; only those
 * are counted. Where that is less than n, *truncated tells whether the rest is the valid beginning
 * of a sequence (more bytes may complete it) or already wrong. */
static inline size_t ropeway_survey_plain(const uint8_t *text, size_t n, int *truncated,
                                          ropeway_survey *survey)
{
    const size_t valid = ropeway_utf8_scan(text, n, truncated);
    for (size_t i = 0; i < valid; i++) {
        survey->characters += (text[i] & 0xC0) != 0x80;
        if (text[i] > survey->top)
            survey->top = text[i];
    }
    return valid;
}

/* Reads the character at text, which is known to be valid, and moves on. */
static inline uint32_t ropeway_next_character(const uint8_t **text)
{
    const uint8_t *const at = *text;
    const unsigned length = ropeway_utf8_length(at[0]);
    *text += length;
    switch (length) {
    case 1:
        return at[0];
    case 2:
        return (at[0] & 0x1Fu) << 6 | (at[1] & 0x3Fu);
    case 3:
        return (at[0] & 0x0Fu) << 12 | (at[1] & 0x3Fu) << 6 | (at[2] & 0x3Fu);
    default:
        return (at[0] & 0x07u) << 18 | (at[1] & 0x3Fu) << 12 | (at[2] & 0x3Fu) << 6 |
               (at[3] & 0x3Fu);
    }
}

/* One character of a str whose characters are `width` bytes wide. */
static ROPEWAY_INLINE uint32_t ropeway_character(const void *str, int width, size_t index)
{
    if (width == 1)
        return ((const uint8_t *)str)[index];
    return width == 2 ? ((const uint16_t *)str)[index] : ((const uint32_t *)str)[index];
}

static ROPEWAY_INLINE void ropeway_set_character(void *str, int width, size_t index,
                                                 uint32_t character)
{
    if (width == 1)
        ((uint8_t *)str)[index] = (uint8_t)character;
    else if (width == 2)
        ((uint16_t *)str)[index] = (uint16_t)character;
    else
        ((uint32_t *)str)[index] = character;
}

/* Writes a character as UTF-8 and returns the place behind it. */
static inline uint8_t *ropeway_write_character(uint8_t *dst, uint32_t character)
{
    if (character < 0x80) {
        *dst++ = (uint8_t)character;
        return dst;
    }
    if (character < 0x800) {
        *dst++ = (uint8_t)(0xC0 | character >> 6);
    } else {
        if (character < 0x10000) {
            *dst++ = (uint8_t)(0xE0 | character >> 12);
        } else {
            *dst++ = (uint8_t)(0xF0 | character >> 18);
            *dst++ = (uint8_t)(0x80 | (character >> 12 & 0x3F));
        }
        *dst++ = (uint8_t)(0x80 | (character >> 6 & 0x3F));
    }
    *dst++ = (uint8_t)(0x80 | (character & 0x3F));
    return dst;
}

/* Counts the bytes that n characters take as UTF-8. Sets *surrogates where there are any, which
 * have no UTF-8. The counts of a chunk fit into the width of the narrower characters, so that
 * compilers count many at a time. */
static ROPEWAY_INLINE size_t ropeway_measure(const void *str, int width, size_t n,
                                             int *surrogates)
{
    size_t size = n;
    uint32_t bad = 0;
    for (size_t start = 0; start < n;) {
        const size_t stop = n - start < 64 ? n : start + 64;
        if (width == 1) {
            uint8_t more = 0;
            for (; start < stop; start++)
                more += ((const uint8_t *)str)[start] >> 7;
            size += more;
        } else if (width == 2) {
            uint16_t more = 0, wrong = 0;
            for (; start < stop; start++) {
                const uint16_t character = ((const uint16_t *)str)[start];
                more += (uint16_t)((character > 0x7F) + (character > 0x7FF));
                wrong |= (character & 0xF800) == 0xD800;
            }
            size += more;
            bad |= wrong;
        } else {
            uint32_t more = 0, wrong = 0;
            for (; start < stop; start++) {
                const uint32_t character = ((const uint32_t *)str)[start];
                more += (uint32_t)(character > 0x7F) + (character > 0x7FF) + (character > 0xFFFF);
                wrong |= (character & 0xFFFFF800) == 0xD800;
            }
            size += more;
            bad |= wrong;
        }
    }
    *surrogates = bad != 0;
    return size;
}

#ifdef ROPEWAY_AVX2
#include "utf8_avx2.h"
#else
static inline void ropeway_utf8_prepare(void) {}
static inline int ropeway_utf8_is_fast(void) { return 0; }
#endif

static inline size_t ropeway_utf8_survey(const uint8_t *text, size_t n, int *truncated,
                                         ropeway_survey *survey)
{
#ifdef ROPEWAY_AVX2
    if (ropeway_utf8_is_fast())
        return ropeway_survey_avx2(text, n, truncated, survey);
#endif
    return ropeway_survey_plain(text, n, truncated, survey);
}

/* Widens n bytes of text that were surveyed into a str of that width. */
static inline void ropeway_utf8_widen(void *str, int width, const uint8_t *text, size_t n)
{
    const uint8_t *const end = text + n;
    size_t done = 0;
#ifdef ROPEWAY_AVX2
    if (ropeway_utf8_is_fast())
        text = ropeway_widen_avx2(str, width, text, n, &done);
#endif
    while (text < end)
        ropeway_set_character(str, width, done++, ropeway_next_character(&text));
}

/* Counts the bytes of a str as UTF-8; see ropeway_measure(). */
static inline size_t ropeway_utf8_size(const void *str, int width, size_t n, int *surrogates)
{
#ifdef ROPEWAY_AVX2
    if (ropeway_utf8_is_fast())
        return ropeway_measure_avx2(str, width, n, surrogates);
#endif
    return width == 1   ? ropeway_measure(str, 1, n, surrogates)
           : width == 2 ? ropeway_measure(str, 2, n, surrogates)
                        : ropeway_measure(str, 4, n, surrogates);
}

/* Writes a str without surrogates as UTF-8, of exactly the size that was counted. */
static inline void ropeway_utf8_write(uint8_t *dst, const void *str, int width, size_t n)
{
    size_t done = 0;
#ifdef ROPEWAY_AVX2
    if (ropeway_utf8_is_fast())
        dst = ropeway_narrow_avx2(dst, str, width, n, &done);
#endif
    for (; done < n; done++)
        dst = ropeway_write_character(dst, ropeway_character(str, width, done));
}

#endif
