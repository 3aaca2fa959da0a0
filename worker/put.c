/*
 * `leat put`: lines of standard input become records. Reading waits at most until the producer has something to send, so a
 * record that came alone is sent after its linger, whether another one follows or not.
 */
#include <getopt.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/json_member.h"
#include "base/memory.h"
#include "base/units.h"
#include "producer/producer.h"
#include "stream/shard.h"
#include "worker/aws_options.h"
#include "worker/command.h"
#include "worker/lines.h"
#include "worker/wait.h"

#define SHOWN_REFUSALS 10

struct put_arguments {
    struct leat_aws_options aws;
    struct leat_producer_options producer;
    const char *key_field, *key, *hash_key;
    bool is_raw, is_quiet;
};

struct put {
    const struct put_arguments *arguments;
    struct leat_producer *producer;
    struct leat_lines lines;
    uint64_t refused; /* lines that are no records */
    int64_t began_us;
    bool has_failed;  /* an error was shown already */
    bool is_complete; /* the input was read to its end */
    int code;
};

static void
help(void)
{
    fputs("leat put: puts the lines of standard input into a stream\n\n"
          "  echo '{\"device\": 7, \"value\": 1.5}' | leat put observations --key-field device\n"
          "  leat put observations --aggregate kpl <events.jsonl\n"
          "  leat put observations --rate 500/s <events.jsonl\n\n"
          "Each line is one record's data, as it is; empty lines are left out.\n\n"
          "  --key-field NAME the partition key is this member of the line's JSON object\n"
          "  --key TEXT       the partition key of all (default: a random one for each)\n"
          "  --hash-key N     explicit hash key of all: 0 to 2^128 - 1\n"
          "  --aggregate none|kpl|gzip-json   many lines in one stream record (default: none).\n"
          "                   gzip-json joins lines of one key that are JSON\n"
          "  --linger TIME    how long a record waits for company (default: 100ms)\n"
          "  --rate N/s       a steady pace (default: as fast as the stream takes it)\n"
          "  --raw            lines are bytes: nothing in them is looked at\n"
          "  -q               no summary\n" LEAT_AWS_HELP
          "\nExit code 1: some lines were not put; 130 or 143: stopped by Ctrl-C or SIGTERM before "
          "the end of the\ninput (what was read is put). A line whose answer was lost may be there "
          "twice if it is put again.\n",
          stdout);
}

/* ---- arguments ----------------------------------------------------------------------------- */

static int
parse_rate(const char *text, double *ret_rate)
{
    char *end;
    double rate = strtod(text, &end);

    if (end != text && (*end == '\0' || strcmp(end, "/s") == 0) && rate > 0 && rate <= 1e9) {
        *ret_rate = rate;
        return 0;
    }
    fprintf(stderr, "leat put: --rate wants records a second, as 500/s, not \"%s\"\n", text);
    return LEAT_EXIT_USAGE;
}

static int
parse_linger(const char *text, int64_t *ret_us)
{
    struct leat_error err;

    if (leat_parse_duration(leat_slice_from(text), ret_us, &err) == 0 && *ret_us > 0)
        return 0;
    fprintf(stderr, "leat put: --linger wants a time, as 100ms, not \"%s\"\n", text);
    return LEAT_EXIT_USAGE;
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse_option(int letter, struct put_arguments *arguments)
{
    switch (letter) {
    case 'f':
        arguments->key_field = optarg;
        return 0;
    case 'k':
        arguments->key = optarg;
        return 0;
    case 'H':
        arguments->hash_key = optarg;
        return 0;
    case 'a':
        if (leat_aggregation_parse(optarg, &arguments->producer.aggregation))
            return 0;
        fprintf(stderr, "leat put: there is no aggregation \"%s\": none, kpl or gzip-json\n",
                optarg);
        return LEAT_EXIT_USAGE;
    case 'l':
        return parse_linger(optarg, &arguments->producer.linger_us);
    case 'r':
        return parse_rate(optarg, &arguments->producer.rate);
    case 'R':
        arguments->is_raw = true;
        return 0;
    case 'q':
        arguments->is_quiet = true;
        return 0;
    case 'h':
        return -1;
    default:
        return leat_aws_options_take(&arguments->aws, letter, optarg) ? 0 : LEAT_EXIT_USAGE;
    }
}

static int
check_arguments(const struct put_arguments *arguments)
{
    const char *problem = NULL;
    struct leat_hash_key hash_key;

    if (arguments->key_field != NULL && arguments->key != NULL)
        problem = "--key and --key-field are two keys: say one";
    else if (arguments->is_raw && arguments->key_field != NULL)
        problem = "--raw looks at nothing, so --key-field has nothing to look at";
    else if (arguments->is_raw && arguments->producer.aggregation == LEAT_AGGREGATION_GZIP_JSON)
        problem = "--raw lines are no JSON: --aggregate kpl takes any bytes";
    else if (arguments->hash_key != NULL &&
             !leat_hash_key_parse(leat_slice_from(arguments->hash_key), &hash_key))
        problem = "--hash-key wants a number from 0 to 2^128 - 1";
    else if (arguments->key != NULL && *arguments->key == '\0')
        problem = "--key is empty: a partition key has at least one character";
    if (problem == NULL)
        return 0;
    fprintf(stderr, "leat put: %s\n", problem);
    return LEAT_EXIT_USAGE;
}

static int
parse(int argc, char **argv, struct put_arguments *arguments)
{
    static const struct option options[] = {
        {"key-field", required_argument, NULL, 'f'},
        {"key", required_argument, NULL, 'k'},
        {"hash-key", required_argument, NULL, 'H'},
        {"aggregate", required_argument, NULL, 'a'},
        {"linger", required_argument, NULL, 'l'},
        {"rate", required_argument, NULL, 'r'},
        {"raw", no_argument, NULL, 'R'},
        {"quiet", no_argument, NULL, 'q'},
        {"help", no_argument, NULL, 'h'},
        LEAT_AWS_LONG_OPTIONS,
        {NULL, 0, NULL, 0},
    };
    int letter, status;

    *arguments = (struct put_arguments){0};
    while ((letter = getopt_long(argc, argv, LEAT_AWS_LETTERS "qh", options, NULL)) != -1) {
        if ((status = parse_option(letter, arguments)) != 0)
            return status;
    }
    if (optind + 1 != argc) {
        fputs("leat put: say one stream; see leat put --help\n", stderr);
        return LEAT_EXIT_USAGE;
    }
    arguments->producer.stream = argv[optind];
    return check_arguments(arguments);
}

/* ---- lines --------------------------------------------------------------------------------- */

static void
refuse(struct put *put, const char *why)
{
    put->refused++;
    if (put->refused <= SHOWN_REFUSALS)
        fprintf(stderr, "leat put: line %llu: %s\n", (unsigned long long)put->lines.number, why);
    else if (put->refused == SHOWN_REFUSALS + 1)
        fputs("leat put: more lines were refused; their number is in the summary\n", stderr);
}

/* The member's text, or a number or a boolean as the line has it: a tree would keep 64 bits of an integer. */
static bool
key_of(struct json_object *root, struct leat_slice line, const char *field, struct leat_buf *key)
{
    struct json_object *member = leat_json_get(root, field);
    struct leat_slice written;

    switch (json_object_get_type(member)) {
    case json_type_string:
        leat_buf_add(key, json_object_get_string(member),
                     (size_t)json_object_get_string_len(member));
        break;
    case json_type_int:
    case json_type_double:
    case json_type_boolean:
        if (leat_json_member(line, field, &written))
            leat_buf_add_slice(key, written);
        break;
    default:
        break;
    }
    return key->size > 0;
}

/* false: the line was refused. */
static bool
find_key(struct put *put, struct leat_slice line, struct leat_buf *key)
{
    const struct put_arguments *arguments = put->arguments;
    struct json_object *root = NULL;
    struct leat_error err;
    bool has_key;

    if (arguments->key_field == NULL) {
        leat_buf_add_text(key, arguments->key != NULL ? arguments->key : "");
        return true;
    }
    if (leat_json_parse(line, &root, &err) < 0) {
        refuse(put, err.text);
        return false;
    }
    has_key = key_of(root, line, arguments->key_field, key);
    json_object_put(root);
    if (!has_key) {
        leat_error_set(&err, LEAT_E_INVALID,
                       "there is no text or number \"%s\" in it to take the partition key from",
                       arguments->key_field);
        refuse(put, err.text);
    }
    return has_key;
}

/* Faults of single records let the others go on; a stream that is not there, or nobody who answers, does not. */
static bool
is_hopeless(int status)
{
    return status < 0 && status != LEAT_E_THROTTLED && status != LEAT_E_INVALID;
}

/* false: no use to go on. */
static bool
sent(struct put *put, int status, const struct leat_error *err)
{
    if (status == 0)
        return true;
    if (!put->has_failed)
        put->code = leat_command_failed("put", err);
    put->has_failed = true;
    return !is_hopeless(status);
}

static bool
put_line(struct put *put, struct leat_slice line)
{
    struct leat_slice hash_key = leat_slice_from(put->arguments->hash_key);
    LEAT_AUTO_BUF key = LEAT_BUF_INIT;
    struct leat_error err;

    if (line.size == 0 || !find_key(put, line, &key))
        return true;
    if (leat_producer_check(put->producer, leat_buf_slice(&key), hash_key, line, &err) < 0) {
        refuse(put, err.text);
        return true;
    }
    return sent(put, leat_producer_put(put->producer, leat_buf_slice(&key), hash_key, line, &err),
                &err);
}

/* Before a line is read: then a signal ends the wait, which it could not inside of the producer. */
static bool
await_turn(struct put *put)
{
    while (leat_clock_monotonic_us() < leat_producer_turn_us(put->producer)) {
        int64_t wake_us = leat_producer_wake_us(put->producer);
        int64_t turn_us = leat_producer_turn_us(put->producer);
        struct leat_error err;

        if (leat_wait(-1, wake_us < turn_us ? wake_us : turn_us) == LEAT_WAITED_STOP ||
            !sent(put, leat_producer_poll(put->producer, &err), &err))
            return false;
    }
    return true;
}

static void
put_all(struct put *put)
{
    for (bool goes_on = true; goes_on && await_turn(put);) {
        struct leat_slice line;
        struct leat_error err;

        switch (leat_lines_next(&put->lines, leat_producer_wake_us(put->producer), &line, &err)) {
        case LEAT_LINE_READ:
            goes_on = put_line(put, line);
            break;
        case LEAT_LINE_TOO_LONG:
            refuse(put, "it is longer than a record may be");
            break;
        case LEAT_LINE_LATER:
            goes_on = sent(put, leat_producer_poll(put->producer, &err), &err);
            break;
        case LEAT_LINE_ERROR:
            put->code = leat_command_failed("put", &err);
            goes_on = false;
            break;
        case LEAT_LINE_END:
            put->is_complete = true;
            goes_on = false;
            break;
        case LEAT_LINE_STOP:
            goes_on = false;
            break;
        }
    }
}

static void
sum_up(const struct put *put)
{
    struct leat_producer_counts counts = leat_producer_counts(put->producer);
    double seconds = (double)(leat_clock_monotonic_us() - put->began_us) / LEAT_SECOND_US;

    fprintf(stderr,
            "leat put: %llu records put as %llu stream records, %llu bytes, %llu retries, "
            "%llu moved, %llu failed, %llu lines refused, in %.2f s (%.0f/s)\n",
            (unsigned long long)counts.user_records, (unsigned long long)counts.stream_records,
            (unsigned long long)counts.bytes, (unsigned long long)counts.retries,
            (unsigned long long)counts.moved, (unsigned long long)counts.failed,
            (unsigned long long)put->refused, seconds,
            seconds > 0 ? (double)counts.user_records / seconds : 0);
}

static int
put_stream(const struct put_arguments *arguments)
{
    struct put put = {.arguments = arguments, .began_us = leat_clock_monotonic_us()};
    struct leat_error err;

    if (leat_stop_setup(&err) < 0)
        return leat_command_failed("put", &err);
    put.producer = leat_producer_new(&arguments->producer, &err);
    if (put.producer == NULL)
        return leat_command_failed("put", &err);
    leat_lines_init(&put.lines, STDIN_FILENO, LEAT_PRODUCER_RECORD_BYTES);
    put_all(&put);
    sent(&put, leat_producer_flush(put.producer, &err), &err);
    if (!arguments->is_quiet)
        sum_up(&put);
    if (put.code == LEAT_EXIT_UNAVAILABLE && leat_producer_counts(put.producer).user_records > 0)
        put.code = LEAT_EXIT_FAILED; /* the same again would put the first ones twice */
    if (put.code == LEAT_EXIT_OK && put.refused > 0)
        put.code = LEAT_EXIT_FAILED;
    if (put.code == LEAT_EXIT_OK && !put.is_complete && leat_stop_code() != 0) {
        fputs("leat put: stopped before the end of the input\n", stderr);
        put.code = leat_stop_code();
    }
    leat_lines_release(&put.lines);
    leat_producer_free(put.producer);
    return put.code;
}

int
leat_command_put(int argc, char **argv)
{
    struct put_arguments arguments;
    int status = parse(argc, argv, &arguments);

    if (status == -1) {
        help();
        status = LEAT_EXIT_OK;
    } else if (status == LEAT_EXIT_OK) {
        status = leat_aws_options_open(&arguments.aws, "put");
        arguments.producer.aws = &arguments.aws.aws;
        arguments.aws.aws.is_stopped = leat_is_stopped_for_good;
        leat_setup_aws_credentials(&arguments.aws.aws, NULL);
        if (status == LEAT_EXIT_OK)
            status = put_stream(&arguments);
    }
    leat_aws_options_close(&arguments.aws);
    return status;
}
