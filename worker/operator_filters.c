/*
 * A --stream, --shard, --worker or --processor that names nothing would give an empty table, which reads as "nothing is wrong".
 * It is an error that names what there is. A name that is there, with no row that fits, stays an empty table.
 */
#include "base/memory.h"
#include "worker/operator.h"

struct filter {
    const char *option, *what;
    /* The names that there are, with what the options say ($1 application … $5 processor). */
    const char *sql;
};

static const struct filter stream_filter = {
    "--stream", "stream",
    "SELECT name FROM (SELECT s.name, 1 AS rank FROM leat.streams s WHERE ($1::text IS NULL OR "
    "s.application = $1) UNION SELECT s.stream_id::text, 2 FROM leat.streams s WHERE ($1::text IS "
    "NULL OR s.application = $1) AND s.stream_id = $2) n ORDER BY name = $2 DESC, rank DESC, name "
    "LIMIT 20"};
static const struct filter shard_filter = {
    "--shard", "shard",
    "SELECT shard FROM (SELECT DISTINCT l.shard::text AS shard, l.shard = $3 AS is_it FROM "
    "leat.leases l JOIN leat.streams s ON s.application = l.application AND s.stream_id = "
    "l.stream_id WHERE ($1::text IS NULL OR l.application = $1) AND ($2::text IS NULL OR s.name = "
    "$2 OR s.stream_id = $2)) n ORDER BY is_it DESC, shard LIMIT 20"};
static const struct filter worker_filter = {
    "--worker", "worker",
    "SELECT worker_id::text FROM leat.workers w WHERE ($1::text IS NULL OR w.application = $1) "
    "ORDER BY w.worker_id = $4 DESC, w.state = 'dead', 1 LIMIT 20"};
static const struct filter processor_filter = {
    "--processor", "processor",
    "SELECT DISTINCT processor::text FROM leat.processors p WHERE ($1::text IS NULL OR "
    "p.application = $1) ORDER BY 1"};

/* An exit code. */
static int
check(struct leat_operator *task, const struct filter *filter, const char *word)
{
    LEAT_AUTO_BUF near = LEAT_BUF_INIT;
    LEAT_AUTO_BUF all = LEAT_BUF_INIT;
    struct leat_error err;
    PGresult *names;
    bool is_there = false;

    if (word == NULL)
        return LEAT_EXIT_OK;
    if (leat_operator_read(task, filter->sql, &names, &err) != 0)
        return leat_command_failed(task->command->name, &err);
    for (int i = 0; i < PQntuples(names); i++)
        is_there = is_there || strcmp(PQgetvalue(names, i, 0), word) == 0;
    if (!is_there) {
        leat_operator_near(names, word, &near);
        leat_operator_names(names, &all);
        leat_operator_says(task, 0, "%s: there is no %s \"%s\"%s; there are: %s", filter->option,
                           filter->what, word, leat_buf_text(&near), leat_buf_text(&all));
    }
    PQclear(names);
    return is_there ? LEAT_EXIT_OK : LEAT_EXIT_FAILED;
}

int
leat_operator_check_filters(struct leat_operator *task)
{
    int code = check(task, &stream_filter, task->stream);

    if (code == LEAT_EXIT_OK)
        code = check(task, &shard_filter, task->shard);
    if (code == LEAT_EXIT_OK)
        code = check(task, &worker_filter, task->worker);
    if (code == LEAT_EXIT_OK)
        code = check(task, &processor_filter, task->database.processor);
    return code;
}
