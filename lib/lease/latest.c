/* See latest.h. */
#include "lease/latest.h"

#include "base/clock.h"
#include "base/units.h"

#define APART_US (300 * LEAT_SECOND_US) /* what signed requests may be off by, too */

/* Without overflow, whatever a header says. */
static bool
agree(int64_t a_us, int64_t b_us)
{
    int64_t low_us = a_us < b_us ? a_us : b_us, high_us = a_us < b_us ? b_us : a_us;

    return high_us - APART_US <= low_us;
}

void
leat_clocks_describe(const struct leat_clocks *clocks, struct leat_buf *out)
{
    leat_buf_add_text(out, "the service says ");
    leat_format_time(out, clocks->service_us);
    leat_buf_add_text(out, ", the lease database ");
    leat_format_time(out, clocks->database_us);
    leat_buf_add_text(out, ", this host ");
    leat_format_time(out, clocks->own_us);
}

int
leat_clocks_latest(const struct leat_clocks *clocks, int64_t *ret_us, struct leat_error *err)
{
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;

    if (agree(clocks->service_us, clocks->database_us) ||
        agree(clocks->service_us, clocks->own_us)) {
        *ret_us = clocks->service_us;
        return 0;
    }
    if (agree(clocks->database_us, clocks->own_us)) {
        *ret_us = clocks->database_us < clocks->own_us ? clocks->database_us : clocks->own_us;
        return 0;
    }
    leat_clocks_describe(clocks, &all);
    return leat_error_set(err, LEAT_E_UNAVAILABLE,
                          "cannot say what \"latest\" is: no two clocks agree: %s; set two of them "
                          "right",
                          leat_buf_text(&all));
}
