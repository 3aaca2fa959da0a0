/* The handler writes to an eventfd that every wait polls: no signal is missed between a look and a wait. */
#include "worker/wait.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>

#include "base/clock.h"
#include "base/thread.h"

#define LONGEST_MS (60 * 1000)
#define GRACE_US (1 * LEAT_SECOND_US)

static struct leat_waker waker = {.fd = -1};
static atomic_int stop_signal;
static _Atomic int64_t stopped_at_us; /* monotonic; 0: not */

/* Of the signal handler, too: nothing in here may wait or allocate. */
void
leat_stop(void)
{
    atomic_store(&stopped_at_us, leat_clock_monotonic_us());
    if (waker.fd >= 0)
        leat_waker_wake(&waker);
}

static void
on_signal(int number)
{
    int saved = errno;

    atomic_store(&stop_signal, number);
    leat_stop();
    errno = saved;
}

int
leat_stop_setup(struct leat_error *err)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART | (int)SA_RESETHAND};
    int status = leat_waker_init(&waker, err);

    if (status < 0)
        return status;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    return 0;
}

bool
leat_is_stopped(void)
{
    return atomic_load(&stopped_at_us) != 0;
}

bool
leat_is_stopped_for_good(void)
{
    int64_t since_us = atomic_load(&stopped_at_us);

    return since_us != 0 && leat_clock_monotonic_us() - since_us > GRACE_US;
}

int
leat_stop_code(void)
{
    int number = atomic_load(&stop_signal);

    return number != 0 ? 128 + number : 0;
}

/* Rounded up: a wait must not end before its time and begin again at once. */
static int
milliseconds_until(int64_t deadline_us)
{
    int64_t now_us = leat_clock_monotonic_us();

    if (deadline_us <= now_us)
        return 0;
    if (deadline_us - now_us >= LONGEST_MS * LEAT_MS_US)
        return LONGEST_MS;
    return (int)((deadline_us - now_us + LEAT_MS_US - 1) / LEAT_MS_US);
}

enum leat_waited
leat_wait(int fd, int64_t deadline_us)
{
    for (;;) {
        struct pollfd polled[2] = {{.fd = fd, .events = POLLIN},
                                   {.fd = waker.fd, .events = POLLIN}};
        int ready = poll(polled, 2, milliseconds_until(deadline_us));

        if (leat_is_stopped())
            return LEAT_WAITED_STOP;
        if (ready > 0 && polled[0].revents != 0)
            return LEAT_WAITED_INPUT;
        if (leat_clock_monotonic_us() >= deadline_us)
            return LEAT_WAITED_TIME;
    }
}
