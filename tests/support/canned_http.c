/* See canned_http.h. One poll loop over the connections; answers in the order in which requests became whole. */
#include "tests/support/canned_http.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/thread.h"

#define MAXIMUM_STEPS 64
#define MAXIMUM_CONNECTIONS 16

struct step {
    struct leat_slice raw;
    enum canned_then then;
};

struct canned_http {
    struct leat_thread thread;
    struct leat_waker waker;
    int listener;
    char url[64];
    struct leat_mutex mutex; /* guards what follows */
    struct step steps[MAXIMUM_STEPS];
    size_t step_count, step_next;
    char *requests[MAXIMUM_STEPS];
    size_t request_sizes[MAXIMUM_STEPS];
    size_t request_count, connection_count;
    bool is_stopping;
};

struct connection {
    int fd;
    struct leat_buf received;
};

/* The size of the whole request at the buffer's start; 0: not whole yet. */
static size_t
whole_request(struct leat_buf *received)
{
    const char *text = leat_buf_text(received);
    const char *end = strstr(text, "\r\n\r\n");
    const char *length;
    size_t size;

    if (end == NULL)
        return 0;
    size = (size_t)(end - text) + 4;
    length = strcasestr(text, "content-length:");
    if (length != NULL && length < end)
        size += strtoul(length + 15, NULL, 10);
    return received->size >= size ? size : 0;
}

/* false: the connection is to be closed. */
static bool
serve(struct canned_http *server, struct connection *connection, size_t size)
{
    static const char none[] = "HTTP/1.1 500 No More Answers\r\nContent-Length: 0\r\n\r\n";
    struct step step = {leat_slice_from(none), CANNED_KEEP};
    size_t sent = 0;

    leat_mutex_lock(&server->mutex);
    if (server->request_count < MAXIMUM_STEPS) {
        server->request_sizes[server->request_count] = size;
        server->requests[server->request_count++] =
            leat_slice_strdup(leat_slice_make(connection->received.data, size));
    }
    if (server->step_next < server->step_count)
        step = server->steps[server->step_next++];
    leat_mutex_unlock(&server->mutex);
    memmove(connection->received.data, connection->received.data + size,
            connection->received.size - size);
    connection->received.size -= size;
    if (step.then == CANNED_SILENT)
        return true;
    while (sent < step.raw.size) {
        ssize_t written =
            send(connection->fd, step.raw.data + sent, step.raw.size - sent, MSG_NOSIGNAL);

        if (written <= 0)
            return false;
        sent += (size_t)written;
    }
    return step.then == CANNED_KEEP;
}

static bool
receive(struct canned_http *server, struct connection *connection)
{
    char piece[65536];
    ssize_t got = recv(connection->fd, piece, sizeof piece, 0);
    size_t size;

    if (got <= 0)
        return false;
    leat_buf_add(&connection->received, piece, (size_t)got);
    while ((size = whole_request(&connection->received)) > 0) {
        if (!serve(server, connection, size))
            return false;
    }
    return true;
}

static void
run(void *context)
{
    struct canned_http *server = context;
    struct connection connections[MAXIMUM_CONNECTIONS];
    size_t count = 0;

    for (;;) {
        struct pollfd fds[MAXIMUM_CONNECTIONS + 2] = {{.fd = server->waker.fd, .events = POLLIN},
                                                      {.fd = server->listener, .events = POLLIN}};
        bool is_stopping;

        for (size_t i = 0; i < count; i++)
            fds[i + 2] = (struct pollfd){.fd = connections[i].fd, .events = POLLIN};
        poll(fds, count + 2, -1);
        leat_mutex_lock(&server->mutex);
        is_stopping = server->is_stopping;
        leat_mutex_unlock(&server->mutex);
        if (is_stopping)
            break;
        for (size_t i = count; i > 0; i--) {
            if (fds[i + 1].revents == 0 || receive(server, &connections[i - 1]))
                continue;
            close(connections[i - 1].fd);
            leat_buf_release(&connections[i - 1].received);
            connections[i - 1] = connections[--count];
        }
        if (fds[1].revents != 0 && count < MAXIMUM_CONNECTIONS) {
            connections[count].fd = accept(server->listener, NULL, NULL);
            leat_buf_init(&connections[count++].received, SIZE_MAX);
            leat_mutex_lock(&server->mutex);
            server->connection_count++;
            leat_mutex_unlock(&server->mutex);
        }
    }
    while (count > 0) {
        close(connections[--count].fd);
        leat_buf_release(&connections[count].received);
    }
}

struct canned_http *
canned_http_new(void)
{
    struct canned_http *server = LEAT_NEW(struct canned_http);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct leat_error err;

    leat_mutex_init(&server->mutex);
    server->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    LEAT_ASSERT(bind(server->listener, (struct sockaddr *)&address, size) == 0);
    LEAT_ASSERT(listen(server->listener, 16) == 0);
    LEAT_ASSERT(getsockname(server->listener, (struct sockaddr *)&address, &size) == 0);
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d", ntohs(address.sin_port));
    LEAT_ASSERT(leat_waker_init(&server->waker, &err) == 0);
    LEAT_ASSERT(leat_thread_start(&server->thread, "canned-http", run, server, &err) == 0);
    return server;
}

void
canned_http_free(struct canned_http *server)
{
    leat_mutex_lock(&server->mutex);
    server->is_stopping = true;
    leat_mutex_unlock(&server->mutex);
    leat_waker_wake(&server->waker);
    leat_thread_join(&server->thread);
    leat_waker_release(&server->waker);
    leat_mutex_release(&server->mutex);
    close(server->listener);
    for (size_t i = 0; i < server->step_count; i++)
        free((void *)server->steps[i].raw.data);
    for (size_t i = 0; i < server->request_count; i++)
        free(server->requests[i]);
    free(server);
}

const char *
canned_http_url(const struct canned_http *server)
{
    return server->url;
}

void
canned_http_add(struct canned_http *server, struct leat_slice raw, enum canned_then then)
{
    leat_mutex_lock(&server->mutex);
    LEAT_ASSERT(server->step_count < MAXIMUM_STEPS);
    server->steps[server->step_count].raw = leat_slice_copy(raw);
    server->steps[server->step_count++].then = then;
    leat_mutex_unlock(&server->mutex);
}

void
canned_http_answer(struct canned_http *server, int status, const char *headers,
                   struct leat_slice body)
{
    LEAT_AUTO_BUF raw = LEAT_BUF_INIT;

    leat_buf_printf(&raw, "HTTP/1.1 %d Text\r\n%sContent-Length: %zu\r\n\r\n", status, headers,
                    body.size);
    leat_buf_add_slice(&raw, body);
    canned_http_add(server, leat_buf_slice(&raw), CANNED_KEEP);
}

size_t
canned_http_count(struct canned_http *server)
{
    size_t count;

    leat_mutex_lock(&server->mutex);
    count = server->request_count;
    leat_mutex_unlock(&server->mutex);
    return count;
}

size_t
canned_http_connections(struct canned_http *server)
{
    size_t count;

    leat_mutex_lock(&server->mutex);
    count = server->connection_count;
    leat_mutex_unlock(&server->mutex);
    return count;
}

const char *
canned_http_request(struct canned_http *server, size_t place)
{
    const char *text;

    leat_mutex_lock(&server->mutex);
    text = place < server->request_count ? server->requests[place] : "";
    leat_mutex_unlock(&server->mutex);
    return text;
}

struct leat_slice
canned_http_body(struct canned_http *server, size_t place)
{
    const char *text = canned_http_request(server, place);
    const char *body = strstr(text, "\r\n\r\n");

    if (body == NULL)
        return leat_slice_from("");
    return leat_slice_make(body + 4, server->request_sizes[place] - (size_t)(body + 4 - text));
}
