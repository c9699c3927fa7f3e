/* The checks with inputs that are drawn: `make sanitize` runs them, with gcc's sanitizers.
 *
 * The arguments are how many rounds, and a seed; it aborts at the first difference.
 */
#include "checks.h"

static uint64_t state;

static uint32_t drawn(uint32_t below)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32) % below;
}

static uint8_t drawing[1 + 4 * 400];

static size_t draw_bytes(size_t at, size_t n, uint32_t below)
{
    for (size_t i = 0; i < n; i++)
        drawing[at + i] = (uint8_t)drawn(drawn(50) ? below : 256);
    return at + n;
}

static uint32_t drawn_character(unsigned kind)
{
    static const uint32_t below[] = {0x80, 0x100, 0x800, 0x10000 - 0x800};
    if (kind >= 4)
        return 0x10000 + drawn(0x100000);
    const uint32_t character = drawn(below[kind]);
    return character < 0xD800 ? character : character + 0x800;
}

/* Text in runs of one kind of characters, some of it spoilt or cut. */
static size_t draw_text(void)
{
    uint8_t *dst = drawing + 1;
    size_t characters = drawn(400);
    const unsigned kinds = 1 + drawn(5);
    while (characters) {
        const unsigned kind = drawn(kinds);
        for (uint32_t run = 1 + drawn(12); run && characters; run--, characters--)
            dst = ropeway_write_character(dst, drawn_character(kind));
    }
    size_t n = (size_t)(dst - drawing) - 1;
    if (n && !drawn(2))
        for (uint32_t changes = 1 + drawn(2); changes; changes--)
            drawing[1 + drawn((uint32_t)n)] = (uint8_t)drawn(256);
    if (n && !drawn(4))
        n -= drawn(n < 4 ? (uint32_t)n : 4);
    return 1 + n;
}

static size_t draw_header_line(void)
{
    static const char bytes[] = "\r\n:  \t\tHost-x~\x7F\x80\xFF,\"a1\0";
    char *const line = (char *)drawing + 1;
    size_t n = 0;
    if (drawn(3))
        n = (size_t)snprintf(line, 80, "Name%u: v%u%s", drawn(100), drawn(100),
                             drawn(3) ? "\r\n" : "\r");
    for (uint32_t more = drawn(12); more; more--)
        line[n++] = bytes[drawn(sizeof bytes)];
    if (n && !drawn(3))
        line[drawn((uint32_t)n)] = bytes[drawn(sizeof bytes)];
    if (n)
        n -= drawn((uint32_t)n);
    return 1 + n;
}

static size_t draw_input(unsigned kind)
{
    drawing[0] = (uint8_t)kind;
    switch (kind) {
    case MASKING:
        return draw_bytes(8, drawn(drawn(4) ? 70 : 700), drawn(4) ? 128 : 256);
    case TEXT:
        return draw_text();
    case HEADER_LINE:
        return draw_header_line();
    case CHARACTERS:
        return draw_bytes(1, 2 + drawn(4 * 100), 1u << (1 + drawn(8)));
    default:
        return draw_bytes(1, 6 + drawn(9), 256);
    }
}

int main(int argc, char **argv)
{
    const long rounds = argc > 1 ? atol(argv[1]) : 100000;
    state = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    ropeway_utf8_prepare();
    for (long round = 0; round < rounds; round++)
        for (unsigned kind = 0; kind < KINDS; kind++) {
            draw_bytes(1, 7, 256);
            const size_t size = draw_input(kind);
            check_input(drawing, size);
        }
    printf("%ld rounds, %s\n", rounds, ropeway_utf8_is_fast() ? "with AVX2" : "without AVX2");
    return 0;
}
