/* A processor that counts what it sees, in every way that makes a bad page of /metrics of it; "bad" records fail. */
#include <leat/processor.h>
#include <math.h>

static int
counting_open(const struct leat_host *host, const struct leat_options *options, void **ret_instance,
              struct leat_error *err)
{
    (void)options, (void)err;
    *ret_instance = (void *)host;
    return 0;
}

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    const struct leat_host *host = state;

    (void)err;
    for (size_t i = 0; i < batch->count; i++) {
        if (leat_slice_is(batch->records[i]->data, "bad"))
            leat_fail(out, batch->records[i], "it is bad");
    }
    host->counter_add(host, "seen", (double)batch->count);
    host->counter_add(host, "seen", -1);  /* never goes back */
    host->counter_add(host, "seen", NAN); /* nor becomes none */
    host->counter_add(host, "calls_total", 1);
    host->gauge_set(host, "not_a_number", -NAN);
    host->gauge_set(host, "endless", INFINITY);
    host->counter_add(host, "both", 1);
    host->gauge_set(host, "both_total", 7);
    host->gauge_set(host, "no\nname 1", 7);
    host->gauge_set(host, "", 7);
    return LEAT_DONE;
}

LEAT_PROCESSOR(.name = "counting", .version = "1", .summary = "counts", .open = counting_open,
               .process = process);
