/*
 * A few lines of libmicrohttpd. Only GET and HEAD; answers are small and made when they are asked for.
 *
 * Somebody who sends or reads slowly, or not at all, must not keep a probe out: above so many connections the oldest is shut
 * down for each that comes. A probe needs a millisecond; whoever is shut down before that tries again. The same for answers that
 * nobody reads: a page of metrics may be long, and all that wait to be read together have a limit.
 */
#include "worker/health.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/memory.h"

/* Far more than are open where all is well, and far less than what a process may open. */
#define KEPT_CONNECTIONS 48u
/* libmicrohttpd's own limit: those that are shut down stay for a moment. */
#define MOST_CONNECTIONS (4 * KEPT_CONNECTIONS)
#define IDLE_TIMEOUT_S 10u
#define MOST_WAITING_BYTES ((size_t)8 << 20)

struct connection {
    struct connection *older, *newer;
    int fd;           /* -1: shut down already */
    size_t body_size; /* of the answer that it has yet to read */
};

struct leat_health {
    struct leat_health_options options;
    struct MHD_Daemon *daemon;
    struct connection *oldest,
        *newest; /* libmicrohttpd's thread's; without those that are shut down */
    unsigned count;
    size_t waiting_bytes; /* of all answers; of those that were shut down only until they are */
};

/* ---- connections ----------------------------------------------------------------------------- */

static void
forget(struct leat_health *health, struct connection *connection)
{
    *(connection->older != NULL ? &connection->older->newer : &health->oldest) = connection->newer;
    *(connection->newer != NULL ? &connection->newer->older : &health->newest) = connection->older;
    connection->older = connection->newer = NULL;
    connection->fd = -1;
    health->count--;
}

/* libmicrohttpd sees its end, and closes it. */
static void
end_oldest(struct leat_health *health)
{
    struct connection *connection = health->oldest;

    shutdown(connection->fd, SHUT_RDWR);
    health->waiting_bytes -= connection->body_size;
    connection->body_size = 0;
    forget(health, connection);
}

static void
remember(struct leat_health *health, struct connection *connection)
{
    connection->older = health->newest;
    *(health->newest != NULL ? &health->newest->newer : &health->oldest) = connection;
    health->newest = connection;
    if (++health->count > KEPT_CONNECTIONS)
        end_oldest(health);
}

/* Room for an answer, where others wait to be read: theirs have had more time. */
static void
wait_to_be_read(struct leat_health *health, struct connection *connection, size_t size)
{
    while (health->waiting_bytes > 0 && health->waiting_bytes + size > MOST_WAITING_BYTES &&
           health->oldest != NULL && health->oldest != connection)
        end_oldest(health);
    if (connection->fd < 0)
        return;
    health->waiting_bytes += size - connection->body_size;
    connection->body_size = size;
}

static struct connection *
known_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

/* Read, or given up. */
static void
on_completed(void *context, struct MHD_Connection *connection, void **state,
             enum MHD_RequestTerminationCode why)
{
    struct leat_health *health = context;
    struct connection *known = known_of(connection);

    if (known == NULL)
        return;
    health->waiting_bytes -= known->body_size;
    known->body_size = 0;
}

static void
on_connection(void *context, struct MHD_Connection *connection, void **state,
              enum MHD_ConnectionNotificationCode what)
{
    struct leat_health *health = context;
    struct connection *known = *state;

    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);

        if (info == NULL)
            return;
        *state = known = LEAT_NEW(struct connection);
        known->fd = info->connect_fd;
        remember(health, known);
        return;
    }
    if (known != NULL)
        health->waiting_bytes -= known->body_size;
    if (known != NULL && known->fd >= 0)
        forget(health, known);
    free(known);
    *state = NULL;
}

/* ---- answers --------------------------------------------------------------------------------- */

static enum MHD_Result
answer(struct MHD_Connection *connection, unsigned status, const char *type, struct leat_buf *body)
{
    size_t size = body->size;
    char *text = leat_buf_take(body);
    struct MHD_Response *response =
        MHD_create_response_from_buffer(size, text, MHD_RESPMEM_MUST_FREE);
    enum MHD_Result result;

    if (response == NULL) {
        free(text);
        return MHD_NO;
    }
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    result = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return result;
}

/* The status; what to say goes to body. */
static unsigned
respond(struct leat_health *health, const char *path, struct leat_buf *body)
{
    const struct leat_health_options *options = &health->options;
    const char *why = "";

    if (strcmp(path, "/metrics") == 0) {
        options->metrics(options->context, body);
        return MHD_HTTP_OK;
    }
    if (strcmp(path, "/livez") == 0) {
        bool is_alive = options->is_alive(options->context);

        leat_buf_add_text(body, is_alive ? "alive\n" : "the main thread is stuck\n");
        return is_alive ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    if (strcmp(path, "/readyz") == 0) {
        bool is_ready = options->is_ready(options->context, &why);

        leat_buf_printf(body, "%s\n", is_ready ? "ready" : why);
        return is_ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE;
    }
    leat_buf_add_text(body, "there are /metrics, /livez and /readyz\n");
    return MHD_HTTP_NOT_FOUND;
}

/* more than five: libmicrohttpd's. */
static enum MHD_Result
on_request(void *context, struct MHD_Connection *connection, const char *path, const char *method,
           const char *version, const char *upload, size_t *upload_size, void **state)
{
    static int first_call;
    struct leat_buf body = LEAT_BUF_INIT;
    unsigned status = MHD_HTTP_METHOD_NOT_ALLOWED;

    if (*state == NULL) {
        *state = &first_call;
        return MHD_YES;
    }
    if (*upload_size > 0) {
        *upload_size = 0;
        return MHD_YES;
    }
    if (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0)
        status = respond(context, path, &body);
    else
        leat_buf_add_text(&body, "only GET\n");
    if (known_of(connection) != NULL)
        wait_to_be_read(context, known_of(connection), body.size);
    return answer(connection, status,
                  strcmp(path, "/metrics") == 0 ? "text/plain; version=0.0.4; charset=utf-8"
                                                : "text/plain; charset=utf-8",
                  &body);
}

/* host:port, [v6]:port; an empty host is every address. */
static int
resolve(const char *listen_at, struct addrinfo **ret_address, struct leat_error *err)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    const char *colon = strrchr(listen_at, ':');
    char host[256];
    int status;

    if (colon == NULL || (size_t)(colon - listen_at) >= sizeof host)
        return leat_error_set(err, LEAT_E_INVALID, "http.listen \"%s\" is not host:port",
                              listen_at);
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen_at), listen_at);
    if (host[0] == '[' && host[strlen(host) - 1] == ']') {
        memmove(host, host + 1, strlen(host));
        host[strlen(host) - 1] = '\0';
    }
    status = getaddrinfo(host[0] != '\0' ? host : NULL, colon + 1, &hints, ret_address);
    if (status != 0)
        return leat_error_set(err, LEAT_E_INVALID, "could not resolve http.listen \"%s\": %s",
                              listen_at, gai_strerror(status));
    return 0;
}

static int
open_socket(const char *listen_at, int *ret_fd, struct leat_error *err)
{
    struct addrinfo *address = NULL;
    int yes = 1, status = resolve(listen_at, &address, err), fd;

    if (status != 0 || address == NULL)
        return status;
    fd = socket(address->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (fd < 0 || bind(fd, address->ai_addr, address->ai_addrlen) != 0 || listen(fd, 64) != 0) {
        status = leat_error_set(err, LEAT_E_SYSTEM, "could not listen on http.listen \"%s\": %s",
                                listen_at, strerror(errno));
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(address);
    if (status == 0)
        *ret_fd = fd;
    return status;
}

int
leat_health_start(const struct leat_health_options *options, struct leat_health **ret_health,
                  struct leat_error *err)
{
    struct leat_health *health;
    int fd = -1, status = open_socket(options->listen, &fd, err);

    if (status != 0)
        return status;
    health = LEAT_NEW(struct leat_health);
    health->options = *options;
    health->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_EPOLL, 0, NULL, NULL, on_request, health,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, MOST_CONNECTIONS,
        MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_S, MHD_OPTION_NOTIFY_CONNECTION, on_connection,
        health, MHD_OPTION_NOTIFY_COMPLETED, on_completed, health,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)16384, MHD_OPTION_END);
    if (health->daemon == NULL) {
        close(fd);
        free(health);
        return leat_error_set(err, LEAT_E_SYSTEM, "could not serve HTTP on \"%s\"",
                              options->listen);
    }
    *ret_health = health;
    return 0;
}

unsigned
leat_health_port(const struct leat_health *health)
{
    const union MHD_DaemonInfo *info =
        MHD_get_daemon_info(health->daemon, MHD_DAEMON_INFO_LISTEN_FD);
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
    } address = {.v6 = {.sin6_port = 0}};
    socklen_t size = sizeof address;

    if (info == NULL || getsockname(info->listen_fd, &address.any, &size) != 0)
        return 0;
    return ntohs(address.any.sa_family == AF_INET6 ? address.v6.sin6_port : address.v4.sin_port);
}

void
leat_health_stop(struct leat_health *health)
{
    if (health == NULL)
        return;
    MHD_stop_daemon(health->daemon);
    free(health);
}
