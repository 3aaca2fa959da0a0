/*
 * Showing once, or again and again. Before each time workers are asked what they know of their shards: a time in the application's
 * row, which they see with their heartbeat, and a notification that makes it sooner. The first time their answers are waited for,
 * briefly; with --watch the next refresh shows them.
 *
 * On a terminal --watch has the second screen and draws over what it drew; what does not fit is counted. However it ends (Ctrl-C,
 * SIGTERM, an error), the first screen comes back as it was. On a pipe it appends. Of the time at most a fifth is spent asking.
 */
#include <libpq-fe.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "worker/operator.h"
#include "worker/wait.h"

#define PATIENCE_US (1600 * LEAT_MS_US)
#define POLL_MS 25

#define SCREEN_BEGIN "\033[?1049h\033[?25l"
#define SCREEN_END "\033[?25h\033[?1049l"
#define HOME "\033[H"
#define REST_OF_LINE "\033[K"
#define REST_OF_SCREEN "\033[J"

const char leat_operator_seen_sql[] =
    "seen AS MATERIALIZED (SELECT w.application, w.incarnation, p.key AS processor, s.key AS "
    "stream_id, h.key AS shard, CASE WHEN r.reported_at > clock_timestamp() - $9 * interval '1 us' "
    "THEN (h.value->>0)::int8 END AS behind_ms, h.value->>1 AS consumer, nullif(h.value->>2, '') "
    "AS "
    "reason, extract(epoch FROM clock_timestamp() - r.reported_at) AS age FROM leat.reports r JOIN "
    "leat.workers w ON w.application = r.application AND w.worker_id = r.worker_id AND "
    "w.incarnation = r.incarnation, json_each(r.report) p, json_each(p.value) s, "
    "json_each(s.value) "
    "h WHERE ($1::text IS NULL OR w.application = $1) AND w.state <> 'dead'), "
    "lags AS MATERIALIZED (SELECT application, incarnation, stream_id, shard, max(behind_ms) AS "
    "behind_ms, max(age) AS age FROM seen GROUP BY 1, 2, 3, 4) ";

/* ---- asking workers -------------------------------------------------------------------------- */

/* When it was asked, as the database writes it; NULL: nobody could be asked, which is no failure: a role may be read-only. */
static char *
ask(struct leat_operator *task)
{
    /* Who asked a moment ago has asked for us, too: workers answer once a second at most, however many people watch. */
    static const char sql[] =
        "WITH asked AS (UPDATE leat.applications SET report_wanted_at = clock_timestamp() WHERE "
        "($1::text IS NULL OR application = $1) AND (report_wanted_at IS NULL OR report_wanted_at "
        "< clock_timestamp() - interval '950 ms' OR report_wanted_at > clock_timestamp()) "
        "RETURNING "
        "application, report_wanted_at), "
        "told AS (SELECT max(report_wanted_at) AS at, count(CASE WHEN (SELECT count(*) FROM "
        "leat.workers w WHERE w.state <> 'dead') <= 100 THEN pg_notify('leat', '?' || application) "
        "END) AS notified FROM asked) SELECT coalesce(told.at, (SELECT max(report_wanted_at) FROM "
        "leat.applications WHERE $1::text IS NULL OR application = $1))::text, told.notified FROM "
        "told";
    struct leat_pg_parameters parameters;
    struct leat_error unread;
    PGresult *result;
    char *asked = NULL;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, task->database.application);
    if (leat_pg_script(task->connection, "BEGIN; SET LOCAL lock_timeout = '1s'", &unread) == 0 &&
        leat_pg_execute(task->connection, sql, &parameters, &result, &unread) == 0) {
        if (!PQgetisnull(result, 0, 0))
            asked = leat_strdup(PQgetvalue(result, 0, 0));
        PQclear(result);
    }
    leat_pg_script(task->connection, asked != NULL ? "COMMIT" : "ROLLBACK", &unread);
    return asked;
}

/* Those that beat: who is frozen is not waited for. */
static bool
have_all_answered(struct leat_operator *task, const char *asked)
{
    static const char sql[] =
        "SELECT count(*)::text FROM leat.workers w WHERE ($1::text IS NULL OR w.application = $1) "
        "AND w.state <> 'dead' AND w.expires_at > clock_timestamp() AND w.heartbeat_at > "
        "clock_timestamp() - interval '3 s' AND NOT EXISTS (SELECT FROM leat.reports r WHERE "
        "r.application = w.application AND r.worker_id = w.worker_id AND r.incarnation = "
        "w.incarnation AND r.reported_at >= $2::text::timestamptz)";
    struct leat_pg_parameters parameters;
    struct leat_error unread;
    PGresult *result;
    bool have_all = true;

    leat_pg_parameters_init(&parameters);
    leat_pg_add_text(&parameters, task->database.application);
    leat_pg_add_text(&parameters, asked);
    if (leat_pg_execute(task->connection, sql, &parameters, &result, &unread) == 0) {
        have_all = strcmp(PQgetvalue(result, 0, 0), "0") == 0;
        PQclear(result);
    }
    return have_all;
}

void
leat_operator_ask(struct leat_operator *task, bool is_waiting)
{
    int64_t deadline_us = leat_clock_monotonic_us() + PATIENCE_US;
    LEAT_AUTO_FREE char *asked = ask(task);

    while (is_waiting && asked != NULL && !leat_is_stopped() &&
           leat_clock_monotonic_us() < deadline_us && !have_all_answered(task, asked))
        poll(NULL, 0, POLL_MS);
}

/* ---- drawing --------------------------------------------------------------------------------- */

struct drawing {
    bool is_terminal;
    size_t rows, columns;
};

static void
measure(struct drawing *drawing)
{
    struct winsize size = {0};

    drawing->rows = 24;
    drawing->columns = 80;
    if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 1 && size.ws_col > 1) {
        drawing->rows = size.ws_row;
        drawing->columns = size.ws_col;
    }
}

/* Bytes of the first `width` characters. */
static size_t
bytes_of(const char *line, size_t length, size_t width)
{
    size_t at = 0;

    for (size_t seen = 0; at < length; at++) {
        if (((unsigned char)line[at] & 0xC0) != 0x80 && seen++ == width)
            break;
    }
    return at;
}

static void
draw(struct drawing *drawing, const char *text)
{
    LEAT_AUTO_BUF screen = LEAT_BUF_INIT;
    size_t row = 0, left = 0;

    measure(drawing);
    leat_buf_add_text(&screen, HOME);
    for (const char *line = text; *line != '\0';) {
        size_t length = strcspn(line, "\n");

        if (row + 1 < drawing->rows) {
            leat_buf_add(&screen, line, bytes_of(line, length, drawing->columns));
            leat_buf_add_text(&screen, REST_OF_LINE "\n");
            row++;
        } else {
            left++;
        }
        line += length + (line[length] == '\n');
    }
    if (left > 0)
        leat_buf_printf(&screen, "… %zu more: --stream, --worker, --state show fewer" REST_OF_LINE,
                        left);
    leat_buf_add_text(&screen, REST_OF_SCREEN);
    fwrite(screen.data, 1, screen.size, stdout);
    fflush(stdout);
}

/* What read prints, as text (free). */
static char *
collect(struct leat_operator *task, int (*read)(struct leat_operator *task, struct leat_error *err),
        int *ret_status, struct leat_error *err)
{
    char *text = NULL;
    size_t size = 0;

    task->out = open_memstream(&text, &size);
    LEAT_ASSERT(task->out != NULL);
    *ret_status = leat_operator_connect(task, err);
    if (*ret_status == 0) {
        leat_operator_ask(task, false);
        *ret_status = read(task, err);
    }
    fclose(task->out);
    task->out = stdout;
    return text;
}

static void
add_heading(const struct leat_operator *task, struct leat_buf *out)
{
    if (task->database.output == LEAT_OUTPUT_JSON)
        return;
    leat_buf_printf(out, "leat %s, each ", task->command->name);
    leat_format_duration(out, task->watch_us);
    leat_buf_add_text(out, ", ");
    leat_format_time(out, leat_clock_wall_us());
    leat_buf_add_text(out, "\n\n");
}

/* One refresh. What is down may come back: said, and tried again; what is wrong ends it. */
static int
refresh(struct leat_operator *task, struct drawing *drawing,
        int (*read)(struct leat_operator *task, struct leat_error *err), struct leat_error *err)
{
    LEAT_AUTO_BUF shown = LEAT_BUF_INIT;
    LEAT_AUTO_FREE char *text = NULL;
    int status;

    text = collect(task, read, &status, err);
    if (status != 0 && !err->is_retryable)
        return status;
    add_heading(task, &shown);
    if (status == 0)
        leat_buf_add_text(&shown, text);
    if (drawing->is_terminal && status != 0)
        leat_buf_printf(&shown, "%s: trying again\n", err->text);
    else if (status != 0)
        leat_operator_says(task, LEAT_EXIT_UNAVAILABLE, "%s: trying again", err->text);
    if (drawing->is_terminal) {
        draw(drawing, leat_buf_text(&shown));
    } else {
        if (task->database.output != LEAT_OUTPUT_JSON)
            leat_buf_add_byte(&shown, '\n');
        fwrite(shown.data, 1, shown.size, stdout);
        if (fflush(stdout) != 0)
            return leat_error_set(err, LEAT_E_SYSTEM, "could not write the output");
    }
    return 0;
}

static int
watch(struct leat_operator *task, int (*read)(struct leat_operator *task, struct leat_error *err),
      struct leat_error *err)
{
    struct drawing drawing = {.is_terminal = isatty(STDOUT_FILENO) == 1 &&
                                             task->database.output != LEAT_OUTPUT_JSON};
    int status = leat_stop_setup(err);

    if (status != 0)
        return status;
    if (drawing.is_terminal)
        fputs(SCREEN_BEGIN, stdout);
    while (status == 0 && !leat_is_stopped()) {
        int64_t began_us = leat_clock_monotonic_us(), took_us, pause_us;

        status = refresh(task, &drawing, read, err);
        took_us = leat_clock_monotonic_us() - began_us;
        pause_us = task->watch_us > 5 * took_us ? task->watch_us : 5 * took_us;
        if (status == 0)
            leat_wait(-1, began_us + pause_us);
    }
    if (drawing.is_terminal) {
        fputs(SCREEN_END, stdout);
        fflush(stdout);
    }
    return status;
}

int
leat_operator_show(struct leat_operator *task,
                   int (*read)(struct leat_operator *task, struct leat_error *err))
{
    struct leat_error err;
    int status = leat_operator_connect(task, &err), code;

    if (status != 0)
        return leat_command_failed(task->command->name, &err);
    code = leat_operator_check_filters(task);
    if (code != LEAT_EXIT_OK)
        return code;
    if (task->watch_us > 0) {
        status = watch(task, read, &err);
    } else {
        leat_operator_ask(task, true);
        status = read(task, &err);
    }
    return status == 0 ? LEAT_EXIT_OK : leat_command_failed(task->command->name, &err);
}
