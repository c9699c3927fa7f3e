/* The kernels against loops that are too short to be wrong, in memory that ends where data ends.
 *
 * `make sanitize` compiles it with the address and undefined behaviour sanitizers and runs it. The
 * arguments are how many rounds, and a seed; it ends with 1 at the first difference.
 */
#include <stdio.h>
#include <stdlib.h>

#include "utf8.h"

static uint64_t state;

static uint32_t drawn(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            exit(1);                                                                               \
        }                                                                                          \
    } while (0)

/* Memory of its own, so that the sanitizer knows where it ends; never of no size. */
static void *new_memory(size_t size)
{
    void *const memory = malloc(size ? size : 1);
    CHECK(memory);
    return memory;
}

static void check_masking(void)
{
    const size_t n = drawn(drawn(4) ? 70 : 700);
    const uint32_t key = drawn(5) ? drawn(UINT32_MAX) & 0x7F7F7F7F : 0;
    uint8_t *const source = new_memory(n), *const copy = new_memory(n), *const plain = new_memory(n);
    uint8_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        source[i] = (uint8_t)drawn(drawn(50) ? 128 : 256);
        plain[i] = source[i] ^ (uint8_t)(key >> (8 * (i & 3)));
        seen |= plain[i];
    }
    CHECK(ropeway_mask_copy(copy, source, n, key) >> 7 == seen >> 7);
    CHECK(!memcmp(copy, plain, n));
    CHECK(ropeway_seen(copy, n) >> 7 == seen >> 7);
    CHECK(ropeway_mask_copy(source, source, n, key) >> 7 == seen >> 7);
    CHECK(!memcmp(source, plain, n));
    free(source);
    free(copy);
    free(plain);
}

static uint32_t drawn_character(unsigned kind)
{
    switch (kind) {
    case 0:
        return drawn(0x80);
    case 1:
        return drawn(0x100);
    case 2:
        return drawn(0x800);
    case 3: {
        const uint32_t character = drawn(0x10000 - 0x800);
        return character < 0xD800 ? character : character + 0x800;
    }
    default:
        return 0x10000 + drawn(0x100000);
    }
}

/* Text in runs of one kind of characters. */
static size_t draw_text(uint8_t *dst, size_t characters, unsigned kinds)
{
    uint8_t *const start = dst;
    while (characters) {
        const unsigned kind = drawn(kinds);
        for (uint32_t run = 1 + drawn(12); run && characters; run--, characters--)
            dst = ropeway_write_character(dst, drawn_character(kind));
    }
    return (size_t)(dst - start);
}

static void check_there_and_back(const uint8_t *text, size_t n, const ropeway_survey *survey)
{
    const int width = ropeway_width(survey);
    const size_t characters = survey->characters;
    void *const str = new_memory(characters * (size_t)width);
    uint8_t *const back = new_memory(n);
    const uint8_t *at = text;
    int surrogates = 0;
    ropeway_utf8_widen(str, width, text, n);
    for (size_t i = 0; i < characters; i++)
        CHECK(ropeway_character(str, width, i) == ropeway_next_character(&at));
    CHECK(at == text + n);
    CHECK(ropeway_utf8_size(str, width, characters, &surrogates) == n && !surrogates);
    ropeway_utf8_write(back, str, width, characters);
    CHECK(!memcmp(back, text, n));
    if (width > 1 && characters) {
        ropeway_set_character(str, width, drawn((uint32_t)characters), 0xD800 + drawn(0x800));
        ropeway_utf8_size(str, width, characters, &surrogates);
        CHECK(surrogates);
    }
    free(back);
    free(str);
}

static void check_text(void)
{
    static uint8_t drawing[4 * 400];
    size_t n = draw_text(drawing, drawn(400), 1 + drawn(5));
    if (n && !drawn(2))
        for (uint32_t changes = 1 + drawn(2); changes; changes--)
            drawing[drawn((uint32_t)n)] = (uint8_t)drawn(256);
    if (n && !drawn(4))
        n -= drawn(n < 4 ? (uint32_t)n : 4);
    uint8_t *const text = new_memory(n);
    memcpy(text, drawing, n);
    ropeway_survey survey = {0, 0}, plain = {0, 0};
    int truncated = 0, plainly_truncated = 0;
    const size_t valid = ropeway_utf8_survey(text, n, &truncated, &survey);
    CHECK(valid == ropeway_survey_plain(text, n, &plainly_truncated, &plain));
    CHECK(truncated == plainly_truncated);
    CHECK(survey.characters == plain.characters);
    if (valid == n) {
        CHECK(survey.top == plain.top);
        check_there_and_back(text, n, &survey);
    }
    free(text);
}

static void check_header_line(void)
{
    static const char bytes[] = "\r\n:  \t\tHost-x~\x7F\x80\xFF,\"a1\0";
    uint8_t drawing[80];
    size_t n = 0;
    if (drawn(3))
        n = (size_t)snprintf((char *)drawing, sizeof drawing, "Name%u: v%u%s", drawn(100),
                             drawn(100), drawn(3) ? "\r\n" : "\r");
    for (uint32_t more = drawn(12); more; more--)
        drawing[n++] = (uint8_t)bytes[drawn(sizeof bytes)];
    if (n && !drawn(3))
        drawing[drawn((uint32_t)n)] = (uint8_t)bytes[drawn(sizeof bytes)];
    if (n)
        n -= drawn((uint32_t)n);
    uint8_t *const line = new_memory(n);
    memcpy(line, drawing, n);
    size_t name_size = 0, value_size = 0;
    const size_t size = ropeway_header_line(line, n, &name_size, &value_size);
    if (size) {
        CHECK(size <= n && name_size && value_size && size == name_size + value_size + 4);
        CHECK(!memcmp(line + name_size, ": ", 2) && !memcmp(line + size - 2, "\r\n", 2));
        for (size_t i = 0; i < name_size; i++)
            CHECK(line[i] > ' ' && line[i] < 0x7F && line[i] != ':');
        for (size_t i = name_size + 2; i < size - 2; i++)
            CHECK(line[i] != '\r' && line[i] != '\n' && line[i] != '\0');
    }
    free(line);
}

int main(int argc, char **argv)
{
    const long rounds = argc > 1 ? atol(argv[1]) : 100000;
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    ropeway_utf8_prepare();
    for (long round = 0; round < rounds; round++) {
        check_masking();
        check_text();
        check_header_line();
    }
    printf("%ld rounds, %s\n", rounds, ropeway_utf8_is_fast() ? "with AVX2" : "without AVX2");
    return 0;
}
