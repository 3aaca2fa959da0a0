/* See front.h. Plain sockets: what is sent here no HTTP library would send. */
#include "tests/hostile/front.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"

#define ITERATOR "evil-iterator"
#define JSON_TYPE "Content-Type: application/x-amz-json-1.1\r\n"
#define MAXIMUM_CONNECTIONS 4096

struct connection {
    struct hostile_front *front;
    struct leat_thread thread;
    int fd, upstream_fd;
};

struct hostile_front {
    struct hostile_front_options options;
    int listener;
    char url[64];
    struct leat_thread thread;
    _Atomic bool is_stopping, is_armed;
    _Atomic unsigned calls;
    struct connection *connections[MAXIMUM_CONNECTIONS]; /* the accepting thread's */
    size_t count;
};

/* ---- sending --------------------------------------------------------------------------------- */

static bool
wait_for(struct hostile_front *front, int fd, short events, int64_t deadline_us)
{
    while (!front->is_stopping) {
        struct pollfd ready = {.fd = fd, .events = events};
        int64_t left_us = deadline_us - leat_clock_monotonic_us();
        int wait_ms = left_us > 50000 ? 50 : left_us > 0 ? (int)(left_us / 1000) + 1 : 0;

        if (poll(&ready, 1, wait_ms) > 0)
            return true;
        if (left_us <= 0)
            return false;
    }
    return false;
}

static bool
send_all(struct hostile_front *front, int fd, const unsigned char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL | MSG_DONTWAIT);

        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return false;
        if (sent < 0 && !wait_for(front, fd, POLLOUT, INT64_MAX))
            return false;
        bytes += sent > 0 ? sent : 0;
        size -= sent > 0 ? (size_t)sent : 0;
    }
    return true;
}

bool
hostile_send(struct hostile_call *call, const void *bytes, size_t size)
{
    return send_all(call->front, call->fd, bytes, size);
}

bool
hostile_text(struct hostile_call *call, const char *text)
{
    return hostile_send(call, text, strlen(text));
}

/* false, too, when the other side closed: nobody is left to be hostile to. */
bool
hostile_wait(struct hostile_call *call, int64_t us)
{
    int64_t deadline_us = leat_clock_monotonic_us() + us;
    char byte;

    if (!wait_for(call->front, call->fd, POLLIN, deadline_us))
        return !call->front->is_stopping;
    return recv(call->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

bool
hostile_reply(struct hostile_call *call, int status, const char *headers, struct leat_slice body)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_buf_printf(&text, "HTTP/1.1 %d Hostile\r\n%sContent-Length: %zu\r\n\r\n", status, headers,
                    body.size);
    leat_buf_add_slice(&text, body);
    return hostile_send(call, text.data, text.size);
}

bool
hostile_json(struct hostile_call *call, const char *json)
{
    return hostile_reply(call, 200, JSON_TYPE, leat_slice_from(json));
}

/* ---- one connection -------------------------------------------------------------------------- */

static bool
receive(struct connection *connection, int fd, struct leat_buf *buf)
{
    char piece[65536];
    ssize_t got;

    if (!wait_for(connection->front, fd, POLLIN, INT64_MAX))
        return false;
    got = recv(fd, piece, sizeof piece, 0);
    return got > 0 && leat_buf_add(buf, piece, (size_t)got);
}

/* A whole message with Content-Length; its size, 0: the connection ended. ret_body: where the body begins. */
static size_t
receive_message(struct connection *connection, int fd, struct leat_buf *buf, size_t *ret_body)
{
    for (;;) {
        const char *text = leat_buf_text(buf);
        const char *end = strstr(text, "\r\n\r\n"), *length = strcasestr(text, "\ncontent-length:");
        size_t size;

        if (end != NULL) {
            *ret_body = (size_t)(end + 4 - text);
            size = *ret_body +
                   (length != NULL && length < end ? strtoul(length + 16, NULL, 10) : 0);
            if (buf->size >= size)
                return size;
        }
        if (!receive(connection, fd, buf))
            return 0;
    }
}

static int
connect_upstream(uint16_t port)
{
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

/* To the real server and back. */
static bool
hand_on(struct connection *connection, struct leat_slice request)
{
    struct hostile_front *front = connection->front;
    LEAT_AUTO_BUF answer = LEAT_BUF_INIT;
    size_t size, body;

    if (connection->upstream_fd < 0)
        connection->upstream_fd = connect_upstream(front->options.upstream);
    if (connection->upstream_fd < 0 ||
        !send_all(front, connection->upstream_fd, request.data, request.size))
        return false;
    size = receive_message(connection, connection->upstream_fd, &answer, &body);
    return size > 0 && send_all(front, connection->fd, answer.data, size);
}

static const char *
action_of(const struct hostile_front *front, const char *head, char action[64])
{
    const char *target = strcasestr(head, "x-amz-target: Kinesis_20131202.");

    if (front->options.upstream == 0)
        return strncmp(head, "PUT ", 4) == 0 ? "PutObject" : "Other";
    snprintf(action, 64, "%s", target != NULL ? target + 31 : "");
    action[strcspn(action, "\r\n")] = '\0';
    return action;
}

static bool
is_hostile(const struct hostile_front *front, const char *action, struct leat_slice body)
{
    return front->options.action != NULL && front->is_armed &&
           strcmp(front->options.action, action) == 0 &&
           (front->options.upstream == 0 || strcmp(action, "ListStreams") == 0 ||
            memmem(body.data, body.size, EVIL, strlen(EVIL)) != NULL);
}

static bool
serve(struct connection *connection, struct leat_slice request, size_t body_at)
{
    struct hostile_front *front = connection->front;
    struct leat_slice body = {request.data + body_at, request.size - body_at};
    char name[64];
    struct hostile_call call = {front, connection->fd, NULL, body, 0};

    call.action = action_of(front, (const char *)request.data, name);
    if (is_hostile(front, call.action, body)) {
        call.number = front->calls++;
        return front->options.answer(&call);
    }
    if (front->options.upstream == 0)
        return hostile_reply(&call, 200, "ETag: \"x\"\r\n", leat_slice_from(""));
    /* So that a GetRecords tells whose it is. */
    if (front->options.action != NULL && strcmp(front->options.action, "GetRecords") == 0 &&
        strcmp(call.action, "GetShardIterator") == 0 &&
        memmem(body.data, body.size, EVIL, strlen(EVIL)) != NULL)
        return hostile_json(&call, "{\"ShardIterator\":\"" ITERATOR "\"}");
    return hand_on(connection, request);
}

static void
run_connection(void *context)
{
    struct connection *connection = context;
    LEAT_AUTO_BUF received = LEAT_BUF_INIT;
    size_t size, body;

    while ((size = receive_message(connection, connection->fd, &received, &body)) > 0 &&
           serve(connection, leat_slice_make(received.data, size), body)) {
        memmove(received.data, received.data + size, received.size - size);
        received.size -= size;
    }
    shutdown(connection->fd, SHUT_RDWR);
}

/* ---- the front ------------------------------------------------------------------------------- */

static void
run_listener(void *context)
{
    struct hostile_front *front = context;

    while (wait_for(front, front->listener, POLLIN, INT64_MAX)) {
        struct connection *connection;
        struct leat_error err;
        int fd = accept4(front->listener, NULL, NULL, SOCK_CLOEXEC);

        if (fd < 0)
            continue;
        if (front->count == MAXIMUM_CONNECTIONS) {
            close(fd);
            continue;
        }
        connection = LEAT_NEW(struct connection);
        *connection = (struct connection){.front = front, .fd = fd, .upstream_fd = -1};
        LEAT_ASSERT(leat_thread_start(&connection->thread, "hostile", run_connection, connection,
                                      &err) == 0);
        front->connections[front->count++] = connection;
    }
}

struct hostile_front *
hostile_front_new(const struct hostile_front_options *options)
{
    struct hostile_front *front = LEAT_NEW(struct hostile_front);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct leat_error err;

    front->options = *options;
    front->is_armed = !options->is_late;
    front->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    LEAT_ASSERT(bind(front->listener, (struct sockaddr *)&address, size) == 0);
    LEAT_ASSERT(listen(front->listener, 256) == 0);
    LEAT_ASSERT(getsockname(front->listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(front->url, sizeof front->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    LEAT_ASSERT(leat_thread_start(&front->thread, "front", run_listener, front, &err) == 0);
    return front;
}

void
hostile_front_free(struct hostile_front *front)
{
    if (front == NULL)
        return;
    front->is_stopping = true;
    leat_thread_join(&front->thread);
    for (size_t i = 0; i < front->count; i++) {
        leat_thread_join(&front->connections[i]->thread);
        close(front->connections[i]->fd);
        if (front->connections[i]->upstream_fd >= 0)
            close(front->connections[i]->upstream_fd);
        free(front->connections[i]);
    }
    close(front->listener);
    free(front);
}

const char *
hostile_front_url(const struct hostile_front *front)
{
    return front->url;
}

void
hostile_front_arm(struct hostile_front *front)
{
    front->is_armed = true;
}

unsigned
hostile_front_calls(struct hostile_front *front)
{
    return front->calls;
}
