/* One connection that floods, and some that echo every 2 ms: what the flood does to their latency.
 *
 * Usage: flood PORT PID REQUEST KIND OTHERS SECONDS
 *
 * KIND is none, messages (of two bytes), fragments (empty ones: a message of 1 000 of them) or
 * pings. REQUEST is a file with the opening handshake. The flooding connection writes whatever its
 * socket takes, and reads what comes back. Each of the others is due to send 32 bytes every 2 ms,
 * whether or not the previous ones have come back; latency counts from when a message was due. What
 * has not come back three seconds after the end counts with the time that it has waited.
 *
 * The rate of the flood is that at which the server reads it: what has been sent, without what lies
 * in the kernel on either side, which may be megabytes. PID is the server's, for its CPU time.
 *
 * Prints a line of JSON.
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
#include <linux/sockios.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define PERIOD 2000000 /* ns */
#define GRACE 3000000000
#define PAYLOAD 32
#define ECHO (2 + PAYLOAD)

typedef struct {
    int fd;
    uint32_t have;
    uint8_t frame[ECHO];
    int64_t sent, returned, first; /* messages; the first is due at that time */
} other_t;

static char request[4096];
static size_t request_size;
static struct sockaddr_in address;
static char buffer[1 << 18];

static void fail(const char *what)
{
    fprintf(stderr, "flood: %s: %s\n", what, strerror(errno));
    exit(1);
}

static int64_t now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static double cpu_of(pid_t pid)
{
    struct timespec t;
    /* Linux makes the number of a process's clock from that of the process. */
    if (clock_gettime((~(clockid_t)pid << 3) | 2, &t)) fail("clock of the server");
    return t.tv_sec + t.tv_nsec * 1e-9;
}

/* Returns how many bytes of what was written to a socket its peer on this machine has not read. */
static int64_t unread(int fd)
{
    struct sockaddr_in own;
    socklen_t size = sizeof own;
    int unsent = 0;
    if (getsockname(fd, (struct sockaddr *)&own, &size)) fail("getsockname");
    if (ioctl(fd, SIOCOUTQ, &unsent)) fail("SIOCOUTQ");
    FILE *table = fopen("/proc/net/tcp", "r");
    if (!table) fail("/proc/net/tcp");
    char line[512];
    unsigned local, remote, received = 0;
    while (fgets(line, sizeof line, table))
        if (sscanf(line, " %*u: %*x:%x %*x:%x %*x %*x:%x", &local, &remote, &received) == 3
            && local == ntohs(address.sin_port) && remote == ntohs(own.sin_port))
            break;
        else
            received = 0;
    fclose(table);
    return (int64_t)unsent + received;
}

static int open_one(int buffer_size)
{
    int one = 1, fd = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    /* Little in the kernel, so that what it takes is soon what the server has read. */
    if (buffer_size) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer_size, sizeof buffer_size);
    if (connect(fd, (struct sockaddr *)&address, sizeof address)) fail("connect");
    if (send(fd, request, request_size, 0) != (ssize_t)request_size) fail("send");
    for (int matched = 0; matched < 4;) {
        char c;
        if (recv(fd, &c, 1, 0) != 1) fail("handshake");
        matched = c == "\r\n\r\n"[matched] ? matched + 1 : c == '\r';
    }
    fcntl(fd, F_SETFL, O_NONBLOCK);
    return fd;
}

static uint32_t add(uint8_t *to, uint8_t first, const char *payload, uint8_t size)
{
    static const uint8_t key[4] = {0x37, 0xfa, 0x21, 0x3d};
    to[0] = first;
    to[1] = 0x80 | size;
    memcpy(to + 2, key, 4);
    for (int i = 0; i < size; i++) to[6 + i] = payload[i] ^ key[i % 4];
    return 6 + size;
}

/* Fills the pattern that the flood repeats; returns the number of frames. */
static uint32_t make_flood(const char *kind, uint8_t *pattern, uint32_t *size)
{
    uint32_t count = 0, end = 0;
    for (; count < 1000; count++)
        if (!strcmp(kind, "messages")) end += add(pattern + end, 0x81, "hi", 2);
        else if (!strcmp(kind, "pings")) end += add(pattern + end, 0x89, "hi", 2);
        else if (!strcmp(kind, "fragments"))
            end += add(pattern + end, count ? count == 999 ? 0x80 : 0 : 1, "", 0);
        else if (!strcmp(kind, "none")) return 0;
        else fail("no such kind");
    *size = end;
    return count;
}

static int compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static void say_hello(other_t *other, int64_t due)
{
    char payload[PAYLOAD] = {0};
    uint8_t frame[6 + PAYLOAD];
    memset(payload, '.', sizeof payload);
    snprintf(payload, sizeof payload, "%020ld", due);
    payload[20] = ' ';
    if (send(other->fd, frame, add(frame, 0x81, payload, PAYLOAD), MSG_NOSIGNAL) != sizeof frame)
        fail("one of the others could not send");
    other->sent++;
}

int main(int argc, char **argv)
{
    if (argc != 7) { fprintf(stderr, "usage: flood PORT PID REQUEST KIND OTHERS SECONDS\n"); return 2; }
    pid_t server = atoi(argv[2]);
    address.sin_family = AF_INET;
    address.sin_port = htons(atoi(argv[1]));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    FILE *file = fopen(argv[3], "rb");
    if (!file) fail(argv[3]);
    request_size = fread(request, 1, sizeof request, file);
    fclose(file);

    static uint8_t pattern[8 * 1000 + 1000 * 8];
    uint32_t pattern_size = 0, pattern_frames = make_flood(argv[4], pattern, &pattern_size);
    uint32_t others = atoi(argv[5]), repeated = 0, at = 0;
    char *stream = NULL;
    if (pattern_frames) { /* enough of it for one write */
        repeated = (1 << 16) / pattern_size + 2;
        stream = malloc(repeated * pattern_size);
        for (uint32_t i = 0; i < repeated; i++) memcpy(stream + i * pattern_size, pattern, pattern_size);
    }
    int epoll = epoll_create1(0), flood_fd = -1, timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    other_t *other = calloc(others, sizeof *other);
    struct epoll_event event = {.events = EPOLLIN};
    for (uint32_t i = 0; i < others; i++) {
        other[i].fd = open_one(0);
        event.data.u32 = i;
        epoll_ctl(epoll, EPOLL_CTL_ADD, other[i].fd, &event);
    }
    if (pattern_frames) {
        flood_fd = open_one(1 << 17);
        event.events = EPOLLIN | EPOLLOUT;
        event.data.u32 = others;
        epoll_ctl(epoll, EPOLL_CTL_ADD, flood_fd, &event);
    }
    event.events = EPOLLIN;
    event.data.u32 = others + 1;
    epoll_ctl(epoll, EPOLL_CTL_ADD, timer, &event);

    int64_t span = (int64_t)(atof(argv[6]) * 1e9), warm = 500000000;
    int64_t start = now() + warm, end = start + span;
    int64_t capacity = others * (span / PERIOD + 2), measured = 0, in_flight = 0, pending = 0;
    int64_t *latency = malloc((capacity + 1) * sizeof *latency);
    for (uint32_t i = 0; i < others; i++) other[i].first = start + PERIOD * i / others;
    if (others) {
        struct itimerspec spec = {.it_interval = {0, PERIOD / others}, .it_value = {0, 1}};
        timerfd_settime(timer, 0, &spec, NULL);
    }
    int64_t flood_bytes = 0, flood_before = 0, flood_after = 0, returned_bytes = 0;
    double cpu_before = 0, cpu_after = 0;
    int64_t flood_start = 0, flood_end = 0, lost = 0;
    int over = 0;
    while (!over) {
        struct epoll_event events[64];
        int count = epoll_wait(epoll, events, 64, 1);
        int64_t time = now();
        if (!flood_start && time >= start) {
            flood_start = time;
            cpu_before = cpu_of(server);
            flood_before = pattern_frames ? flood_bytes - unread(flood_fd) : 0;
        }
        if (!flood_end && time >= end) {
            flood_end = time;
            cpu_after = cpu_of(server);
            flood_after = pattern_frames ? flood_bytes - unread(flood_fd) : 0;
        }
        for (int i = 0; i < count; i++) {
            uint32_t who = events[i].data.u32;
            if (who == others + 1) {
                uint64_t expirations;
                if (read(timer, &expirations, 8) < 0) continue;
            } else if (who == others) {
                if (events[i].events & EPOLLIN) {
                    ssize_t size = recv(flood_fd, buffer, sizeof buffer, 0);
                    if (size == 0 || (size < 0 && errno != EAGAIN)) fail("the flooding connection was closed");
                    if (size > 0) returned_bytes += size;
                }
                if (events[i].events & EPOLLOUT) {
                    ssize_t size = send(flood_fd, stream + at, 1 << 16, MSG_NOSIGNAL);
                    if (size > 0) flood_bytes += size, at = (at + size) % pattern_size;
                }
            } else {
                other_t *o = &other[who];
                ssize_t size;
                while ((size = recv(o->fd, o->frame + o->have, ECHO - o->have, 0)) > 0) {
                    o->have += size;
                    if (o->have < ECHO) continue;
                    int64_t due = strtoll((char *)o->frame + 2, NULL, 10);
                    o->have = 0;
                    o->returned++;
                    latency[measured++] = now() - due;
                }
                if (size == 0) fail("one of the others was closed");
            }
        }
        in_flight = 0;
        pending = 0;
        for (uint32_t i = 0; i < others; i++) {
            other_t *o = &other[i];
            for (int64_t due; (due = o->first + o->sent * PERIOD) <= time && due < end;)
                say_hello(o, due);
            pending += o->first + o->sent * PERIOD < end;
            in_flight += o->sent - o->returned;
        }
        over = flood_end && !pending && (!in_flight || time > end + GRACE);
    }
    int64_t time = now();
    for (uint32_t i = 0; i < others; i++)
        for (int64_t k = other[i].returned; k < other[i].sent; k++, lost++)
            latency[measured++] = time - (other[i].first + k * PERIOD);
    qsort(latency, measured, sizeof *latency, compare);
#define AT(share) (measured ? latency[(int64_t)((measured - 1) * (share))] / 1e6 : 0.0)
    double span_s = (flood_end - flood_start) * 1e-9;
    double flood_frames = (flood_after - flood_before) * (double)pattern_frames;
    printf("{\"flood_frames_per_second\": %.1f, \"server_busy\": %.4f, "
           "\"returned_bytes\": %ld, \"messages\": %ld, "
           "\"unanswered\": %ld, \"p50_ms\": %.4f, \"p99_ms\": %.4f, \"max_ms\": %.4f}\n",
           pattern_frames ? flood_frames / pattern_size / span_s : 0.0,
           (cpu_after - cpu_before) / span_s, returned_bytes, measured, lost, AT(0.5), AT(0.99), AT(1.0));
    return 0;
}
