/* Null: takes every record and writes nothing. For benchmarks: what it costs to read, to lease and to checkpoint. */
#include <leat/processor.h>

static const struct leat_table no_tables[] = {LEAT_END};

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    return LEAT_DONE;
}

LEAT_PROCESSOR(.name = "null", .version = LEAT_VERSION,
               .summary = "takes every record and writes nothing", .tables = no_tables,
               .process = process);
