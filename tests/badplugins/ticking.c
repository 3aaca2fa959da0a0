/* A processor that ticks often, also on silent shards, and writes nothing. */
#include <leat/processor.h>

static const struct leat_table tables[] = {LEAT_END};

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    (void)state, (void)batch, (void)out, (void)err;
    return LEAT_DONE;
}

static enum leat_verdict
tick(void *state, int64_t now_us, int64_t watermark_us, struct leat_out *out,
     struct leat_error *err)
{
    (void)state, (void)now_us, (void)watermark_us, (void)out, (void)err;
    return LEAT_DONE;
}

LEAT_PROCESSOR(.name = "ticking", .version = "1", .summary = "ticks and writes nothing",
               .tables = tables, .tick_interval_us = 20000, .process = process, .tick = tick);
