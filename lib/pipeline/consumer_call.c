/*
 * What all calls into a plugin have in common: which one it is and since when, for whoever looks from another thread, and the
 * deadline by which it must be back. A call that comes back later than that does not count: nothing that it emitted, failed or
 * saved goes anywhere, as after LEAT_RETRY. By then another thread may work in its place (watchdog.c).
 */
#include "base/clock.h"
#include "base/crash.h"
#include "base/log.h"
#include "pipeline/runtime.h"

void
leat_consumer_call_begin(struct leat_consumer *consumer, const char *what)
{
    int64_t now_us = leat_clock_monotonic_us();

    leat_log_scope(consumer->runtime->config.name, consumer->shard.stream, consumer->shard.shard);
    leat_crash_call_begin(&(struct leat_crash_call){
        .kind = "processor",
        .plugin = consumer->runtime->config.plugin->name,
        .call = what,
        .processor = consumer->runtime->config.name,
        .stream = consumer->shard.stream,
        .shard = consumer->shard.shard,
    });
    consumer->call = what;
    consumer->cancel_at_us = now_us + consumer->runtime->config.batch_deadline_us;
    consumer->calling_since_us = now_us;
}

bool
leat_consumer_call_end(struct leat_consumer *consumer)
{
    int64_t now_us = leat_clock_monotonic_us(), since_us = consumer->calling_since_us;
    bool is_in_time = now_us < consumer->cancel_at_us;

    consumer->busy_us += now_us - since_us;
    leat_histogram_add(&consumer->runtime->counters.processing, now_us - since_us);
    consumer->calling_since_us = 0;
    consumer->cancel_at_us = INT64_MAX;
    leat_crash_call_end();
    leat_log_scope_clear();
    return is_in_time;
}

enum leat_verdict
leat_consumer_call_late(struct leat_consumer *consumer, enum leat_verdict verdict,
                        struct leat_error *err)
{
    if (verdict != LEAT_DONE)
        return verdict;
    leat_error_set(err, LEAT_E_TIMEOUT,
                   "%s took longer than batch.deadline (%.1f s): its work does not count; give it "
                   "fewer records at once (batch.records) or more time",
                   consumer->call, (double)consumer->runtime->config.batch_deadline_us / 1e6);
    return LEAT_RETRY;
}
