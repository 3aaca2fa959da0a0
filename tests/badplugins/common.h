/* What the bad plugins share: a process that does nothing. */
#include <leat/processor.h>

static enum leat_verdict
process(void *state, const struct leat_batch *batch, struct leat_out *out, struct leat_error *err)
{
    (void)state, (void)batch, (void)out, (void)err;
    return LEAT_DONE;
}
