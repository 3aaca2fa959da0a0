/* Test points: what LEAT_POINTS says is parsed once; each point counts how often it was passed. */
#include "base/point.h"

#ifdef LEAT_TEST_POINTS

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/units.h"

#define MAXIMUM_POINTS 32

enum action { CRASH, EXIT, PAUSE, STOP, FAIL };

struct armed {
    char name[48];
    enum action action;
    int pause_ms;
    long nth; /* 0: every time */
    _Atomic long passed;
};

static struct armed points[MAXIMUM_POINTS];
static size_t point_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static bool
parse_action(struct armed *point, char *text)
{
    static const char *const words[] = {"crash", "exit", "pause", "stop", "fail"};
    char *colon = strchr(text, ':');
    int64_t pause_us = 0;

    if (colon != NULL) {
        *colon = '\0';
        if (leat_parse_duration(leat_slice_from(colon + 1), &pause_us, NULL) != 0)
            return false;
    }
    point->pause_ms = (int)(pause_us / 1000);
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(text, words[i]) == 0) {
            point->action = (enum action)i;
            return true;
        }
    }
    return false;
}

static void
parse_point(char *text)
{
    struct armed *point = &points[point_count < MAXIMUM_POINTS ? point_count : 0];
    char *equals = strchr(text, '=');
    char *at = strchr(text, '@');
    long nth = 0;

    if (at != NULL) {
        *at = '\0';
        nth = strtol(at + 1, NULL, 10);
    }
    if (equals == NULL || (at != NULL && nth <= 0) || point_count == MAXIMUM_POINTS ||
        !parse_action(point, equals + 1)) {
        fprintf(stderr, "LEAT_POINTS: cannot read \"%s\"\n", text);
        abort();
    }
    *equals = '\0';
    point->nth = nth;
    snprintf(point->name, sizeof point->name, "%s", text);
    point_count++;
}

static void
parse_points(void)
{
    const char *text = getenv("LEAT_POINTS");
    char *copy, *rest, *item;

    if (text == NULL)
        return;
    copy = rest = strdup(text);
    while ((item = strsep(&rest, ",")) != NULL) {
        if (*item != '\0')
            parse_point(item);
    }
    free(copy);
}

/* One write, so that lines of several processes do not mix, and before the deed, which may be our last. */
static void
tell(const struct armed *point)
{
    static const char *const words[] = {"crash", "exit", "pause", "stop", "fail"};
    const char *path = getenv("LEAT_POINTS_LOG");
    char line[96];
    int fd = path != NULL ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
    int size = snprintf(line, sizeof line, "%.47s %s %d\n", point->name, words[point->action],
                        (int)getpid());

    if (fd < 0)
        return;
    if (write(fd, line, (size_t)size) != size)
        perror(path);
    close(fd);
}

bool
leat_point(const char *name)
{
    bool fails = false;

    pthread_once(&once, parse_points);
    for (size_t i = 0; i < point_count; i++) {
        struct armed *point = &points[i];

        if (strcmp(point->name, name) != 0)
            continue;
        if (++point->passed != point->nth && point->nth != 0)
            continue;
        tell(point);
        if (point->action == CRASH)
            raise(SIGKILL);
        else if (point->action == EXIT)
            _exit(1);
        else if (point->action == STOP)
            raise(SIGSTOP);
        else if (point->action == PAUSE)
            poll(NULL, 0, point->pause_ms);
        else
            fails = true;
    }
    return fails;
}

#endif
