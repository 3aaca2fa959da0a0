/*
 * Clocks that jump, for one process of a test (LD_PRELOAD): a file, mapped by it and by the test, holds what is added to the wall
 * clock and to CLOCK_MONOTONIC. CLOCK_BOOTTIME is the system's own: so a process that was stopped, and whose monotonic clock is
 * set back by that time, sees what a suspended machine sees.
 *
 * The kernel's waits know nothing of it: an absolute deadline is turned back to the system's time.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#define EXPORT __attribute__((visibility("default")))

struct offsets {
    _Atomic int64_t wall_us, monotonic_us;
};

static struct offsets none, *offsets = &none;

__attribute__((constructor)) static void
map_offsets(void)
{
    const char *path = getenv("LEAT_TEST_CLOCK");
    int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *mapped = fd >= 0 ? mmap(NULL, sizeof *offsets, PROT_READ, MAP_SHARED, fd, 0) : MAP_FAILED;

    if (fd >= 0)
        close(fd);
    if (mapped != MAP_FAILED)
        offsets = mapped;
}

static int64_t
offset_us(clockid_t clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE     ? offsets->wall_us
           : clock == CLOCK_MONOTONIC || clock == CLOCK_MONOTONIC_COARSE ? offsets->monotonic_us
                                                                         : 0;
}

static void
add(struct timespec *time, int64_t us)
{
    int64_t nanoseconds = (int64_t)time->tv_nsec + us % 1000000 * 1000;

    time->tv_sec += us / 1000000;
    if (nanoseconds < 0) {
        nanoseconds += 1000000000;
        time->tv_sec--;
    } else if (nanoseconds >= 1000000000) {
        nanoseconds -= 1000000000;
        time->tv_sec++;
    }
    time->tv_nsec = nanoseconds;
}

EXPORT int
clock_gettime(clockid_t clock, struct timespec *now)
{
    if (syscall(SYS_clock_gettime, clock, now) != 0)
        return -1;
    add(now, offset_us(clock));
    return 0;
}

EXPORT int
gettimeofday(struct timeval *restrict now, void *restrict zone)
{
    struct timespec time;

    if (clock_gettime(CLOCK_REALTIME, &time) != 0)
        return -1;
    now->tv_sec = time.tv_sec;
    now->tv_usec = time.tv_nsec / 1000;
    return 0;
}

EXPORT time_t
time(time_t *ret_now)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    if (ret_now != NULL)
        *ret_now = now.tv_sec;
    return now.tv_sec;
}

/* All conditions of leat are on the monotonic clock. */
EXPORT int
pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                       const struct timespec *restrict deadline)
{
    struct timespec until = *deadline;

    add(&until, -offset_us(CLOCK_MONOTONIC));
    if (until.tv_sec < 0)
        return ETIMEDOUT;
    return pthread_cond_clockwait(condition, mutex, CLOCK_MONOTONIC, &until);
}
