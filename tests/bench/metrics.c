/*
 * What a page of /metrics costs a worker that has much to tell: 64 streams of two shards, read by 8 processors each. The CPU time
 * of the worker and the time that a scraper waits; and the memory that pages take which nobody reads. JSON lines.
 */
#include <curl/curl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "support/fleet.h"

#define STREAMS 64
#define SHARDS 2
#define PROCESSORS 8
#define ROUNDS 51
#define BAR_MS 10
#define UNREAD 60
#define UNREAD_BAR_MB 32
#define READY_US (60 * LEAT_SECOND_US)

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return x < y ? -1 : x > y;
}

static size_t
collect(char *data, size_t size, size_t count, void *context)
{
    leat_buf_add(context, data, size * count);
    return size * count;
}

static void
configure(struct test_fleet *fleet)
{
    LEAT_AUTO_BUF yaml = LEAT_BUF_INIT;
    struct leat_error err;

    for (int i = 0; i < STREAMS; i++) {
        char name[40];

        snprintf(name, sizeof name, "a-stream-of-many-%d", i);
        if (leat_local_kinesis_create_stream(fleet->kinesis, name, SHARDS, &err) != 0)
            fprintf(stderr, "%s\n", err.text);
    }
    leat_buf_add_text(&yaml, "processors:\n");
    for (int i = 0; i < PROCESSORS; i++)
        leat_buf_printf(&yaml,
                        "  - { name: processor-%d, plugin: rollup, target: { plugin: postgres, "
                        "options: { tables: { rollup: rollup_%d } } } }\n",
                        i, i);
    fleet->streams = "\"a-stream-*\"";
    test_fleet_configure(fleet, leat_buf_text(&yaml));
}

/* 0: it does not say. */
static long
port_of(const struct test_worker *worker)
{
    LEAT_AUTO_BUF log = LEAT_BUF_INIT;
    const char *found;

    if (!test_worker_says(worker, "\"http_port\":", leat_clock_monotonic_us() + READY_US))
        return 0;
    test_worker_log(worker, &log);
    found = strstr(leat_buf_text(&log), "\"http_port\":");
    return strtol(found + strlen("\"http_port\":"), NULL, 10);
}

static double
number(struct leat_buf *page, const char *name)
{
    LEAT_AUTO_BUF start = LEAT_BUF_INIT;
    const char *found;

    leat_buf_printf(&start, "\n%s ", name);
    found = strstr(leat_buf_text(page), leat_buf_text(&start));
    return found != NULL ? strtod(found + start.size, NULL) : 0;
}

static bool
measure(CURL *curl, struct leat_buf *page)
{
    int64_t times[ROUNDS], deadline_us = leat_clock_monotonic_us() + READY_US;
    double cpu, ms;

    do {
        leat_buf_clear(page);
        curl_easy_perform(curl);
        usleep(100000);
    } while (number(page, "leat_consumers") < STREAMS * SHARDS * PROCESSORS &&
             leat_clock_monotonic_us() < deadline_us);
    cpu = number(page, "process_cpu_seconds_total");
    for (int i = 0; i < ROUNDS; i++) {
        int64_t begun_us = leat_clock_monotonic_us();

        leat_buf_clear(page);
        curl_easy_perform(curl);
        times[i] = leat_clock_monotonic_us() - begun_us;
    }
    cpu = number(page, "process_cpu_seconds_total") - cpu;
    qsort(times, ROUNDS, sizeof *times, compare);
    ms = (double)times[ROUNDS / 2] / 1e3;
    printf("{\"bench\": \"metrics\", \"consumers\": %.0f, \"page_kb\": %.0f, \"cpu_ms\": %.1f, "
           "\"median_ms\": %.1f, \"worst_ms\": %.1f, \"bar_ms\": %d, \"ok\": %s}\n",
           number(page, "leat_consumers"), (double)page->size / 1e3, cpu * 1e3 / ROUNDS, ms,
           (double)times[ROUNDS - 1] / 1e3, BAR_MS, ms <= BAR_MS ? "true" : "false");
    return ms <= BAR_MS && number(page, "leat_consumers") == STREAMS * SHARDS * PROCESSORS;
}

/* They ask, and read nothing of the answer. */
static bool
measure_unread(const struct test_worker *worker, long port)
{
    static const char request[] = "GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int64_t before = test_worker_rss_bytes(worker), most = 0;
    int fds[UNREAD], bytes = 1024;

    for (int i = 0; i < UNREAD; i++) {
        fds[i] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes);
        if (connect(fds[i], (struct sockaddr *)&address, sizeof address) != 0 ||
            send(fds[i], request, sizeof request - 1, MSG_NOSIGNAL) < 0)
            perror("bench");
        usleep(20000);
        most = test_worker_rss_bytes(worker) > most ? test_worker_rss_bytes(worker) : most;
    }
    for (int i = 0; i < UNREAD; i++)
        close(fds[i]);
    printf("{\"bench\": \"metrics_unread\", \"connections\": %d, \"more_rss_mb\": %.1f, "
           "\"bar_mb\": %d, \"ok\": %s}\n",
           UNREAD, (double)(most - before) / 1e6, UNREAD_BAR_MB,
           most - before <= UNREAD_BAR_MB * 1000000LL ? "true" : "false");
    return most - before <= UNREAD_BAR_MB * 1000000LL;
}

int
main(void)
{
    struct test_fleet_options options = {.shards = 1};
    LEAT_AUTO_BUF page = LEAT_BUF_INIT;
    struct test_worker worker;
    struct test_fleet fleet;
    char url[80];
    CURL *curl;
    bool is_good;

    test_fleet_start(&fleet, &options);
    configure(&fleet);
    worker = test_fleet_spawn(&fleet, "w1", NULL);
    snprintf(url, sizeof url, "http://127.0.0.1:%ld/metrics", port_of(&worker));
    curl = curl_easy_init();
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, collect);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &page);
    is_good = measure(curl, &page);
    is_good = measure_unread(&worker, port_of(&worker)) && is_good;
    curl_easy_cleanup(curl);
    test_worker_kill(&worker, SIGTERM);
    test_worker_wait(&worker, NULL);
    test_fleet_end(&fleet);
    return is_good ? 0 : 1;
}
