/*
 * What people are told. A report is written when somebody asked for one since the last: leat.applications.report_wanted_at, which
 * comes with the heartbeat. Nobody looks: nothing is written, whatever the number of shards. The history of moves is written by
 * the statements that move (rows_inside.h) and kept short here, in small steps, by whoever has the pass.
 */
#include "base/clock.h"
#include "lease/inside.h"

#define TRIM_US (60 * LEAT_SECOND_US)
#define TRIM_ON_US (1 * LEAT_SECOND_US)

int
leat_manager_tell(struct leat_lease_manager *manager, struct leat_error *err)
{
    int64_t wanted_us = manager->report_wanted_us;
    LEAT_AUTO_BUF report = LEAT_BUF_INIT;
    int status;

    if (wanted_us == manager->reported_us || manager->options.events.report == NULL)
        return 0;
    manager->options.events.report(manager->options.events.context, &report);
    leat_buf_text(&report);
    status = leat_rows_report(manager->connection, &manager->rows, manager->incarnation,
                              leat_buf_slice(&report), err);
    if (status == 0)
        manager->reported_us = wanted_us;
    return status;
}

int
leat_manager_trim(struct leat_lease_manager *manager, int64_t now_us, struct leat_error *err)
{
    bool has_more = false;
    int status;

    if (now_us < manager->trim_at_us)
        return 0;
    status = leat_rows_trim_moves(manager->connection, &manager->rows, &has_more, err);
    manager->trim_at_us = now_us + (has_more ? TRIM_ON_US : TRIM_US);
    return status;
}
