/*
 * How long a test waits for what must happen. A deadline in a test is a guard against hanging and never a measurement: a loaded
 * machine with a sanitizer takes ten times as long as an idle one, so a wait that is near what it needs fails by luck. Speed is
 * measured by tests/bench.
 *
 * tests/run multiplies Check's own timeouts (CK_TIMEOUT_MULTIPLIER); waits grow with them, and end before them, so that the
 * failure names what was waited for.
 */
#ifndef LEAT_TESTS_PATIENCE_H
#define LEAT_TESTS_PATIENCE_H

#include "base/clock.h"

#include <stdint.h>
#include <stdlib.h>

/* A wait that was written for `us` on an idle machine. */
static inline int64_t
test_patience_us(int64_t us)
{
    const char *text = getenv("CK_TIMEOUT_MULTIPLIER");
    int64_t multiplier = text != NULL ? strtoll(text, NULL, 10) : 1;

    return us * (multiplier > 1 ? multiplier : 1);
}

#define PATIENCE_US test_patience_us(60 * LEAT_SECOND_US)

#endif
