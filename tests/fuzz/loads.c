/*
 * Loads that another worker published, and version texts that it registered: two of each, cut out of the input. What is read
 * as loads reads back the same after it was written; the order of builds is the same from both sides.
 */
#include <stdint.h>
#include <stdlib.h>

#include "base/memory.h"
#include "lease/build.h"
#include "lease/loads.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_loads(struct leat_slice bytes)
{
    size_t count = leat_loads_count(bytes);
    LEAT_AUTO_BUF again = LEAT_BUF_INIT;
    struct leat_load *loads;

    if (count == SIZE_MAX)
        return;
    loads = LEAT_NEW_ARRAY(struct leat_load, count + 1);
    leat_loads_decode(bytes, loads);
    leat_loads_encode(loads, count, &again);
    LEAT_ASSERT(leat_slice_equals(leat_buf_slice(&again), bytes));
    free(loads);
}

static void
check_applied(struct leat_slice first, struct leat_slice second)
{
    struct leat_lease leases[3] = {
        {.key = {leat_slice_from("s"), leat_slice_from("0")}, .lease_owner = 1},
        {.key = {leat_slice_from("s"), leat_slice_from("1")}, .lease_owner = 2},
        {.key = {leat_slice_from("s"), leat_slice_from("2")}},
    };
    struct leat_worker_loads loads[2] = {{1, first}, {2, second}};

    leat_loads_apply(loads, 2, leases, 3);
    for (size_t i = 0; i < 3; i++)
        LEAT_ASSERT(leases[i].busy_us >= (i < 2 ? 0 : -1));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t half = size > 0 ? data[0] % size : 0;
    struct leat_slice first = leat_slice_make(data + (size > 0), size > 0 ? half : 0);
    struct leat_slice second =
        leat_slice_make(data + half + (size > 0), size > 0 ? size - half - 1 : 0);
    int order = leat_build_order(first, second), back = leat_build_order(second, first);

    LEAT_ASSERT((order < 0) == (back > 0) && (order == 0) == (back == 0));
    LEAT_ASSERT(leat_build_order(first, first) == 0);
    check_loads(first);
    check_loads(second);
    check_applied(first, second);
    return 0;
}
