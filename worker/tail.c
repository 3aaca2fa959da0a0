/* `leat tail`: a stream's records as JSON lines, as a processor would be given them. */
#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#include "base/encoding.h"
#include "base/json.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"
#include "worker/aws_options.h"
#include "worker/command.h"
#include "worker/shard_name.h"
#include "worker/tail_reader.h"
#include "worker/wait.h"

#define FLUSH_BYTES ((size_t)1 << 20)

struct tail_arguments {
    struct leat_aws_options aws;
    struct leat_tail_options tail;
    char shard[LEAT_SHARD_NAME_BYTES];
    bool has_start;
    int64_t count; /* 0: no limit */
};

struct printer {
    struct leat_buf lines;
    int64_t left; /* -1: no limit */
    int error;    /* errno of standard output */
};

static void
help(void)
{
    fputs(
        "leat tail: prints a stream's records as JSON lines\n\n"
        "  leat tail observations\n"
        "  leat tail observations --from trim_horizon --until-end | jq -r .data\n"
        "  leat tail observations --from -10m | jq -r .data\n"
        "  leat tail observations --from 2026-01-02T03:04:05Z --shard 0 -n 10\n\n"
        "Each line: shard, sequence, sub_sequence, partition_key, explicit_hash_key, arrival_time, "
        "aggregated,\nand data (text) or data_base64 (other bytes). `problem` names a record that "
        "a "
        "worker would divert.\nChildren of a split or merge come after their parents.\n\n"
        "  --from WHERE     latest | trim_horizon | a time | -10m: ten minutes ago (default: "
        "latest;\n"
        "                   with --until-end trim_horizon)\n"
        "  --shard ID       this one alone; 7 is shardId-000000000007\n"
        "  -n COUNT         ends after so many records\n"
        "  --until-end      ends where all shards are read to their tip or end\n"
        "  --raw            stream records as they are stored: aggregates are not taken "
        "apart\n" LEAT_AWS_HELP,
        stdout);
}

/* ---- arguments ----------------------------------------------------------------------------- */

static int
parse_start(const char *text, struct tail_arguments *arguments)
{
    static const struct {
        const char *word;
        enum leat_position_kind kind;
    } words[] = {{"latest", LEAT_POSITION_LATEST}, {"trim_horizon", LEAT_POSITION_TRIM_HORIZON}};

    arguments->has_start = true;
    for (size_t i = 0; i < LEAT_COUNT_OF(words); i++) {
        if (strcasecmp(text, words[i].word) == 0) {
            arguments->tail.start = words[i].kind;
            return 0;
        }
    }
    arguments->tail.start = LEAT_POSITION_AT_TIMESTAMP;
    if (leat_parse_moment(leat_slice_from(text), leat_clock_wall_us(), &arguments->tail.start_us))
        return 0;
    fprintf(
        stderr,
        "leat tail: --from wants latest, trim_horizon or a time as 2026-01-02T03:04:05Z or -10m, "
        "not \"%s\"\n",
        text);
    return LEAT_EXIT_USAGE;
}

static int
parse_count(const char *text, int64_t *ret_count)
{
    struct leat_error err;

    if (leat_parse_integer(leat_slice_from(text), ret_count, &err) == 0 && *ret_count > 0)
        return 0;
    fprintf(stderr, "leat tail: -n wants a number of records, not \"%s\"\n", text);
    return LEAT_EXIT_USAGE;
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse_option(int letter, struct tail_arguments *arguments)
{
    switch (letter) {
    case 'f':
        return parse_start(optarg, arguments);
    case 's':
        arguments->tail.shard = leat_shard_name(optarg, arguments->shard);
        return 0;
    case 'n':
        return parse_count(optarg, &arguments->count);
    case 'R':
        arguments->tail.is_raw = true;
        return 0;
    case 'e':
        arguments->tail.until_end = true;
        return 0;
    case 'h':
        return -1;
    default:
        return leat_aws_options_take(&arguments->aws, letter, optarg) ? 0 : LEAT_EXIT_USAGE;
    }
}

static int
parse(int argc, char **argv, struct tail_arguments *arguments)
{
    static const struct option options[] = {
        {"from", required_argument, NULL, 'f'},
        {"shard", required_argument, NULL, 's'},
        {"count", required_argument, NULL, 'n'},
        {"raw", no_argument, NULL, 'R'},
        {"until-end", no_argument, NULL, 'e'},
        {"help", no_argument, NULL, 'h'},
        LEAT_AWS_LONG_OPTIONS,
        {NULL, 0, NULL, 0},
    };
    int letter, status;

    *arguments = (struct tail_arguments){0};
    while ((letter = getopt_long(argc, argv, LEAT_AWS_LETTERS "n:h", options, NULL)) != -1) {
        if ((status = parse_option(letter, arguments)) != 0)
            return status;
    }
    if (optind + 1 != argc) {
        fputs("leat tail: say one stream; see leat tail --help\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    arguments->tail.stream = argv[optind];
    if (!arguments->has_start)
        arguments->tail.start = arguments->tail.until_end ? LEAT_POSITION_TRIM_HORIZON
                                                          : LEAT_POSITION_LATEST;
    if (arguments->count > 0 && arguments->count < LEAT_KINESIS_GET_RECORDS)
        arguments->tail.limit = (unsigned)arguments->count;
    return 0;
}

/* ---- lines --------------------------------------------------------------------------------- */

static const char *
problem_of(enum leat_user_record_status status)
{
    switch (status) {
    case LEAT_USER_RECORD_GOOD:
        break;
    case LEAT_USER_RECORD_GIVEN_UP:
        break;
    case LEAT_USER_RECORD_TOO_MANY:
        return "expansion_limit";
    case LEAT_USER_RECORD_OUTSIDE_HASH_RANGE:
        return "outside_hash_range";
    case LEAT_USER_RECORD_BAD_INDEX:
        return "bad_aggregate_index";
    case LEAT_USER_RECORD_BAD_ARRAY:
        return "bad_json_array";
    case LEAT_USER_RECORD_TOO_LARGE:
        return "expansion_limit";
    }
    return NULL;
}

static void
add_time(struct leat_json *json, int64_t arrival_us)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    if (arrival_us != 0)
        leat_format_time(&text, arrival_us);
    leat_json_text(json, "arrival_time", arrival_us != 0 ? leat_buf_text(&text) : NULL);
}

static bool
flush_lines(void *context)
{
    struct printer *printer = context;

    if (printer->lines.size > 0 &&
        (fwrite(printer->lines.data, 1, printer->lines.size, stdout) != printer->lines.size ||
         fflush(stdout) != 0))
        printer->error = errno;
    leat_buf_clear(&printer->lines);
    return printer->error == 0;
}

static bool
print_record(void *context, const char *shard, const struct leat_user_record *user)
{
    struct printer *printer = context;
    const struct leat_record *record = &user->record;
    struct leat_json json;

    leat_json_begin(&json, &printer->lines);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "shard", shard);
    leat_json_slice(&json, "sequence", record->sequence_number);
    leat_json_integer(&json, "sub_sequence", (int64_t)record->sub_sequence_number);
    leat_json_slice(&json, "partition_key", record->partition_key);
    if (record->explicit_hash_key.size > 0)
        leat_json_slice(&json, "explicit_hash_key", record->explicit_hash_key);
    else
        leat_json_null(&json, "explicit_hash_key");
    add_time(&json, record->arrival_us);
    leat_json_bool(&json, "aggregated", (record->flags & LEAT_RECORD_AGGREGATED) != 0);
    if (problem_of(user->status) != NULL)
        leat_json_text(&json, "problem", problem_of(user->status));
    if (leat_utf8_is_valid(record->data))
        leat_json_slice(&json, "data", record->data);
    else
        leat_json_base64(&json, "data_base64", record->data);
    leat_json_object_end(&json);
    leat_buf_add_byte(&printer->lines, '\n');
    if (printer->lines.size >= FLUSH_BYTES && !flush_lines(printer))
        return false;
    return printer->left < 0 || --printer->left > 0;
}

static int
tail(struct tail_arguments *arguments, struct leat_error *err)
{
    struct printer printer = {.left = arguments->count > 0 ? arguments->count : -1};
    int status = leat_stop_setup(err);

    if (status < 0)
        return status;
    arguments->tail.kinesis = leat_kinesis_new(&arguments->aws.aws, LEAT_KINESIS_AUTO, err);
    if (arguments->tail.kinesis == NULL)
        return err->code;
    leat_buf_init(&printer.lines, SIZE_MAX);
    status = leat_tail(&arguments->tail, print_record, flush_lines, &printer, err);
    if (status == LEAT_E_CANCELLED && leat_is_stopped())
        status = 0;
    if (status == 0 && printer.error != 0)
        status = leat_error_set(err, LEAT_E_SYSTEM, "could not write the output: %s",
                                strerror(printer.error));
    leat_buf_release(&printer.lines);
    leat_kinesis_free(arguments->tail.kinesis);
    return status;
}

int
leat_command_tail(int argc, char **argv)
{
    struct tail_arguments arguments;
    struct leat_error err;
    int status = parse(argc, argv, &arguments);

    if (status == -1) {
        help();
        status = LEAT_EXIT_OK;
    } else if (status == LEAT_EXIT_OK) {
        status = leat_aws_options_open(&arguments.aws, "tail");
        if (status == LEAT_EXIT_OK && tail(&arguments, &err) < 0)
            status = leat_command_failed("tail", &err);
    }
    leat_aws_options_close(&arguments.aws);
    return status;
}
