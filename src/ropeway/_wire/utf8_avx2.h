/* UTF-8 at 8 to 32 bytes a stride; utf8.h says what each function is for. */
#ifndef ROPEWAY_UTF8_AVX2_H
#define ROPEWAY_UTF8_AVX2_H

#include <immintrin.h>

#define ROPEWAY_UTF8_AVX2 __attribute__((target("avx2,bmi,popcnt")))

/* Made once by ropeway_utf8_prepare(): for each set of places in 8 bytes, the places in order; for
 * each set of lengths of 4 characters, which bytes of 4 words of 4 bytes are theirs. */
static uint8_t ropeway_places[256][8];
static uint8_t ropeway_squeezes[256][16];
static int ropeway_has_avx2 = 0;

static inline void ropeway_utf8_prepare(void)
{
    for (unsigned set = 0; set < 256; set++) {
        unsigned count = 0;
        for (uint8_t place = 0; place < 8; place++)
            if (set >> place & 1)
                ropeway_places[set][count++] = place;
        /* Bits 0 to 3 are the low bits of the lengths less one, bits 4 to 7 the high bits. */
        memset(ropeway_squeezes[set], 0x80, 16);
        count = 0;
        for (unsigned word = 0; word < 4; word++) {
            const unsigned more = (set >> word & 1) + 2 * (set >> (word + 4) & 1);
            for (unsigned byte = 0; byte <= more; byte++)
                ropeway_squeezes[set][count++] = (uint8_t)(4 * word + byte);
        }
    }
    ropeway_has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
                       __builtin_cpu_supports("popcnt");
}

static inline int ropeway_utf8_is_fast(void)
{
    return ropeway_has_avx2;
}

/* What two bytes in a row can tell about an error: each is a bit, and an error where all of three
 * tables have it, by the high and the low half of the first byte and the high half of the second
 * (the method of Keiser and Lemire, "Validating UTF-8 in less than one instruction per byte"). */
enum {
    ROPEWAY_CUT = 1 << 0,        /* a lead, and no continuation */
    ROPEWAY_STRAY = 1 << 1,      /* ASCII, and a continuation */
    ROPEWAY_OVERLONG_2 = 1 << 2, /* C0 or C1 */
    ROPEWAY_OVERLONG_3 = 1 << 3, /* E0, and less than A0 */
    ROPEWAY_SURROGATE = 1 << 4,  /* ED, and A0 or more */
    ROPEWAY_HUGE = 1 << 5,       /* F4 or more, and 90 or more */
    ROPEWAY_EDGE_4 = 1 << 6,     /* F0 or F5 and more, and less than 90: overlong, or too large */
    ROPEWAY_PAIR = 1 << 7        /* two continuations: right as a third or fourth byte only */
};

ROPEWAY_UTF8_AVX2 static inline __m256i ropeway_look_up(__m128i table, __m256i halves)
{
    return _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(table), halves);
}

/* Nonzero bytes where 32 bytes of text are wrong after the 32 before. */
ROPEWAY_UTF8_AVX2 static inline __m256i ropeway_errors(__m256i before, __m256i now)
{
    const char any = (char)(ROPEWAY_CUT);
    const char cont = (char)(ROPEWAY_PAIR);
    const __m128i first_high = _mm_setr_epi8(
        ROPEWAY_STRAY, ROPEWAY_STRAY, ROPEWAY_STRAY, ROPEWAY_STRAY, ROPEWAY_STRAY, ROPEWAY_STRAY,
        ROPEWAY_STRAY, ROPEWAY_STRAY, cont, cont, cont, cont, any | ROPEWAY_OVERLONG_2, any,
        any | ROPEWAY_OVERLONG_3 | ROPEWAY_SURROGATE, any | ROPEWAY_HUGE | ROPEWAY_EDGE_4);
    const char all = (char)(ROPEWAY_CUT | ROPEWAY_STRAY | ROPEWAY_PAIR);
    const char huge = (char)(all | ROPEWAY_HUGE | ROPEWAY_EDGE_4);
    const __m128i first_low = _mm_setr_epi8(
        all | ROPEWAY_OVERLONG_2 | ROPEWAY_OVERLONG_3 | ROPEWAY_EDGE_4, all | ROPEWAY_OVERLONG_2,
        all, all, all | ROPEWAY_HUGE, huge, huge, huge, huge, huge, huge, huge, huge,
        huge | ROPEWAY_SURROGATE, huge, huge);
    const char second = (char)(ROPEWAY_STRAY | ROPEWAY_OVERLONG_2 | ROPEWAY_PAIR);
    const __m128i second_high = _mm_setr_epi8(
        any, any, any, any, any, any, any, any, second | ROPEWAY_OVERLONG_3 | ROPEWAY_EDGE_4,
        second | ROPEWAY_OVERLONG_3 | ROPEWAY_HUGE, second | ROPEWAY_SURROGATE | ROPEWAY_HUGE,
        second | ROPEWAY_SURROGATE | ROPEWAY_HUGE, any, any, any, any);
    const __m256i half = _mm256_set1_epi8(0x0F);
    const __m256i middle = _mm256_permute2x128_si256(before, now, 0x21);
    const __m256i one_back = _mm256_alignr_epi8(now, middle, 15);
    const __m256i two_back = _mm256_alignr_epi8(now, middle, 14);
    const __m256i three_back = _mm256_alignr_epi8(now, middle, 13);
    const __m256i found = _mm256_and_si256(
        _mm256_and_si256(
            ropeway_look_up(first_high, _mm256_and_si256(_mm256_srli_epi16(one_back, 4), half)),
            ropeway_look_up(first_low, _mm256_and_si256(one_back, half))),
        ropeway_look_up(second_high, _mm256_and_si256(_mm256_srli_epi16(now, 4), half)));
    /* The highest bit says: behind E0 or more at two, or F0 or more at three bytes' distance. */
    const __m256i later = _mm256_or_si256(
        _mm256_subs_epu8(two_back, _mm256_set1_epi8((char)(0xE0 - 0x80))),
        _mm256_subs_epu8(three_back, _mm256_set1_epi8((char)(0xF0 - 0x80))));
    return _mm256_xor_si256(_mm256_and_si256(later, _mm256_set1_epi8((char)0x80)), found);
}

ROPEWAY_UTF8_AVX2 static inline size_t ropeway_survey_avx2(const uint8_t *text, size_t n,
                                                           int *truncated, ropeway_survey *survey)
{
    __m256i before = _mm256_setzero_si256();
    __m256i errors = before, top = before;
    size_t characters = 0, i = 0;
    for (; i + 32 <= n; i += 32) {
        const __m256i now = _mm256_loadu_si256((const __m256i *)(text + i));
        const __m256i starts = _mm256_cmpgt_epi8(now, _mm256_set1_epi8((char)0xBF));
        errors = _mm256_or_si256(errors, ropeway_errors(before, now));
        top = _mm256_max_epu8(top, now);
        characters += (size_t)__builtin_popcount((unsigned)_mm256_movemask_epi8(starts));
        before = now;
    }
    /* Where it is wrong, and what the last character of the strides is, is for the plain scan. */
    if (!_mm256_testz_si256(errors, errors))
        return ropeway_survey_plain(text, n, truncated, survey);
    if (i) {
        uint8_t tops[32];
        do {
            i--;
        } while ((text[i] & 0xC0) == 0x80);
        _mm256_storeu_si256((__m256i *)tops, top);
        for (int k = 0; k < 32; k++)
            if (tops[k] > survey->top)
                survey->top = tops[k];
        survey->characters += characters - 1;
    }
    return i + ropeway_survey_plain(text + i, n - i, truncated, survey);
}

/* Turns the characters that begin in 8 bytes, of which 16 are here, into numbers. */
ROPEWAY_UTF8_AVX2 static inline __m256i ropeway_decode_avx2(__m128i bytes, unsigned starts)
{
    const __m256i spread = _mm256_setr_epi8(
        0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12,
        0, 0, 0, 0, 4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12);
    /* How far a character's last byte is from the lowest, by the high half of its first. */
    const __m128i shifts =
        _mm_setr_epi8(24, 24, 24, 24, 24, 24, 24, 24, 0, 0, 0, 0, 16, 16, 8, 0);
    const __m256i places = _mm256_cvtepu8_epi32(
        _mm_loadl_epi64((const __m128i *)ropeway_places[starts]));
    const __m256i order = _mm256_add_epi8(_mm256_shuffle_epi8(places, spread),
                                          _mm256_set1_epi32(0x00010203));
    /* First byte highest, then shifted until the last is lowest. */
    const __m256i words = _mm256_shuffle_epi8(_mm256_broadcastsi128_si256(bytes), order);
    const __m256i halves = _mm256_or_si256(_mm256_srli_epi32(words, 28),
                                           _mm256_set1_epi32((int)0x80808000));
    return _mm256_srlv_epi32(words, ropeway_look_up(shifts, halves));
}

ROPEWAY_UTF8_AVX2 static inline __m256i ropeway_join_bits(__m256i words, int width)
{
    const __m256i low = _mm256_and_si256(words, _mm256_set1_epi32(0x7F));
    const __m256i second =
        _mm256_and_si256(_mm256_srli_epi32(words, 2), _mm256_set1_epi32(0xFC0));
    __m256i all = _mm256_or_si256(low, second);
    if (width == 1)
        return all;
    const __m256i third = _mm256_srli_epi32(words, 4);
    if (width == 2)
        return _mm256_or_si256(all, _mm256_and_si256(third, _mm256_set1_epi32(0xF000)));
    const __m256i fourth =
        _mm256_and_si256(_mm256_srli_epi32(words, 6), _mm256_set1_epi32(0x1C0000));
    all = _mm256_or_si256(all, _mm256_and_si256(third, _mm256_set1_epi32(0x3F000)));
    /* In a third byte that is a lead, not a continuation, the marker reaches one bit further. */
    const __m256i marker =
        _mm256_and_si256(_mm256_srli_epi32(words, 5), _mm256_set1_epi32(0x20000));
    return _mm256_or_si256(_mm256_andnot_si256(marker, all), fourth);
}

/* Stores 8 characters. */
ROPEWAY_UTF8_AVX2 static inline void ropeway_store_avx2(void *str, int width, size_t index,
                                                        __m256i characters)
{
    if (width == 4) {
        _mm256_storeu_si256((__m256i *)((uint32_t *)str + index), characters);
        return;
    }
    const __m128i pairs = _mm_packus_epi32(_mm256_castsi256_si128(characters),
                                           _mm256_extracti128_si256(characters, 1));
    if (width == 2)
        _mm_storeu_si128((__m128i *)((uint16_t *)str + index), pairs);
    else
        _mm_storel_epi64((__m128i *)((uint8_t *)str + index), _mm_packus_epi16(pairs, pairs));
}

ROPEWAY_UTF8_AVX2 static ROPEWAY_INLINE const uint8_t *
ropeway_widen_blocks(void *str, int width, const uint8_t *text, size_t n, size_t *done)
{
    const uint8_t *const end = text + n;
    size_t index = 0;
    /* Behind a stride of at most 11 bytes, 8 characters' room must be left to write into. */
    while (end - text >= 64 + 32) {
        const __m256i one = _mm256_loadu_si256((const __m256i *)text);
        const __m256i two = _mm256_loadu_si256((const __m256i *)(text + 32));
        if (_mm256_movemask_epi8(_mm256_or_si256(one, two)) == 0) {
            for (int i = 0; i < 64; i += 8) {
                const __m128i eight = _mm_loadl_epi64((const __m128i *)(text + i));
                ropeway_store_avx2(str, width, index, _mm256_cvtepu8_epi32(eight));
                index += 8;
            }
            text += 64;
            continue;
        }
        const __m256i last = _mm256_set1_epi8((char)0xBF);
        const uint64_t starts =
            (uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(one, last)) |
            (uint64_t)(uint32_t)_mm256_movemask_epi8(_mm256_cmpgt_epi8(two, last)) << 32;
        unsigned offset = 0;
        while (offset <= 48) {
            const uint64_t rest = starts >> offset;
            const __m128i bytes = _mm_loadu_si128((const __m128i *)(text + offset));
            const __m256i words = ropeway_decode_avx2(bytes, rest & 0xFF);
            ropeway_store_avx2(str, width, index, ropeway_join_bits(words, width));
            index += (size_t)__builtin_popcount((unsigned)(rest & 0xFF));
            /* A character begins within 4 bytes, and 8 more bits are known. */
            offset += 8 + (unsigned)__builtin_ctzll(rest >> 8);
        }
        text += offset;
    }
    *done = index;
    return text;
}

/* Widens all but the end of a text; returns what is left of it, and how much was *done. */
ROPEWAY_UTF8_AVX2 static inline const uint8_t *
ropeway_widen_avx2(void *str, int width, const uint8_t *text, size_t n, size_t *done)
{
    if (width == 1)
        return ropeway_widen_blocks(str, 1, text, n, done);
    return width == 2 ? ropeway_widen_blocks(str, 2, text, n, done)
                      : ropeway_widen_blocks(str, 4, text, n, done);
}

ROPEWAY_UTF8_AVX2 static inline size_t ropeway_measure_avx2(const void *str, int width, size_t n,
                                                            int *surrogates)
{
    if (width == 1)
        return ropeway_measure(str, 1, n, surrogates);
    return width == 2 ? ropeway_measure(str, 2, n, surrogates)
                      : ropeway_measure(str, 4, n, surrogates);
}

/* Loads 8 characters. */
ROPEWAY_UTF8_AVX2 static inline __m256i ropeway_load_avx2(const void *str, int width, size_t index)
{
    if (width == 1)
        return _mm256_cvtepu8_epi32(
            _mm_loadl_epi64((const __m128i *)((const uint8_t *)str + index)));
    if (width == 2)
        return _mm256_cvtepu16_epi32(
            _mm_loadu_si128((const __m128i *)((const uint16_t *)str + index)));
    return _mm256_loadu_si256((const __m256i *)((const uint32_t *)str + index));
}

/* Writes 8 characters: each in a word of its own, the first byte lowest, then without the gaps. */
ROPEWAY_UTF8_AVX2 static inline uint8_t *ropeway_encode_avx2(uint8_t *dst, __m256i characters)
{
    const __m256i markers = _mm256_setr_epi32(0, 0x80C0, 0x8080E0, (int)0x808080F0, 0, 0, 0, 0);
    const __m256i shifts = _mm256_setr_epi32(24, 16, 8, 0, 0, 0, 0, 0);
    const __m256i six = _mm256_set1_epi32(0x3F);
    const __m256i ascii = _mm256_cmpgt_epi32(_mm256_set1_epi32(0x80), characters);
    /* How many bytes follow the first. */
    const __m256i more = _mm256_sub_epi32(
        _mm256_setzero_si256(),
        _mm256_add_epi32(
            _mm256_add_epi32(_mm256_cmpgt_epi32(characters, _mm256_set1_epi32(0x7F)),
                             _mm256_cmpgt_epi32(characters, _mm256_set1_epi32(0x7FF))),
            _mm256_cmpgt_epi32(characters, _mm256_set1_epi32(0xFFFF))));
    const __m256i third = _mm256_and_si256(_mm256_srli_epi32(characters, 6), six);
    const __m256i second = _mm256_and_si256(_mm256_srli_epi32(characters, 12), six);
    __m256i words = _mm256_or_si256(
        _mm256_or_si256(_mm256_slli_epi32(characters, 24), _mm256_slli_epi32(third, 16)),
        _mm256_or_si256(_mm256_slli_epi32(second, 8), _mm256_srli_epi32(characters, 18)));
    words = _mm256_and_si256(words, _mm256_set1_epi32(0x3F3F3FFF));
    words = _mm256_srlv_epi32(words, _mm256_permutevar8x32_epi32(shifts, more));
    words = _mm256_or_si256(words, _mm256_permutevar8x32_epi32(markers, more));
    words = _mm256_blendv_epi8(words, characters, ascii);
    const unsigned low =
        (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_slli_epi32(more, 31)));
    const unsigned high =
        (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_slli_epi32(more, 30)));
    const unsigned first = (low & 0x0F) | (high & 0x0F) << 4;
    const unsigned last = low >> 4 | (high & 0xF0);
    _mm_storeu_si128((__m128i *)dst,
                     _mm_shuffle_epi8(_mm256_castsi256_si128(words),
                                      _mm_loadu_si128((const __m128i *)ropeway_squeezes[first])));
    dst += 4 + __builtin_popcount(first) + __builtin_popcount(first >> 4);
    _mm_storeu_si128((__m128i *)dst,
                     _mm_shuffle_epi8(_mm256_extracti128_si256(words, 1),
                                      _mm_loadu_si128((const __m128i *)ropeway_squeezes[last])));
    return dst + 4 + __builtin_popcount(last) + __builtin_popcount(last >> 4);
}

ROPEWAY_UTF8_AVX2 static ROPEWAY_INLINE uint8_t *
ropeway_narrow_blocks(uint8_t *dst, const void *str, int width, size_t n, size_t *done)
{
    size_t index = 0;
    /* Each half of a stride writes 16 bytes, of which 4 may be meant, so 12 characters are left. */
    for (; index + 8 + 12 <= n; index += 8) {
        const __m256i characters = ropeway_load_avx2(str, width, index);
        if (_mm256_testz_si256(characters, _mm256_set1_epi32(~0x7F))) {
            const __m128i pairs = _mm_packus_epi32(_mm256_castsi256_si128(characters),
                                                   _mm256_extracti128_si256(characters, 1));
            _mm_storel_epi64((__m128i *)dst, _mm_packus_epi16(pairs, pairs));
            dst += 8;
        } else {
            dst = ropeway_encode_avx2(dst, characters);
        }
    }
    *done = index;
    return dst;
}

/* Writes all but the end of a str; returns the place behind, and how much was *done. */
ROPEWAY_UTF8_AVX2 static inline uint8_t *
ropeway_narrow_avx2(uint8_t *dst, const void *str, int width, size_t n, size_t *done)
{
    if (width == 1)
        return ropeway_narrow_blocks(dst, str, 1, n, done);
    return width == 2 ? ropeway_narrow_blocks(dst, str, 2, n, done)
                      : ropeway_narrow_blocks(dst, str, 4, n, done);
}

#endif
