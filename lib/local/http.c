/*
 * HTTP on libmicrohttpd. A connection that has to wait (a delay, slow bytes) is suspended and put into a list of deadlines;
 * one thread of ours resumes it. Nothing else ever waits.
 *
 * libmicrohttpd panics when it is stopped with suspended connections: stop() lets the timer resume them all first, and from
 * then on nothing is suspended any more.
 * Threads: libmicrohttpd's (requests), and `timer`. A struct exchange belongs to the thread that its connection is on.
 */
#include "local/http.h"

#include <errno.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/thread.h"
#include "base/units.h"

#define CONNECTION_MEMORY_BYTES ((size_t)128 << 10)
#define MAXIMUM_CONNECTIONS 4096u
#define MAXIMUM_BODY_BYTES ((size_t)64 << 20)
#define HTTP_MAGIC 0x6c687474u

struct wait {
    struct MHD_Connection *connection;
    int64_t due_us; /* monotonic, real */
};

struct leat_local_http {
    uint32_t magic;
    struct leat_local_http_options options;
    struct MHD_Daemon *daemon;
    uint16_t port;
    _Atomic uint64_t connections;
    struct leat_thread timer;
    struct leat_mutex lock;
    struct leat_condition changed;
    struct wait *waits LEAT_FIELD_GUARDED_BY(lock);
    size_t wait_count LEAT_FIELD_GUARDED_BY(lock), wait_capacity LEAT_FIELD_GUARDED_BY(lock);
    bool is_stopping LEAT_FIELD_GUARDED_BY(lock);
};

/* One request and its answer. */
struct exchange {
    struct leat_local_http *http;
    char *target;
    bool is_begun, is_too_large, is_answered, has_waited;
    struct leat_buf body;
    struct leat_local_answer answer;
};

/* A body that is sent by a reader: cut or slow. */
struct piecemeal {
    struct leat_local_http *http;
    struct MHD_Connection *connection;
    struct leat_slice bytes;
    unsigned char *owned;
    void (*release)(void *);
    void *release_context;
    struct leat_local_http_fault fault;
    size_t end;     /* CUT: where it ends */
    int64_t due_us; /* SLOW: of the next step */
};

bool
leat_local_http_find(const struct leat_local_request *request, const char *name,
                     struct leat_slice *ret_value)
{
    for (size_t i = 0; i < request->header_count; i++) {
        const struct leat_sign_header *header = &request->headers[i];

        if (header->name.size == strlen(name) &&
            strncasecmp((const char *)header->name.data, name, header->name.size) == 0) {
            *ret_value = header->value;
            return true;
        }
    }
    return false;
}

/* Kept as "name\0value\0". */
void
leat_local_http_header(struct leat_local_answer *answer, const char *name, const char *format, ...)
{
    va_list arguments;

    leat_buf_add(&answer->headers, name, strlen(name) + 1);
    va_start(arguments, format);
    leat_buf_vprintf(&answer->headers, format, arguments);
    va_end(arguments);
    leat_buf_add_byte(&answer->headers, 0);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/*
 * The connection sleeps until then. false: the server is being stopped, go on at once. Suspended under the lock, so that stop()
 * finds either the wait or nothing.
 */
static bool
suspend_until(struct leat_local_http *http, struct MHD_Connection *connection, int64_t due_us)
{
    bool is_stopping;

    leat_mutex_lock(&http->lock);
    is_stopping = http->is_stopping;
    if (!is_stopping) {
        MHD_suspend_connection(connection);
        LEAT_GROW(http->waits, http->wait_count, http->wait_capacity);
        http->waits[http->wait_count++] = (struct wait){connection, due_us};
        leat_condition_signal(&http->changed);
    }
    leat_mutex_unlock(&http->lock);
    return !is_stopping;
}

/* Takes one connection whose time has come; NULL: none, and ret_next_us is the next deadline. */
static struct MHD_Connection *
take_due(struct leat_local_http *http, int64_t now_us, int64_t *ret_next_us)
    LEAT_REQUIRES(http->lock)
{
    *ret_next_us = INT64_MAX;
    for (size_t i = 0; i < http->wait_count; i++) {
        struct MHD_Connection *connection = http->waits[i].connection;

        if (http->is_stopping || http->waits[i].due_us <= now_us) {
            http->waits[i] = http->waits[--http->wait_count];
            return connection;
        }
        if (http->waits[i].due_us < *ret_next_us)
            *ret_next_us = http->waits[i].due_us;
    }
    return NULL;
}

static void
run_timer(void *context)
{
    struct leat_local_http *http = context;

    LEAT_ASSERT(http->magic == HTTP_MAGIC);
    leat_mutex_lock(&http->lock);
    for (;;) {
        int64_t now_us = leat_clock_real_monotonic_us(), next_us;
        struct MHD_Connection *connection = take_due(http, now_us, &next_us);

        if (connection != NULL) {
            leat_mutex_unlock(&http->lock);
            MHD_resume_connection(connection);
            leat_mutex_lock(&http->lock);
        } else if (http->is_stopping) {
            break;
        } else if (next_us == INT64_MAX) {
            leat_condition_wait(&http->changed, &http->lock);
        } else {
            /* Deadlines are real time: a fake clock of the test must not hold the connection. */
            leat_condition_wait_until(&http->changed, &http->lock,
                                      leat_clock_monotonic_us() + (next_us - now_us));
        }
    }
    leat_mutex_unlock(&http->lock);
}

/* ---- answers --------------------------------------------------------------------------------- */

/* A reset, now: disconnecting a socket sends one, whatever is buffered. */
static void
reset_connection(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    struct sockaddr nowhere = {.sa_family = AF_UNSPEC};

    if (info != NULL)
        (void)!connect(info->connect_fd, &nowhere, sizeof nowhere);
}

static ssize_t
read_piece(void *context, uint64_t position, char *out, size_t room)
{
    struct piecemeal *piecemeal = context;
    size_t size = piecemeal->end - (size_t)position;

    if (size == 0)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    if (piecemeal->fault.damage == LEAT_LOCAL_DAMAGE_SLOW) {
        int64_t now_us = leat_clock_real_monotonic_us();
        size_t step = piecemeal->fault.step_bytes > 0 ? piecemeal->fault.step_bytes : 1;

        if (now_us < piecemeal->due_us &&
            suspend_until(piecemeal->http, piecemeal->connection, piecemeal->due_us))
            return 0;
        piecemeal->due_us = now_us +
                            (piecemeal->fault.step_us > 0 ? piecemeal->fault.step_us : LEAT_MS_US);
        if (size > step)
            size = step;
    }
    if (size > room)
        size = room;
    memcpy(out, piecemeal->bytes.data + position, size);
    return (ssize_t)size;
}

static void
piecemeal_free(void *context)
{
    struct piecemeal *piecemeal = context;

    if (piecemeal->release != NULL)
        piecemeal->release(piecemeal->release_context);
    free(piecemeal->owned);
    free(piecemeal);
}

static struct MHD_Response *
make_piecemeal(struct exchange *exchange, struct MHD_Connection *connection)
{
    struct leat_local_answer *answer = &exchange->answer;
    struct piecemeal *piecemeal = LEAT_NEW(struct piecemeal);

    piecemeal->http = exchange->http;
    piecemeal->connection = connection;
    piecemeal->fault = answer->fault;
    if (answer->shared.data != NULL) {
        piecemeal->bytes = answer->shared;
        piecemeal->release = answer->release;
        piecemeal->release_context = answer->release_context;
        answer->release = NULL;
    } else {
        piecemeal->bytes = leat_buf_slice(&answer->body);
        piecemeal->owned = (unsigned char *)leat_buf_take(&answer->body);
    }
    piecemeal->end = piecemeal->bytes.size;
    if (answer->fault.damage == LEAT_LOCAL_DAMAGE_CUT) {
        piecemeal->end = piecemeal->bytes.size / 2;
        if (answer->fault.cut_bytes < piecemeal->end)
            piecemeal->end = answer->fault.cut_bytes;
    }
    return MHD_create_response_from_callback(piecemeal->bytes.size, (size_t)64 << 10, read_piece,
                                             piecemeal, piecemeal_free);
}

static struct MHD_Response *
make_response(struct exchange *exchange, struct MHD_Connection *connection)
{
    struct leat_local_answer *answer = &exchange->answer;
    size_t size = answer->shared.data != NULL ? answer->shared.size : answer->body.size;
    struct MHD_Response *response;

    if (size > 0 && (answer->fault.damage == LEAT_LOCAL_DAMAGE_CUT ||
                     answer->fault.damage == LEAT_LOCAL_DAMAGE_SLOW))
        return make_piecemeal(exchange, connection);
    if (answer->shared.data == NULL) {
        return MHD_create_response_from_buffer_with_free_callback(
            size, leat_buf_take(&answer->body), free);
    }
    if (answer->release == NULL)
        return MHD_create_response_from_buffer(size, (void *)(uintptr_t)answer->shared.data,
                                               MHD_RESPMEM_PERSISTENT);
    response = MHD_create_response_from_buffer_with_free_callback_cls(
        size, (void *)(uintptr_t)answer->shared.data, answer->release, answer->release_context);
    answer->release = NULL;
    return response;
}

void
leat_local_http_date(int64_t us, char ret_text[LEAT_LOCAL_HTTP_DATE_BYTES])
{
    static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                         "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    time_t seconds = (time_t)(us / LEAT_SECOND_US);
    struct tm tm;

    gmtime_r(&seconds, &tm);
    snprintf(ret_text, LEAT_LOCAL_HTTP_DATE_BYTES, "%s, %02d %s %04d %02d:%02d:%02d GMT",
             days[tm.tm_wday % 7], tm.tm_mday, months[tm.tm_mon % 12], tm.tm_year + 1900,
             tm.tm_hour, tm.tm_min, tm.tm_sec);
}

static void
add_headers(struct exchange *exchange, struct MHD_Response *response)
{
    const struct leat_local_http_options *options = &exchange->http->options;
    const struct leat_buf *headers = &exchange->answer.headers;
    char date[LEAT_LOCAL_HTTP_DATE_BYTES];

    leat_local_http_date(
        (options->now_us != NULL ? options->now_us(options->context) : leat_clock_wall_us()) +
            exchange->answer.fault.date_ahead_us,
        date);
    MHD_add_response_header(response, MHD_HTTP_HEADER_DATE, date);
    for (const char *name = (const char *)headers->data, *end = name + headers->size;
         headers->size > 0 && name < end;) {
        const char *value = name + strlen(name) + 1;

        MHD_add_response_header(response, name, value);
        name = value + strlen(value) + 1;
    }
}

static enum MHD_Result
send_answer(struct exchange *exchange, struct MHD_Connection *connection)
{
    struct leat_local_answer *answer = &exchange->answer;
    struct MHD_Response *response;
    enum MHD_Result result;

    if (answer->fault.damage == LEAT_LOCAL_DAMAGE_RESET) {
        reset_connection(connection);
        return MHD_NO;
    }
    if (answer->fault.damage == LEAT_LOCAL_DAMAGE_STALE) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

        if (info != NULL && info->socket_context != NULL)
            *(bool *)info->socket_context = true;
    }
    response = make_response(exchange, connection);
    if (response == NULL)
        return MHD_NO;
    add_headers(exchange, response);
    result = MHD_queue_response(connection, (unsigned)(answer->status > 0 ? answer->status : 200),
                                response);
    MHD_destroy_response(response);
    return result;
}

/* ---- requests -------------------------------------------------------------------------------- */

struct header_list {
    struct leat_sign_header headers[LEAT_LOCAL_HTTP_HEADERS];
    size_t count;
};

static enum MHD_Result
collect_header(void *context, enum MHD_ValueKind kind, const char *name, const char *value)
{
    struct header_list *list = context;

    struct leat_slice trimmed = leat_slice_from(value);

    if (list->count == LEAT_LOCAL_HTTP_HEADERS)
        return MHD_NO;
    while (trimmed.size > 0 && strchr(" \t", trimmed.data[trimmed.size - 1]) != NULL)
        trimmed.size--; /* libmicrohttpd leaves them */
    list->headers[list->count++] = (struct leat_sign_header){leat_slice_from(name), trimmed};
    return MHD_YES;
}

/* "127.0.0.1:4567", "localhost", "[::1]:80": of this machine, whatever the port. */
static bool
is_local_host(struct leat_slice host)
{
    static const char *const names[] = {"127.0.0.1", "localhost", "[::1]"};

    for (size_t i = 0; i < LEAT_COUNT_OF(names); i++) {
        size_t size = strlen(names[i]);

        if (host.size >= size && strncasecmp((const char *)host.data, names[i], size) == 0 &&
            (host.size == size || host.data[size] == ':'))
            return true;
    }
    return false;
}

static bool
is_local_origin(struct leat_slice origin)
{
    static const char *const schemes[] = {"http://", "https://"};

    for (size_t i = 0; i < LEAT_COUNT_OF(schemes); i++) {
        size_t size = strlen(schemes[i]);

        if (origin.size > size && memcmp(origin.data, schemes[i], size) == 0)
            return is_local_host(leat_slice_make(origin.data + size, origin.size - size));
    }
    return false;
}

/*
 * Our keys are no secret, and control requests need none: a page in a browser of this machine must not reach us. Browsers say
 * where a page is from (Origin, Sec-Fetch-Site), and by which name they came (Host): a foreign name that was made to mean
 * 127.0.0.1 is a page's, too.
 */
static bool
is_from_a_page(const struct leat_local_request *request)
{
    struct leat_slice value;

    return (leat_local_http_find(request, "host", &value) && !is_local_host(value)) ||
           (leat_local_http_find(request, "origin", &value) && !is_local_origin(value)) ||
           (leat_local_http_find(request, "sec-fetch-site", &value) &&
            leat_slice_is(value, "cross-site"));
}

static void
refuse_page(struct leat_local_answer *answer)
{
    answer->status = MHD_HTTP_FORBIDDEN;
    leat_local_http_header(answer, "Content-Type", "text/plain");
    leat_buf_add_text(&answer->body, "only for programs of this machine: Host, Origin or "
                                     "Sec-Fetch-Site is a foreign one\n");
}

static void
ask_handler(struct exchange *exchange, struct MHD_Connection *connection, const char *method)
{
    struct leat_local_http *http = exchange->http;
    const char *mark = strchr(exchange->target, '?');
    struct header_list list = {.count = 0};
    struct leat_local_request request = {
        .method = leat_slice_from(method),
        .path = leat_slice_from(exchange->target),
        .query = leat_slice_from(mark != NULL ? mark + 1 : ""),
        .headers = list.headers,
    };

    if (mark != NULL)
        request.path.size = (size_t)(mark - exchange->target);
    MHD_get_connection_values(connection, MHD_HEADER_KIND, collect_header, &list);
    request.header_count = list.count;
    leat_buf_init(&exchange->answer.headers, SIZE_MAX);
    leat_buf_init(&exchange->answer.body, SIZE_MAX);
    (void)leat_buf_text(&exchange->body); /* is not NULL any more */
    request.body = exchange->body.data;
    request.body_size = exchange->body.size;
    if (exchange->is_too_large)
        exchange->answer.status = MHD_HTTP_CONTENT_TOO_LARGE;
    else if (is_from_a_page(&request))
        refuse_page(&exchange->answer);
    else
        http->options.handle(http->options.context, &request, &exchange->answer);
    leat_buf_release(&exchange->body);
    exchange->is_answered = true;
}

/* libmicrohttpd's, once before the body, for each piece of it, once behind it, and after a resume. more than five: not ours. */
static enum MHD_Result
on_request(void *context, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *upload, size_t *upload_size, void **request_context)
{
    struct exchange *exchange = *request_context;

    LEAT_ASSERT(exchange != NULL && exchange->http->magic == HTTP_MAGIC);
    if (!exchange->is_begun) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

        exchange->is_begun = true;
        if (info != NULL && info->socket_context != NULL && *(bool *)info->socket_context) {
            reset_connection(connection);
            return MHD_NO;
        }
        return MHD_YES;
    }
    if (*upload_size > 0) {
        if (!leat_buf_add(&exchange->body, upload, *upload_size)) {
            exchange->is_too_large = true;
            leat_buf_release(&exchange->body);
            exchange->body.is_truncated = true;
        }
        *upload_size = 0;
        return MHD_YES;
    }
    if (!exchange->is_answered)
        ask_handler(exchange, connection, method);
    if (exchange->answer.fault.delay_us > 0 && !exchange->has_waited) {
        exchange->has_waited = true; /* this is called again after the resume */
        if (suspend_until(exchange->http, connection,
                          leat_clock_real_monotonic_us() + exchange->answer.fault.delay_us))
            return MHD_YES;
    }
    return send_answer(exchange, connection);
}

static void *
on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    struct leat_local_http *http = context;
    struct exchange *exchange = LEAT_NEW(struct exchange);

    exchange->http = http;
    exchange->target = leat_strdup(target);
    leat_buf_init(&exchange->body, http->options.maximum_body_bytes > 0
                                       ? http->options.maximum_body_bytes
                                       : MAXIMUM_BODY_BYTES);
    return exchange;
}

static void
on_completed(void *context, struct MHD_Connection *connection, void **request_context,
             enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *request_context;

    if (exchange == NULL)
        return;
    *request_context = NULL;
    if (exchange->answer.release != NULL)
        exchange->answer.release(exchange->answer.release_context);
    leat_buf_release(&exchange->answer.headers);
    leat_buf_release(&exchange->answer.body);
    leat_buf_release(&exchange->body);
    free(exchange->target);
    free(exchange);
}

/* A connection's own: is it stale? */
static void
on_connection(void *context, struct MHD_Connection *connection, void **socket_context,
              enum MHD_ConnectionNotificationCode code)
{
    struct leat_local_http *http = context;

    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = LEAT_NEW(bool);
        atomic_fetch_add(&http->connections, 1);
    } else {
        free(*socket_context);
        *socket_context = NULL;
    }
}

/* Escapes stay: the raw target is what was signed, and nobody reads libmicrohttpd's own path. */
static size_t
keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    return strlen(text);
}

/* ---- start and stop -------------------------------------------------------------------------- */

/*
 * Bound and listening, by us: what libmicrohttpd says of a port that is taken depends on its version, and 1.0 says nothing.
 * A negative error, or the descriptor.
 */
static int
open_listener(struct leat_local_http *http, struct leat_error *err)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(http->options.port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct sockaddr *any = (struct sockaddr *)(void *)&address;
    socklen_t size = sizeof address;
    int yes = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), status;

    if (fd < 0)
        return leat_error_set(err, LEAT_E_SYSTEM, "could not make a socket: %s", strerror(errno));
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    if (bind(fd, any, size) == 0 && listen(fd, SOMAXCONN) == 0 &&
        getsockname(fd, any, &size) == 0) {
        http->port = ntohs(address.sin_port);
        return fd;
    }
    status = leat_error_set(err, LEAT_E_SYSTEM, "could not listen on 127.0.0.1:%u: %s",
                            http->options.port, strerror(errno));
    close(fd);
    return status;
}

/* The descriptor is libmicrohttpd's from here on. */
static struct MHD_Daemon *
start_daemon(struct leat_local_http *http, int listener)
{
    struct MHD_OptionItem pool[] = {
        {MHD_OPTION_THREAD_POOL_SIZE, (intptr_t)http->options.threads, NULL},
        {MHD_OPTION_END, 0, NULL},
    };

    if (http->options.threads <= 1)
        pool[0].option = MHD_OPTION_END;
    return MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_SUPPRESS_DATE_NO_CLOCK,
        0, NULL, NULL, on_request, http, MHD_OPTION_LISTEN_SOCKET, listener,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, http, MHD_OPTION_UNESCAPE_CALLBACK, keep_escapes,
        NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, http, MHD_OPTION_NOTIFY_CONNECTION,
        on_connection, http, MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_MEMORY_BYTES,
        MHD_OPTION_CONNECTION_LIMIT, MAXIMUM_CONNECTIONS, MHD_OPTION_ARRAY, pool, MHD_OPTION_END);
}

static void
http_free(struct leat_local_http *http)
{
    leat_is_unshared();
    leat_condition_release(&http->changed);
    leat_mutex_release(&http->lock);
    free(http->waits);
    http->magic = 0;
    free(http);
}

struct leat_local_http *
leat_local_http_start(const struct leat_local_http_options *options, struct leat_error *err)
{
    struct leat_local_http *http = LEAT_NEW(struct leat_local_http);
    sigset_t all, before;
    int listener;

    http->magic = HTTP_MAGIC;
    http->options = *options;
    leat_mutex_init(&http->lock);
    leat_condition_init(&http->changed);
    listener = open_listener(http, err);
    if (listener < 0 || leat_thread_start(&http->timer, "local-timer", run_timer, http, err) < 0) {
        if (listener >= 0)
            close(listener);
        http_free(http);
        return NULL;
    }
    /* libmicrohttpd's threads inherit the mask: no signal is theirs. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    http->daemon = start_daemon(http, listener);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (http->daemon == NULL) {
        leat_error_set(err, LEAT_E_SYSTEM, "could not serve HTTP on 127.0.0.1:%u", http->port);
        leat_local_http_stop(http);
        return NULL;
    }
    return http;
}

void
leat_local_http_stop(struct leat_local_http *http)
{
    if (http == NULL)
        return;
    leat_mutex_lock(&http->lock);
    http->is_stopping = true;
    leat_condition_signal(&http->changed);
    leat_mutex_unlock(&http->lock);
    leat_thread_join(&http->timer);
    if (http->daemon != NULL)
        MHD_stop_daemon(http->daemon);
    http_free(http);
}

uint16_t
leat_local_http_port(const struct leat_local_http *http)
{
    return http->port;
}

uint64_t
leat_local_http_connections(const struct leat_local_http *http)
{
    return atomic_load(&http->connections);
}
