/* The floor: what a server costs that does nothing but what the protocol demands.
 *
 *   server echo FD   answers every message with itself
 *   server feed FD   after the handshake, sends JSON texts of 200 bytes as fast as it can
 *
 * FD is a listening socket that was inherited. One thread, one epoll. A frame is turned into its
 * answer in the buffer into which it was received, since it only gets shorter by the masking key,
 * and all complete frames of one read are answered in one write.
 *
 * It does not check UTF-8, joins no fragments, and does not compress: less is hardly possible.
 */

#define _GNU_SOURCE

#include "common.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_EVENTS 1024
#define FIRST_ROOM (64 * 1024)
#define FEED_FRAMES 512
#define FEED_PAYLOAD 200

struct connection {
    int fd;
    int opened;
    int closing;
    int wants_out;
    uint8_t *buffer; /* [answer, not yet sent | received, not yet answered | room] */
    size_t room;
    size_t answer, answered; /* where the answer begins and ends */
    size_t begin, end;       /* where the received bytes begin and end */
    size_t fed;
};

static int epoll;
static int feeding;
static uint8_t *feed;
static size_t feed_size;

/* ---- the handshake (RFC 6455 4.2.2), with SHA-1 (RFC 3174) and Base64 ---- */

static uint32_t rotate(uint32_t value, int bits)
{
    return value << bits | value >> (32 - bits);
}

static void sha1_block(uint32_t state[5], const uint8_t *block)
{
    uint32_t w[80], a = state[0], b = state[1], c = state[2], d = state[3], e = state[4];
    for (int i = 0; i < 80; i++) {
        w[i] = i < 16 ? (uint32_t)block[4 * i] << 24 | block[4 * i + 1] << 16 |
                            block[4 * i + 2] << 8 | block[4 * i + 3]
                      : rotate(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
        uint32_t f = i < 20   ? (b & c) | (~b & d)
                     : i < 40 ? b ^ c ^ d
                     : i < 60 ? (b & c) | (b & d) | (c & d)
                              : b ^ c ^ d;
        static const uint32_t k[] = {0x5a827999, 0x6ed9eba1, 0x8f1bbcdc, 0xca62c1d6};
        uint32_t next = rotate(a, 5) + f + e + k[i / 20] + w[i];
        e = d, d = c, c = rotate(b, 30), b = a, a = next;
    }
    state[0] += a, state[1] += b, state[2] += c, state[3] += d, state[4] += e;
}

/* Hash a text of 60 characters: the key of the handshake and its fixed suffix, in two blocks. */
static void sha1_of_60(const uint8_t *text, uint8_t digest[20])
{
    uint32_t state[5] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0};
    uint8_t blocks[128] = {0};
    memcpy(blocks, text, 60);
    blocks[60] = 0x80;
    blocks[126] = 60 * 8 >> 8;
    blocks[127] = 60 * 8 & 0xff;
    sha1_block(state, blocks);
    sha1_block(state, blocks + 64);
    for (int i = 0; i < 20; i++)
        digest[i] = state[i / 4] >> (24 - 8 * (i % 4));
}

static void base64_of_20(const uint8_t digest[20], char *text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (int i = 0; i < 21; i += 3) {
        uint32_t word = digest[i] << 16 | digest[i + 1] << 8 | (i + 2 < 20 ? digest[i + 2] : 0);
        for (int j = 0; j < 4; j++)
            *text++ = alphabet[word >> (18 - 6 * j) & 63];
    }
    text[-1] = '=';
    *text = 0;
}

/* Answer the request if all of it is there; return 0 if the connection is of no use. */
static int open_connection(struct connection *connection)
{
    static const char name[] = "\r\nsec-websocket-key:";
    char *request = (char *)connection->buffer, response[256], accept[32];
    uint8_t text[61], digest[20];
    connection->buffer[connection->end] = 0;
    char *blank = strstr(request, "\r\n\r\n");
    if (!blank)
        return connection->end < 16384;
    char *key = strcasestr(request, name);
    if (!key)
        return 0;
    key += sizeof name - 1;
    key += strspn(key, " ");
    if (key + 24 > blank)
        return 0;
    memcpy(text, key, 24);
    memcpy(text + 24, "258EAFA5-E914-47DA-95CA-C5AB0DC85B11", 36);
    sha1_of_60(text, digest);
    base64_of_20(digest, accept);
    int size = snprintf(response, sizeof response,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    connection->begin = blank + 4 - request;
    connection->answer = connection->answered = connection->begin;
    connection->opened = 1;
    return write(connection->fd, response, size) == size;
}

/* ---- frames ---- */

/* Turn the complete frames into answers, in place: an answer is shorter than its frame. */
static void answer_frames(struct connection *connection)
{
    uint8_t *buffer = connection->buffer;
    while (!connection->closing) {
        uint8_t *frame = buffer + connection->begin, key[4];
        size_t available = connection->end - connection->begin;
        uint64_t size;
        size_t header = read_header(frame, available, &size);
        if (!header || available < header + 4 + size)
            break;
        unsigned opcode = frame[0] & 15, first = frame[0];
        memcpy(key, frame + header, 4);
        connection->begin += header + 4 + size;
        if (opcode == OPCODE_PONG)
            continue;
        uint8_t *answer = buffer + connection->answered;
        connection->answered += write_header(answer, opcode, size);
        answer[0] = opcode == OPCODE_PING ? 0x80 | OPCODE_PONG : first;
        mask(buffer + connection->answered, frame + header + 4, size, key);
        connection->answered += size;
        connection->closing = opcode == OPCODE_CLOSE;
    }
}

/* Make room behind the received bytes: move what is left to the front, or grow. */
static void make_room(struct connection *connection)
{
    if (connection->answer == connection->answered) {
        size_t left = connection->end - connection->begin;
        if (connection->begin && (!left || connection->end == connection->room)) {
            memmove(connection->buffer, connection->buffer + connection->begin, left);
            connection->begin = 0;
            connection->end = left;
        }
        connection->answer = connection->answered = connection->begin;
    }
    if (connection->end == connection->room) {
        connection->room *= 2;
        connection->buffer = realloc(connection->buffer, connection->room + 1);
        if (!connection->buffer)
            die("no memory");
    }
}

/* ---- connections ---- */

static void watch(struct connection *connection, int operation, int wants_out)
{
    struct epoll_event event = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0),
                                .data.ptr = connection};
    connection->wants_out = wants_out;
    if (epoll_ctl(epoll, operation, connection->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

static void accept_connection(int listener)
{
    int one = 1;
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0)
        return;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    struct connection *connection = allocate(sizeof *connection);
    connection->fd = fd;
    connection->room = FIRST_ROOM;
    connection->buffer = allocate(connection->room + 1);
    watch(connection, EPOLL_CTL_ADD, 0);
}

static void drop(struct connection *connection)
{
    close(connection->fd);
    free(connection->buffer);
    free(connection);
}

/* Send; return 0 if the connection is over. */
static int send_bytes(struct connection *connection, const uint8_t *bytes, size_t *from, size_t to)
{
    while (*from < to) {
        ssize_t count = write(connection->fd, bytes + *from, to - *from);
        if (count < 0)
            return errno == EAGAIN;
        *from += count;
    }
    return 1;
}

static int send_feed(struct connection *connection)
{
    /* A few blocks a turn, so that one reader that keeps pace does not keep out the others. */
    for (int i = 0; i < 4; i++) {
        if (!send_bytes(connection, feed, &connection->fed, feed_size))
            return 0;
        if (connection->fed < feed_size)
            break;
        connection->fed = 0;
    }
    return 1;
}

static int receive(struct connection *connection)
{
    make_room(connection);
    size_t room = connection->room - connection->end;
    ssize_t count = read(connection->fd, connection->buffer + connection->end, room);
    if (count < 0)
        return errno == EAGAIN;
    if (count == 0)
        return 0;
    connection->end += count;
    if (!connection->opened && !open_connection(connection))
        return 0;
    if (connection->opened)
        answer_frames(connection);
    return 1;
}

static void serve_connection(struct connection *connection, unsigned events)
{
    int alive = !(events & ~(EPOLLIN | EPOLLOUT)) || events & EPOLLIN;
    if (alive && events & EPOLLIN)
        alive = receive(connection);
    if (alive)
        alive = send_bytes(connection, connection->buffer, &connection->answer,
                           connection->answered);
    int pending = connection->answer < connection->answered;
    if (alive && feeding && connection->opened && !connection->closing && !pending)
        alive = send_feed(connection);
    if (!alive || (connection->closing && !pending)) {
        drop(connection);
        return;
    }
    int wants_out = pending || (feeding && connection->opened && !connection->closing);
    if (wants_out != connection->wants_out)
        watch(connection, EPOLL_CTL_MOD, wants_out);
}

static void make_feed(void)
{
    feed = allocate(FEED_FRAMES * (FEED_PAYLOAD + 10));
    for (int i = 0; i < FEED_FRAMES; i++) {
        char text[FEED_PAYLOAD + 1];
        int size = snprintf(text, sizeof text,
                            "{\"type\": \"trade\", \"symbol\": \"%c%c%c-EUR\", \"sequence\": %d, "
                            "\"price\": %d.%02d, \"size\": 0.%06d, \"side\": \"%s\", "
                            "\"time\": \"2025-01-01T12:%02d:%02d.%03dZ\", \"note\": \"",
                            'A' + i % 26, 'A' + i * 7 % 26, 'A' + i * 11 % 26, 1000000 + i,
                            100 + i * 37 % 9900, i * 13 % 100, i * 104729 % 1000000,
                            i % 2 ? "buy" : "sell", i % 60, i * 17 % 60, i * 31 % 1000);
        memset(text + size, 'x', FEED_PAYLOAD - 2 - size);
        memcpy(text + FEED_PAYLOAD - 2, "\"}", 2);
        feed_size += write_header(feed + feed_size, OPCODE_TEXT, FEED_PAYLOAD);
        memcpy(feed + feed_size, text, FEED_PAYLOAD);
        feed_size += FEED_PAYLOAD;
    }
}

int main(int count, char **arguments)
{
    struct epoll_event events[MAX_EVENTS];
    if (count != 3 || (strcmp(arguments[1], "echo") && strcmp(arguments[1], "feed")))
        die("usage: server echo|feed FD");
    feeding = !strcmp(arguments[1], "feed");
    if (feeding)
        make_feed();
    int listener = atoi(arguments[2]);
    signal(SIGPIPE, SIG_IGN);
    fcntl(listener, F_SETFL, fcntl(listener, F_GETFL) | O_NONBLOCK);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    struct epoll_event listening = {.events = EPOLLIN, .data.ptr = NULL};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &listening))
        die("epoll_ctl: %s", strerror(errno));
    for (;;) {
        int ready = epoll_wait(epoll, events, MAX_EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            if (events[i].data.ptr)
                serve_connection(events[i].data.ptr, events[i].events);
            else
                accept_connection(listener);
        }
    }
}
