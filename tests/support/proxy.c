/* One poll loop. A pair's two directions are two buffers; a full one stops reading from its source: so a stall is felt. */
#include "support/proxy.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/memory.h"
#include "base/thread.h"

#define PAIRS 256
#define BUFFER_BYTES 65536

struct half {
    int from, to;
    size_t begin, end;
    char bytes[BUFFER_BYTES];
};

struct pair {
    bool is_open;
    struct half up, down; /* to the server, to the client */
};

struct test_proxy {
    struct leat_thread thread;
    struct leat_waker waker;
    struct leat_mutex lock;
    char path[108] LEAT_FIELD_GUARDED_BY(lock);
    int listener;
    uint16_t port;
    _Atomic int mode;
    _Atomic bool is_stopping, is_cutting;
    _Atomic unsigned connections;
    struct pair *pairs[PAIRS]; /* the thread's */
};

static void
close_pair(struct test_proxy *proxy, struct pair *pair, bool is_reset)
{
    struct linger linger = {.l_onoff = 1, .l_linger = 0};

    if (is_reset)
        setsockopt(pair->up.from, SOL_SOCKET, SO_LINGER, &linger, sizeof linger);
    close(pair->up.from);
    close(pair->up.to);
    pair->is_open = false;
    proxy->connections--;
}

static int
connect_up(struct test_proxy *proxy)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    leat_mutex_lock(&proxy->lock);
    memcpy(address.sun_path, proxy->path, sizeof proxy->path);
    leat_mutex_unlock(&proxy->lock);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
        return fd;
    close(fd);
    return -1;
}

static struct pair *
free_pair(struct test_proxy *proxy)
{
    for (int i = 0; i < PAIRS; i++) {
        if (proxy->pairs[i] == NULL)
            proxy->pairs[i] = LEAT_NEW(struct pair);
        if (!proxy->pairs[i]->is_open)
            return proxy->pairs[i];
    }
    return NULL;
}

static void
accept_one(struct test_proxy *proxy)
{
    int client = accept4(proxy->listener, NULL, NULL, SOCK_CLOEXEC), one = 1, server;
    struct pair *pair = free_pair(proxy);

    if (client < 0)
        return;
    server = proxy->mode == TEST_PROXY_REFUSE || pair == NULL ? -1 : connect_up(proxy);
    if (server < 0) {
        close(client);
        return;
    }
    setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    pair->up.begin = pair->up.end = pair->down.begin = pair->down.end = 0;
    pair->up.from = pair->down.to = client;
    pair->up.to = pair->down.from = server;
    pair->is_open = true;
    proxy->connections++;
}

/* false: the pair is at its end. */
static bool
move(struct half *half, bool is_swallowed)
{
    ssize_t size;

    if (half->begin == half->end) {
        size = recv(half->from, half->bytes, sizeof half->bytes, MSG_DONTWAIT);
        if (size == 0 || (size < 0 && errno != EAGAIN && errno != EINTR))
            return false;
        if (size < 0)
            return true;
        if (is_swallowed)
            return false;
        half->begin = 0;
        half->end = (size_t)size;
    }
    size = send(half->to, half->bytes + half->begin, half->end - half->begin,
                MSG_DONTWAIT | MSG_NOSIGNAL);
    if (size < 0)
        return errno == EAGAIN || errno == EINTR;
    half->begin += (size_t)size;
    return true;
}

static void
look_at(struct pollfd *descriptor, const struct half *half)
{
    bool is_full = half->begin < half->end;

    descriptor->fd = is_full ? half->to : half->from;
    descriptor->events = is_full ? POLLOUT : POLLIN;
}

static void
cut_all(struct test_proxy *proxy)
{
    for (int i = 0; i < PAIRS; i++) {
        if (proxy->pairs[i] != NULL && proxy->pairs[i]->is_open)
            close_pair(proxy, proxy->pairs[i], true);
    }
}

static void
pump(struct test_proxy *proxy, struct pollfd *descriptors, struct pair **pairs, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        bool is_well = true;

        if (descriptors[2 * i].revents != 0)
            is_well = move(&pairs[i]->up, false);
        if (is_well && descriptors[2 * i + 1].revents != 0)
            is_well = move(&pairs[i]->down, proxy->mode == TEST_PROXY_SWALLOW);
        if (!is_well)
            close_pair(proxy, pairs[i], proxy->mode == TEST_PROXY_SWALLOW);
    }
}

static void
run(void *context)
{
    struct test_proxy *proxy = context;
    struct pollfd descriptors[2 + 2 * PAIRS];
    struct pair *pairs[PAIRS];

    while (!proxy->is_stopping) {
        unsigned count = 0;

        if (atomic_exchange(&proxy->is_cutting, false))
            cut_all(proxy);
        descriptors[0] = (struct pollfd){.fd = proxy->waker.fd, .events = POLLIN};
        descriptors[1] = (struct pollfd){.fd = proxy->listener, .events = POLLIN};
        for (int i = 0; i < PAIRS && proxy->mode != TEST_PROXY_STALL; i++) {
            if (proxy->pairs[i] == NULL || !proxy->pairs[i]->is_open)
                continue;
            pairs[count] = proxy->pairs[i];
            look_at(&descriptors[2 + 2 * count], &pairs[count]->up);
            look_at(&descriptors[3 + 2 * count], &pairs[count]->down);
            count++;
        }
        if (poll(descriptors, 2 + 2 * count, -1) < 0)
            continue;
        if (descriptors[0].revents != 0)
            leat_waker_drain(&proxy->waker);
        if (proxy->mode != TEST_PROXY_STALL)
            pump(proxy, descriptors + 2, pairs, count);
        if (descriptors[1].revents != 0)
            accept_one(proxy);
    }
    cut_all(proxy);
}

struct test_proxy *
test_proxy_start(const char *socket_path)
{
    struct test_proxy *proxy = LEAT_NEW(struct test_proxy);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    struct leat_error err;

    leat_mutex_init(&proxy->lock);
    test_proxy_retarget(proxy, socket_path);
    proxy->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (bind(proxy->listener, (struct sockaddr *)&address, size) != 0 ||
        listen(proxy->listener, 128) != 0 ||
        getsockname(proxy->listener, (struct sockaddr *)&address, &size) != 0 ||
        leat_waker_init(&proxy->waker, &err) != 0 ||
        leat_thread_start(&proxy->thread, "proxy", run, proxy, &err) != 0) {
        perror("could not start a proxy");
        exit(1);
    }
    proxy->port = ntohs(address.sin_port);
    return proxy;
}

void
test_proxy_stop(struct test_proxy *proxy)
{
    if (proxy == NULL)
        return;
    proxy->is_stopping = true;
    leat_waker_wake(&proxy->waker);
    leat_thread_join(&proxy->thread);
    close(proxy->listener);
    leat_waker_release(&proxy->waker);
    leat_mutex_release(&proxy->lock);
    for (int i = 0; i < PAIRS; i++)
        free(proxy->pairs[i]);
    free(proxy);
}

uint16_t
test_proxy_port(const struct test_proxy *proxy)
{
    return proxy->port;
}

void
test_proxy_set_mode(struct test_proxy *proxy, enum test_proxy_mode mode)
{
    proxy->mode = (int)mode;
    leat_waker_wake(&proxy->waker);
}

void
test_proxy_cut(struct test_proxy *proxy)
{
    proxy->is_cutting = true;
    leat_waker_wake(&proxy->waker);
}

void
test_proxy_retarget(struct test_proxy *proxy, const char *socket_path)
{
    leat_mutex_lock(&proxy->lock);
    snprintf(proxy->path, sizeof proxy->path, "%s", socket_path);
    leat_mutex_unlock(&proxy->lock);
}

unsigned
test_proxy_connections(struct test_proxy *proxy)
{
    return proxy->connections;
}
