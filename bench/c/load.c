/* The load generator: WebSocket connections over plain sockets, and a clock.
 *
 *   load echo PORT        send frames, wait until all of them are back, start over
 *   load handshakes PORT  open a connection, close it, start over
 *   load read PORT        open the connections and count what the server sends
 *
 * Frames are masked before the clock starts, and what comes back is compared byte by byte. The
 * clock runs from a completed exchange to a completed exchange, after the warm-up. With --pid, the
 * CPU time of that process between the two is part of the result: one line of JSON on stdout.
 */

#define _GNU_SOURCE

#include "common.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <getopt.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SILENCE_MS 20000
#define RECEIVE_SIZE (256 * 1024)
#define MAX_EVENTS 1024
#define LEAST_SHARE 0.2
#define PATIENCE 5

static const char REQUEST[] =
    "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";

/* A Close frame with code 1000, masked with zeros. */
static const uint8_t CLOSE_FRAME[] = {0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8};

static struct {
    int port;
    int connections;
    int depth;
    size_t size;
    unsigned opcode;
    double seconds;
    double warm_up;
    const char *payloads;
    const char *headers;
    int verify;
    pid_t pid;
} option = {.connections = 1,
            .depth = 1,
            .size = 32,
            .opcode = OPCODE_TEXT,
            .seconds = 1,
            .warm_up = 0.2,
            .headers = "",
            .verify = 1};

struct connection {
    int fd;
    int wants_out;
    int opened;       /* handshakes: the response has come */
    size_t sent;
    size_t received;
    size_t have;      /* bytes kept in head */
    double started;
    uint64_t skip;    /* read: bytes of the current frame that are still to come */
    uint8_t head[512];
};

static int epoll;
static uint8_t scratch[RECEIVE_SIZE];

/* ---- the clock ---- */

struct moment {
    double now, cpu, user, system;
};

static struct moment start, stop;
static uint64_t messages, bytes;
static enum { WARMING_UP, MEASURING, OVER } phase;
static double phase_began, phase_began_cpu;

static double now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

/* User and system time as the kernel divides them; their sum is less exact than the CPU clock. */
static void divide_cpu(struct moment *moment)
{
    char path[64], line[1024];
    unsigned long user, system;
    snprintf(path, sizeof path, "/proc/%d/stat", (int)(option.pid ? option.pid : getpid()));
    FILE *file = fopen(path, "r");
    if (!file || !fgets(line, sizeof line, file))
        die("cannot read %s", path);
    fclose(file);
    const char *after_name = strrchr(line, ')');
    if (!after_name || sscanf(after_name + 2, "%*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                              &user, &system) != 2)
        die("cannot understand %s", path);
    moment->user = (double)user / sysconf(_SC_CLK_TCK);
    moment->system = (double)system / sysconf(_SC_CLK_TCK);
}

static double cpu_time(void)
{
    struct timespec time;
    clockid_t clock;
    if (clock_getcpuclockid(option.pid, &clock) || clock_gettime(clock, &time))
        die("no CPU clock of process %d", (int)option.pid);
    return time.tv_sec + time.tv_nsec * 1e-9;
}

static struct moment take_moment(void)
{
    struct moment moment;
    moment.cpu = cpu_time();
    divide_cpu(&moment);
    moment.now = now();
    return moment;
}

static long resident_bytes(void)
{
    char path[64];
    long pages = 0;
    snprintf(path, sizeof path, "/proc/%d/statm", (int)(option.pid ? option.pid : getpid()));
    FILE *file = fopen(path, "r");
    if (!file || fscanf(file, "%*d %ld", &pages) != 1)
        die("cannot read %s", path);
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static float *latencies;
static size_t latency_count, latency_room;

static void keep_latency(double seconds)
{
    if (latency_count == latency_room) {
        latency_room = latency_room ? 2 * latency_room : 65536;
        latencies = realloc(latencies, latency_room * sizeof *latencies);
        if (!latencies)
            die("no memory for latencies");
    }
    latencies[latency_count++] = (float)seconds;
}

static int compare_floats(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void begin_phase(int next, double time, double cpu)
{
    phase = next;
    phase_began = time;
    phase_began_cpu = cpu;
}

/* On a busy machine a process may run for a small part of a second: then the phase is prolonged. */
static int phase_is_over(double time, double seconds)
{
    double passed = time - phase_began;
    return passed >= seconds && (passed >= seconds * PATIENCE ||
                                 cpu_time() - phase_began_cpu >= seconds * LEAST_SHARE);
}

/* Count what was completed right now, and see whether the phase is over. */
static void completed(uint64_t count, double latency)
{
    double time = now();
    if (phase == WARMING_UP && phase_is_over(time, option.warm_up)) {
        start = take_moment();
        begin_phase(MEASURING, start.now, start.cpu);
    } else if (phase == MEASURING) {
        messages += count;
        if (latency >= 0)
            keep_latency(latency);
        if (phase_is_over(time, option.seconds)) {
            stop = take_moment();
            phase = OVER;
        }
    }
}

static void print_result(void)
{
    printf("{\"messages\": %llu, \"elapsed\": %.6f, \"cpu\": %.6f, \"user\": %.6f, "
           "\"system\": %.6f, \"rss\": %ld",
           (unsigned long long)messages, stop.now - start.now, stop.cpu - start.cpu,
           stop.user - start.user, stop.system - start.system, resident_bytes());
    if (bytes)
        printf(", \"bytes\": %llu", (unsigned long long)bytes);
    if (latency_count) {
        qsort(latencies, latency_count, sizeof *latencies, compare_floats);
        printf(", \"p50\": %.7f, \"p99\": %.7f", latencies[latency_count / 2],
               latencies[latency_count * 99 / 100]);
    }
    puts("}");
}

/* ---- sockets ---- */

static void watch(struct connection *connection, int operation, int wants_out)
{
    struct epoll_event event = {.events = EPOLLIN | (wants_out ? EPOLLOUT : 0),
                                .data.ptr = connection};
    connection->wants_out = wants_out;
    if (epoll_ctl(epoll, operation, connection->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

static int connect_socket(void)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(option.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int one = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
        die("cannot connect to port %d: %s", option.port, strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_request(int fd)
{
    char request[1024];
    int size = snprintf(request, sizeof request, "%s%s\r\n", REQUEST, option.headers);
    if (size >= (int)sizeof request || write(fd, request, size) != size)
        die("cannot send the request: %s", strerror(errno));
}

static void check_response(const uint8_t *response)
{
    if (memcmp(response, "HTTP/1.1 101 ", 13))
        die("the server did not accept the handshake: %.32s", response);
}

/* Read the response byte by byte, so that nothing of the frames after it is lost. */
static void read_response(int fd)
{
    uint8_t response[4096];
    size_t size = 0;
    while (size < 4 || memcmp(response + size - 4, "\r\n\r\n", 4)) {
        if (size == sizeof response || read(fd, response + size, 1) != 1)
            die("no response to the handshake: %.*s", (int)size, response);
        size++;
    }
    check_response(response);
}

static struct connection *open_connections(void)
{
    struct connection *all = allocate(option.connections * sizeof *all);
    for (int i = 0; i < option.connections; i++) {
        all[i].fd = connect_socket();
        send_request(all[i].fd);
        read_response(all[i].fd);
        fcntl(all[i].fd, F_SETFL, O_NONBLOCK);
        watch(&all[i], EPOLL_CTL_ADD, 0);
    }
    return all;
}

/* Send what is left of a block; the rest follows when the socket takes it. */
static void send_rest(struct connection *connection, const uint8_t *block, size_t size)
{
    while (connection->sent < size) {
        ssize_t count = write(connection->fd, block + connection->sent, size - connection->sent);
        if (count < 0 && errno == EAGAIN)
            break;
        if (count <= 0)
            die("write: %s", strerror(errno));
        connection->sent += count;
    }
    int wants_out = connection->sent < size;
    if (wants_out != connection->wants_out)
        watch(connection, EPOLL_CTL_MOD, wants_out);
}

static ssize_t receive(struct connection *connection, uint8_t *into, size_t room)
{
    ssize_t count = read(connection->fd, into, room);
    if (count < 0 && errno != EAGAIN)
        die("read: %s", strerror(errno));
    return count;
}

static int wait_for_events(struct epoll_event *events)
{
    int count = epoll_wait(epoll, events, MAX_EVENTS, SILENCE_MS);
    if (count < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    if (count == 0)
        die("the server has been silent for %d s", SILENCE_MS / 1000);
    return count < 0 ? 0 : count;
}

/* ---- echo ---- */

static uint8_t *outgoing, *expected;
static size_t outgoing_size, expected_size;

/* Make one block of masked frames, each with its own key, and the block to expect. */
static void make_frames(void)
{
    size_t total = (option.size + 14) * option.depth;
    uint8_t *payload = allocate(option.size);
    uint32_t random = 2463534242u;
    outgoing = allocate(total);
    expected = allocate(total);
    FILE *file = option.payloads ? fopen(option.payloads, "rb") : NULL;
    if (option.payloads && !file)
        die("cannot open %s", option.payloads);
    for (int i = 0; i < option.depth; i++) {
        memset(payload, '.', option.size);
        if (file && fread(payload, 1, option.size, file) != option.size)
            die("%s is too short", option.payloads);
        random ^= random << 13, random ^= random >> 17, random ^= random << 5;
        uint8_t *header = outgoing + outgoing_size;
        outgoing_size += write_header(header, option.opcode, option.size);
        header[1] |= 0x80;
        uint8_t *key = outgoing + outgoing_size;
        memcpy(key, &random, 4);
        outgoing_size += 4;
        mask(outgoing + outgoing_size, payload, option.size, key);
        outgoing_size += option.size;
        expected_size += write_header(expected + expected_size, option.opcode, option.size);
        memcpy(expected + expected_size, payload, option.size);
        expected_size += option.size;
    }
    if (file)
        fclose(file);
    free(payload);
}

static void begin_exchange(struct connection *connection)
{
    connection->sent = connection->received = 0;
    connection->started = now();
    send_rest(connection, outgoing, outgoing_size);
}

static int open_count;

/* No server shall complain of a connection that breaks off; nothing is measured any more. */
static void say_goodbye(struct connection *connection)
{
    if (write(connection->fd, CLOSE_FRAME, sizeof CLOSE_FRAME) < 0)
        die("cannot send the Close frame: %s", strerror(errno));
    epoll_ctl(epoll, EPOLL_CTL_DEL, connection->fd, NULL);
    open_count--;
}

static void continue_exchange(struct connection *connection)
{
    ssize_t count = receive(connection, scratch, sizeof scratch);
    if (count == 0)
        die("the server has closed the connection");
    if (count < 0)
        return;
    size_t size = count;
    if (size > expected_size - connection->received)
        die("the server sent more than was echoed");
    if (option.verify && memcmp(scratch, expected + connection->received, size))
        die("the server sent something else than it received");
    connection->received += size;
    if (connection->received == expected_size) {
        completed(option.depth, option.depth == 1 ? now() - connection->started : -1);
        if (phase == OVER)
            say_goodbye(connection);
        else
            begin_exchange(connection);
    }
}

static void run_echo(void)
{
    struct epoll_event events[MAX_EVENTS];
    make_frames();
    struct connection *all = open_connections();
    begin_phase(WARMING_UP, now(), cpu_time());
    for (int i = 0; i < option.connections; i++)
        begin_exchange(&all[i]);
    open_count = option.connections;
    while (open_count) {
        int count = wait_for_events(events);
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if (events[i].events & EPOLLOUT)
                send_rest(connection, outgoing, outgoing_size);
            if (events[i].events & ~EPOLLOUT)
                continue_exchange(connection);
        }
    }
}

/* ---- handshakes ---- */

static void begin_handshake(struct connection *connection)
{
    connection->started = now();
    connection->opened = 0;
    connection->have = 0;
    connection->fd = connect_socket();
    send_request(connection->fd);
    fcntl(connection->fd, F_SETFL, O_NONBLOCK);
    watch(connection, EPOLL_CTL_ADD, 0);
}

/* Response, then Close in answer to Close, then the end of the stream: the server closes first. */
static void continue_handshake(struct connection *connection)
{
    size_t room = sizeof connection->head - connection->have;
    ssize_t count = receive(connection, connection->head + connection->have, room);
    if (count < 0)
        return;
    if (count == 0) {
        if (!connection->opened || !connection->have || connection->head[0] != CLOSE_FRAME[0])
            die("the server closed the connection without a Close frame");
        close(connection->fd);
        completed(1, -1);
        begin_handshake(connection);
        return;
    }
    connection->have += count;
    if (connection->opened)
        return;
    if (connection->have >= 4 &&
        !memcmp(connection->head + connection->have - 4, "\r\n\r\n", 4)) {
        check_response(connection->head);
        connection->opened = 1;
        connection->have = 0;
        if (write(connection->fd, CLOSE_FRAME, sizeof CLOSE_FRAME) != sizeof CLOSE_FRAME)
            die("cannot send the Close frame: %s", strerror(errno));
    } else if (connection->have == sizeof connection->head) {
        die("the response is longer than %zu bytes", connection->have);
    }
}

static void run_handshakes(void)
{
    struct epoll_event events[MAX_EVENTS];
    struct connection *all = allocate(option.connections * sizeof *all);
    begin_phase(WARMING_UP, now(), cpu_time());
    for (int i = 0; i < option.connections; i++)
        begin_handshake(&all[i]);
    while (phase != OVER) {
        int count = wait_for_events(events);
        for (int i = 0; i < count && phase != OVER; i++)
            continue_handshake(events[i].data.ptr);
    }
}

/* ---- read ---- */

/* Count the frames that end in what was received; only headers are kept between reads. */
static uint64_t count_frames(struct connection *connection, const uint8_t *data, size_t size)
{
    uint64_t frames = 0;
    while (size) {
        if (connection->skip) {
            size_t step = connection->skip < size ? connection->skip : size;
            connection->skip -= step;
            data += step;
            size -= step;
            frames += !connection->skip;
            continue;
        }
        connection->head[connection->have++] = *data++;
        size--;
        uint64_t payload;
        if (read_header(connection->head, connection->have, &payload)) {
            connection->have = 0;
            connection->skip = payload;
            frames += !payload;
        }
    }
    return frames;
}

static void run_read(void)
{
    struct epoll_event events[MAX_EVENTS];
    open_connections();
    puts("ready");
    fflush(stdout);
    begin_phase(WARMING_UP, now(), cpu_time());
    while (phase != OVER) {
        int count = wait_for_events(events);
        for (int i = 0; i < count && phase != OVER; i++) {
            struct connection *connection = events[i].data.ptr;
            ssize_t size = receive(connection, scratch, sizeof scratch);
            if (size == 0)
                die("the server has closed the connection");
            if (size < 0)
                continue;
            if (phase == MEASURING)
                bytes += size;
            completed(count_frames(connection, scratch, size), -1);
        }
    }
}

/* ---- options ---- */

static void read_options(int count, char **arguments)
{
    static const struct option names[] = {
        {"connections", required_argument, 0, 'c'}, {"depth", required_argument, 0, 'd'},
        {"size", required_argument, 0, 's'},        {"opcode", required_argument, 0, 'o'},
        {"seconds", required_argument, 0, 't'},     {"warm-up", required_argument, 0, 'w'},
        {"payloads", required_argument, 0, 'f'},    {"headers", required_argument, 0, 'h'},
        {"pid", required_argument, 0, 'p'},         {"unverified", no_argument, 0, 'u'},
        {0, 0, 0, 0},
    };
    for (int name; (name = getopt_long(count, arguments, "", names, NULL)) != -1;) {
        switch (name) {
        case 'c': option.connections = atoi(optarg); break;
        case 'd': option.depth = atoi(optarg); break;
        case 's': option.size = strtoull(optarg, NULL, 10); break;
        case 'o': option.opcode = atoi(optarg); break;
        case 't': option.seconds = atof(optarg); break;
        case 'w': option.warm_up = atof(optarg); break;
        case 'f': option.payloads = optarg; break;
        case 'h': option.headers = optarg; break;
        case 'p': option.pid = atoi(optarg); break;
        case 'u': option.verify = 0; break;
        default: exit(2);
        }
    }
}

int main(int count, char **arguments)
{
    if (count < 3)
        die("usage: load echo|handshakes|read PORT [--option value ...]");
    option.port = atoi(arguments[2]);
    read_options(count - 2, arguments + 2);
    signal(SIGPIPE, SIG_IGN);
    epoll = epoll_create1(EPOLL_CLOEXEC);
    if (!strcmp(arguments[1], "echo"))
        run_echo();
    else if (!strcmp(arguments[1], "handshakes"))
        run_handshakes();
    else if (!strcmp(arguments[1], "read"))
        run_read();
    else
        die("%s is neither echo nor handshakes nor read", arguments[1]);
    print_result();
    return 0;
}
