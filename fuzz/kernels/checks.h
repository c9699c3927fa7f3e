/* The kernels against loops that are too short to be wrong, in memory that ends where data ends.
 *
 * An input's first byte chooses what is checked, the rest is what it is checked with; so a fuzzer
 * that knows nothing of kernels can look for inputs that take new ways through them.
 */
#ifndef ROPEWAY_CHECKS_H
#define ROPEWAY_CHECKS_H

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "utf8.h"

#define CHECK(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "line %d: %s\n", __LINE__, #condition);                                \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

enum { MASKING, TEXT, CHARACTERS, HEADER_LINE, FRAME_HEADER, KINDS };

typedef struct {
    const uint8_t *at;
    size_t left;
} input;

static uint64_t number(input *from, size_t bytes)
{
    uint64_t value = 0;
    for (; bytes && from->left; bytes--, from->left--)
        value = value << 8 | *from->at++;
    return value;
}

/* Memory of its own, so that the sanitizer knows where it ends; never of no size. */
static void *new_memory(size_t size)
{
    void *const memory = malloc(size ? size : 1);
    CHECK(memory);
    return memory;
}

static uint8_t *copied(const input *from)
{
    uint8_t *const copy = new_memory(from->left);
    if (from->left)
        memcpy(copy, from->at, from->left);
    return copy;
}

static void check_masking(input from)
{
    const uint32_t key = (uint32_t)number(&from, 4);
    const size_t shift = number(&from, 1) & 7, place = number(&from, 2);
    const size_t n = from.left, consumed = place % (n + 1);
    uint8_t *const memory = new_memory(n + shift), *const source = memory + shift;
    uint8_t *const copy = new_memory(n), *const plain = new_memory(n);
    uint8_t seen = 0;
    for (size_t i = 0; i < n; i++) {
        source[i] = from.at[i];
        plain[i] = source[i] ^ (uint8_t)(key >> (8 * (i & 3)));
        seen |= plain[i];
    }
    CHECK(ropeway_mask_copy(copy, source, n, key) == seen);
    CHECK(!memcmp(copy, plain, n));
    CHECK(ropeway_seen(copy, n) == seen);
    memset(copy, 0, n);
    const uint8_t before = ropeway_mask_copy(copy, source, consumed, key);
    const uint8_t behind = ropeway_mask_copy(copy + consumed, source + consumed, n - consumed,
                                             ropeway_rotate_key(key, consumed));
    CHECK((before | behind) == seen);
    CHECK(!memcmp(copy, plain, n));
    CHECK(ropeway_mask_copy(source, source, n, key) == seen);
    CHECK(!memcmp(source, plain, n));
    free(memory);
    free(copy);
    free(plain);
}

/* Whether a character that is encoded in `length` bytes lies between two numbers (RFC 3629). */
static int is_any_valid(size_t length, uint32_t low, uint32_t high)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000}, most[] = {0, 0x7F, 0x7FF, 0xFFFF,
                                                                           0x10FFFF};
    low = low < least[length] ? least[length] : low;
    high = high > most[length] ? most[length] : high;
    if (low >= 0xD800 && low <= 0xDFFF)
        low = 0xE000;
    return low <= high;
}

/* One character by its definition: how many bytes it has, 0 where it is wrong, -1 where it is cut
 * and could still become one. */
static int decoded(const uint8_t *text, size_t n, uint32_t *character)
{
    const uint8_t lead = text[0];
    const size_t length = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3
                        : lead < 0xF8 ? 4 : 0;
    if (length == 0)
        return 0;
    uint32_t value = length == 1 ? lead : lead & (0x7Fu >> length);
    size_t here = 1;
    for (; here < length && here < n; here++) {
        if (text[here] >> 6 != 2)
            return 0;
        value = value << 6 | (text[here] & 0x3Fu);
    }
    const unsigned missing = 6 * (unsigned)(length - here);
    const uint32_t low = value << missing, high = low + ((1u << missing) - 1);
    if (!is_any_valid(length, low, high))
        return 0;
    *character = value;
    return here < length ? -1 : (int)length;
}

static void check_there_and_back(const uint8_t *text, size_t n, const ropeway_survey *survey)
{
    const int width = ropeway_width(survey);
    const size_t characters = survey->characters;
    void *const str = new_memory(characters * (size_t)width);
    uint8_t *const back = new_memory(n);
    const uint8_t *at = text;
    int surrogates = 1;
    uint32_t character = 0, largest = 0;
    ropeway_utf8_widen(str, width, text, n);
    for (size_t i = 0; i < characters; i++) {
        at += decoded(at, n - (size_t)(at - text), &character);
        CHECK(ropeway_character(str, width, i) == character);
        largest = character > largest ? character : largest;
    }
    CHECK(at == text + n);
    CHECK(width == (largest < 0x100 ? 1 : largest < 0x10000 ? 2 : 4));
    CHECK(ropeway_utf8_size(str, width, characters, &surrogates) == n && !surrogates);
    ropeway_utf8_write(back, str, width, characters);
    CHECK(!memcmp(back, text, n));
    free(back);
    free(str);
}

static void check_text(input from)
{
    const size_t n = from.left;
    uint8_t *const text = copied(&from);
    size_t valid = 0, characters = 0;
    int length = 1, truncated = 2;
    for (uint32_t ignored; valid < n; valid += (size_t)length, characters++)
        if ((length = decoded(text + valid, n - valid, &ignored)) <= 0)
            break;
    ropeway_survey survey = {0, 0}, plain = {0, 0};
    CHECK(ropeway_utf8_survey(text, n, &truncated, &survey) == valid);
    CHECK(truncated == (length < 0));
    CHECK(survey.characters == characters);
    CHECK(ropeway_survey_plain(text, n, &truncated, &plain) == valid);
    CHECK(truncated == (length < 0));
    CHECK(plain.characters == characters);
    if (valid == n) {
        CHECK(survey.top == plain.top);
        check_there_and_back(text, n, &survey);
    }
    free(text);
}

static void check_characters(input from)
{
    const int width = 1 << number(&from, 1) % 3;
    const size_t n = from.left / (size_t)width;
    void *const str = new_memory(n * (size_t)width);
    size_t size = 0;
    int surrogates = 0, found = 2;
    for (size_t i = 0; i < n; i++) {
        const uint32_t character = (uint32_t)number(&from, (size_t)width) % 0x110000;
        ropeway_set_character(str, width, i, character);
        CHECK(ropeway_character(str, width, i) == character);
        size += character < 0x80 ? 1 : character < 0x800 ? 2 : character < 0x10000 ? 3 : 4;
        surrogates |= character >= 0xD800 && character <= 0xDFFF;
    }
    CHECK(ropeway_utf8_size(str, width, n, &found) == size);
    CHECK(found == surrogates);
    if (!surrogates) {
        uint8_t *const text = new_memory(size);
        const uint8_t *at = text;
        uint32_t character = 0;
        ropeway_utf8_write(text, str, width, n);
        for (size_t i = 0; i < n; i++) {
            at += decoded(at, size - (size_t)(at - text), &character);
            CHECK(character == ropeway_character(str, width, i));
        }
        CHECK(at == text + size);
        free(text);
    }
    free(str);
}

static int is_token(uint8_t byte)
{
    return byte < 0x80 && byte && (isalnum(byte) || strchr("!#$%&'*+-.^_`|~", byte));
}

static int is_space(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* The size of a plain header line, found step by step; 0 where it isn't one. */
static size_t plain_line(const uint8_t *line, size_t n, size_t *name_size)
{
    size_t i = 0, end = 0;
    while (end + 1 < n && !(line[end] == '\r' && line[end + 1] == '\n'))
        end++;
    if (end + 1 >= n)
        return 0;
    while (i < end && is_token(line[i]))
        i++;
    *name_size = i;
    if (i == 0 || end - i < 3 || line[i] != ':' || line[i + 1] != ' ')
        return 0;
    if (is_space(line[i + 2]) || is_space(line[end - 1]))
        return 0;
    for (i += 2; i < end; i++)
        if ((line[i] < 0x20 && line[i] != '\t') || line[i] == 0x7F)
            return 0;
    return end + 2;
}

static void check_header_line(input from)
{
    const size_t n = from.left;
    uint8_t *const line = copied(&from);
    size_t name_size = 0, value_size = 0, expected = 0;
    const size_t size = ropeway_header_line(line, n, &name_size, &value_size);
    CHECK(size == plain_line(line, n, &expected));
    if (size) {
        CHECK(name_size == expected && size == name_size + value_size + 4);
        for (size_t i = 0; i < name_size; i++)
            CHECK(ropeway_token_lower(line[i]) == tolower(line[i]));
    }
    for (size_t i = 0; i < n; i++)
        CHECK(!ropeway_token_lower(line[i]) == !is_token(line[i]));
    free(line);
}

static void check_frame_header(input from)
{
    const uint8_t first = (uint8_t)number(&from, 1), masked = number(&from, 1) & 1;
    const uint32_t key = (uint32_t)number(&from, 4);
    const uint64_t length = number(&from, 8) >> 1;
    const size_t size = ropeway_header_size(length, masked);
    uint8_t *const header = new_memory(size);
    CHECK(ropeway_write_header(header, first, length, masked, key) == size);
    input back = {header, size};
    CHECK(number(&back, 1) == first);
    uint64_t read = number(&back, 1);
    CHECK(read >> 7 == masked);
    read &= 0x7F;
    if (read >= 126) {
        const uint64_t least = read == 126 ? 126 : 65536;
        read = number(&back, read == 126 ? 2 : 8);
        CHECK(read >= least);
    }
    CHECK(read == length);
    for (int i = 0; masked && i < 4; i++)
        CHECK(number(&back, 1) == (key >> (8 * i) & 0xFF));
    CHECK(back.left == 0);
    free(header);
}

static void check_input(const uint8_t *data, size_t size)
{
    input from = {data, size};
    switch (number(&from, 1) % KINDS) {
    case MASKING:
        check_masking(from);
        break;
    case TEXT:
        check_text(from);
        break;
    case CHARACTERS:
        check_characters(from);
        break;
    case HEADER_LINE:
        check_header_line(from);
        break;
    default:
        check_frame_header(from);
    }
}

#endif
