/* Many WebSocket connections that cost their machine little: what sits on the other end when a
 * server's fan-out, memory, churn or compression is measured.
 *
 * Usage: swarm HOST PORT REQUEST
 *
 * REQUEST is a file with the opening handshake. Commands come on stdin, one a line; each is
 * answered by one line on stdout once it is done.
 *
 *   open N             open N more connections                            "ok N"
 *   send FILE COUNT    every connection sends the file's bytes and waits
 *                      until COUNT frames have come back                  "ok SECONDS"
 *   reset              forget what has been counted                       "ok"
 *   expect FRAMES      wait until that many frames have been counted      "ok FRAMES BYTES"
 *   echo FILE DEPTH S  for S seconds, every connection sends the file's
 *                      frames in turn, DEPTH in flight                    "ok FRAMES BYTES SECONDS"
 *   close              close all connections, with the handshake          "ok SECONDS"
 *
 * In a FILE, each frame has its length before it, 4 bytes, little endian. What is counted are data
 * frames, and their bytes with headers. Pings are answered.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { OPENING, READY, CLOSED };

typedef struct {
    int fd, state, matched;
    uint8_t header[10], control[125];
    uint32_t have, control_have;
    int in_payload;
    uint64_t left, frames, wanted;
    uint32_t next, in_flight;
    char *pending; /* what the socket would not take yet */
    size_t pending_at, pending_size;
} connection_t;

static struct sockaddr_in address;
static char request[4096];
static size_t request_size;
static connection_t *connections;
static uint32_t opened, alive, opening, waiting;
static uint64_t frames, bytes;
static int epoll;
static char buffer[1 << 18];

/* the frames of the file that is sent now */
static char *file_data;
static char **file_frame;
static uint32_t *file_length, file_frames;
static uint32_t depth; /* 0 unless in "echo" */

static void fail(const char *what)
{
    fprintf(stderr, "swarm: %s: %s\n", what, strerror(errno));
    exit(1);
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec + t.tv_nsec * 1e-9;
}

static void load(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file) fail(path);
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    free(file_data); free(file_frame); free(file_length);
    file_data = malloc(size);
    if (fread(file_data, 1, size, file) != (size_t)size) fail(path);
    fclose(file);
    file_frames = 0;
    file_frame = malloc(size / 4 * sizeof *file_frame);
    file_length = malloc(size / 4 * sizeof *file_length);
    for (long at = 0; at + 4 <= size;) {
        uint32_t length;
        memcpy(&length, file_data + at, 4);
        file_frame[file_frames] = file_data + at + 4;
        file_length[file_frames++] = length;
        at += 4 + length;
    }
}

static void watch(connection_t *c, int operation)
{
    struct epoll_event event = {.events = EPOLLIN | (c->pending ? EPOLLOUT : 0), .data.ptr = c};
    if (epoll_ctl(epoll, operation, c->fd, &event)) fail("epoll_ctl");
}

static void finish(connection_t *c)
{
    close(c->fd);
    free(c->pending);
    c->pending = NULL;
    c->state = CLOSED;
    alive--;
}

/* Writes what it can now, and keeps the rest. */
static void put(connection_t *c, const char *data, size_t size)
{
    ssize_t sent = 0;
    if (c->pending) {
        c->pending = realloc(c->pending, c->pending_size + size);
        memcpy(c->pending + c->pending_size, data, size);
        c->pending_size += size;
        return;
    }
    sent = send(c->fd, data, size, MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) { finish(c); return; }
        sent = 0;
    }
    if ((size_t)sent < size) {
        c->pending = malloc(size - sent);
        c->pending_at = 0;
        c->pending_size = size - sent;
        memcpy(c->pending, data + sent, size - sent);
        watch(c, EPOLL_CTL_MOD);
    }
}

static void flush(connection_t *c)
{
    ssize_t sent = send(c->fd, c->pending + c->pending_at, c->pending_size - c->pending_at,
                        MSG_NOSIGNAL);
    if (sent < 0) {
        if (errno != EAGAIN) finish(c);
        return;
    }
    c->pending_at += sent;
    if (c->pending_at == c->pending_size) {
        free(c->pending);
        c->pending = NULL;
        watch(c, EPOLL_CTL_MOD);
    }
}

/* Keeps the wanted number of frames in flight, with one write for all that are due. */
static void top_up(connection_t *c)
{
    static char batch[1 << 22];
    size_t size = 0;
    while (c->in_flight < depth) {
        uint32_t length = file_length[c->next];
        if (size + length > sizeof batch) break;
        memcpy(batch + size, file_frame[c->next], length);
        size += length;
        c->next = (c->next + 1) % file_frames;
        c->in_flight++;
    }
    if (size) put(c, batch, size);
}

static void end_of_frame(connection_t *c)
{
    int opcode = c->header[0] & 15;
    if (opcode == 9) {
        uint8_t pong[131] = {0x8a, 0x80 | c->control_have};
        memcpy(pong + 6, c->control, c->control_have);
        put(c, (char *)pong, 6 + c->control_have);
    } else if (opcode < 8) {
        frames++;
        c->frames++;
        if (c->in_flight) c->in_flight--;
        if (c->frames == c->wanted) waiting--;
    }
    c->have = c->in_payload = 0;
}

static void parse(connection_t *c, const uint8_t *data, size_t size)
{
    while (size) {
        if (!c->in_payload) {
            c->header[c->have++] = *data++;
            size--;
            if (c->have < 2) continue;
            uint32_t length = c->header[1] & 127;
            uint32_t header_size = length < 126 ? 2 : length == 126 ? 4 : 10;
            if (c->have < header_size) continue;
            c->left = length < 126 ? length : 0;
            for (uint32_t i = 2; i < header_size; i++) c->left = c->left << 8 | c->header[i];
            if ((c->header[0] & 15) < 8) bytes += header_size + c->left;
            c->control_have = 0;
            c->in_payload = 1;
            if (!c->left) end_of_frame(c);
            continue;
        }
        size_t part = size < c->left ? size : c->left;
        if (c->header[0] & 8) {
            memcpy(c->control + c->control_have, data, part);
            c->control_have += part;
        }
        data += part;
        size -= part;
        c->left -= part;
        if (!c->left) end_of_frame(c);
    }
}

static void readable(connection_t *c)
{
    ssize_t size = recv(c->fd, buffer, sizeof buffer, 0);
    if (size < 0 && errno == EAGAIN) return;
    if (size <= 0) {
        if (c->state == OPENING) fail("closed during the handshake");
        finish(c);
        return;
    }
    uint8_t *data = (uint8_t *)buffer;
    if (c->state == OPENING) {
        while (size && c->matched < 4) {
            c->matched = *data == "\r\n\r\n"[c->matched] ? c->matched + 1 : *data == '\r';
            data++;
            size--;
        }
        if (c->matched < 4) return;
        c->state = READY;
        opening--;
    }
    parse(c, data, size);
    if (depth && c->state == READY) top_up(c);
}

static void open_one(void)
{
    connection_t *c = &connections[opened++];
    memset(c, 0, sizeof *c);
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (c->fd < 0) fail("socket");
    int one = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connect(c->fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    fcntl(c->fd, F_SETFL, O_NONBLOCK);
    if (send(c->fd, request, request_size, 0) != (ssize_t)request_size) fail("send");
    watch(c, EPOLL_CTL_ADD);
    alive++;
    opening++;
}

/* Serves whatever is ready; returns true if that was a command as well. */
static int turn(int timeout)
{
    struct epoll_event events[512];
    int command = 0, count = epoll_wait(epoll, events, 512, timeout);
    for (int i = 0; i < count; i++) {
        connection_t *c = events[i].data.ptr;
        if (!c) { command = 1; continue; }
        if (c->state == CLOSED) continue;
        if (c->pending && events[i].events & EPOLLOUT) flush(c);
        if (c->state != CLOSED && events[i].events & ~EPOLLOUT) readable(c);
    }
    return command;
}

static void exchange(const char *path, uint64_t count)
{
    double start = now();
    load(path);
    waiting = alive;
    for (uint32_t i = 0; i < opened; i++) {
        connection_t *c = &connections[i];
        if (c->state != READY) continue;
        c->frames = 0;
        c->wanted = count;
        for (uint32_t k = 0; k < file_frames; k++) put(c, file_frame[k], file_length[k]);
        if (i % 64 == 0) turn(0);
    }
    while (waiting) turn(-1);
    for (uint32_t i = 0; i < opened; i++) connections[i].wanted = 0;
    printf("ok %.6f\n", now() - start);
}

static void echo(const char *path, uint32_t in_flight, double seconds)
{
    load(path);
    depth = in_flight;
    frames = bytes = 0;
    double start = now(), end = start + seconds;
    for (uint32_t i = 0; i < opened; i++)
        if (connections[i].state == READY) {
            connections[i].next = 0;
            top_up(&connections[i]);
        }
    while (now() < end) turn(10);
    /* What is on its way is awaited: all that was sent is counted, and what follows has silence. */
    depth = 0;
    for (uint32_t i = 0; i < opened; i++)
        while (connections[i].state == READY && connections[i].in_flight) turn(100);
    printf("ok %lu %lu %.6f\n", frames, bytes, now() - start);
}

static void close_all(void)
{
    static const char frame[] = {(char)0x88, (char)0x82, 0, 0, 0, 0, 3, (char)0xe8};
    double start = now();
    for (uint32_t i = 0; i < opened; i++) {
        if (connections[i].state == READY) put(&connections[i], frame, sizeof frame);
        if (i % 64 == 0) turn(0);
    }
    while (alive) turn(-1);
    opened = 0;
    printf("ok %.6f\n", now() - start);
}

int main(int argc, char **argv)
{
    if (argc != 4) { fprintf(stderr, "usage: swarm HOST PORT REQUEST\n"); return 2; }
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    connections = calloc(limit.rlim_max > 1 << 17 ? 1 << 17 : limit.rlim_max, sizeof *connections);
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(argv[2]));
    inet_pton(AF_INET, argv[1], &address.sin_addr);
    FILE *file = fopen(argv[3], "rb");
    if (!file) fail(argv[3]);
    request_size = fread(request, 1, sizeof request, file);
    fclose(file);
    epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll, EPOLL_CTL_ADD, 0, &event);
    setvbuf(stdout, NULL, _IOLBF, 0);
    setvbuf(stdin, NULL, _IONBF, 0);
    char line[1024], path[512];
    for (;;) {
        uint64_t number;
        uint32_t in_flight;
        double seconds;
        if (!turn(-1)) continue;
        if (!fgets(line, sizeof line, stdin)) return 0;
        if (sscanf(line, "open %lu", &number) == 1) {
            for (uint64_t i = 0; i < number; i++) {
                open_one();
                while (opening >= 64) turn(-1);
            }
            while (opening) turn(-1);
            printf("ok %u\n", alive);
        } else if (sscanf(line, "send %511s %lu", path, &number) == 2) {
            exchange(path, number);
        } else if (!strncmp(line, "reset", 5)) {
            frames = bytes = 0;
            printf("ok\n");
        } else if (sscanf(line, "expect %lu", &number) == 1) {
            while (frames < number) turn(-1);
            printf("ok %lu %lu\n", frames, bytes);
        } else if (sscanf(line, "echo %511s %u %lf", path, &in_flight, &seconds) == 3) {
            echo(path, in_flight, seconds);
        } else if (!strncmp(line, "close", 5)) {
            close_all();
        } else {
            printf("error: %s", line);
        }
    }
}
