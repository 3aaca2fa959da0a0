/* `leat streams`: makes, shows, reshards and deletes streams; each change waits until the service is done with it. */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/units.h"
#include "stream/shard.h"
#include "worker/aws_options.h"
#include "worker/command.h"
#include "worker/shard_name.h"
#include "worker/table.h"
#include "worker/wait.h"

#define DEFAULT_WAIT_US (120 * LEAT_SECOND_US)
#define LOOK_US                                                                                    \
    (250 * LEAT_MS_US) /* DescribeStreamSummary allows 20 a second, for all of an account */
#define MAXIMUM_SHARDS 100000

struct streams_arguments {
    struct leat_aws_options aws;
    enum leat_output output;
    const char *at;
    int64_t shards, wait_us;
    bool is_sure, is_brief;
    int count; /* of operands */
    char **operands;
    struct leat_kinesis *kinesis;
};

struct action {
    const char *name, *usage;
    int least, most; /* operands */
    int (*run)(struct streams_arguments *arguments, struct leat_error *err);
};

static void
help(void)
{
    fputs("leat streams: streams and their shards\n\n"
          "  leat streams create observations --shards 4\n"
          "  leat streams ls\n"
          "  leat streams show observations -o json\n"
          "  leat streams split observations 0\n"
          "  leat streams merge observations 1 2\n"
          "  leat streams delete observations --yes\n\n"
          "Shards are named by their id; 7 is shardId-000000000007.\n\n"
          "  --shards N       create: how many (default: 1)\n"
          "  --at HASH        split: the hash key at which the second child starts (default: the "
          "middle)\n"
          "  --yes            delete: yes, with all its records\n"
          "  -q               ls: names alone; create, split, merge, delete: say nothing\n"
          "  --wait TIME      how long to wait until the stream is as it shall be (default: 2m;\n"
          "                   0: not at all)\n" LEAT_AWS_HELP LEAT_OUTPUT_HELP,
          stdout);
}

/* ---- waiting ------------------------------------------------------------------------------- */

/* Is the stream as it shall be? status NULL: gone. */
static int
look(struct leat_kinesis *kinesis, const char *stream, const char *status, bool *ret_is_done,
     struct leat_error *err)
{
    struct leat_kinesis_summary summary;
    int result = leat_kinesis_describe_stream_summary(kinesis, stream, &summary, err);

    if (result == LEAT_E_NOT_FOUND && status == NULL) {
        *ret_is_done = true;
        return 0;
    }
    if (result == 0)
        *ret_is_done = status != NULL && strcmp(summary.status, status) == 0;
    return result;
}

static int
wait_for(const struct streams_arguments *arguments, const char *stream, const char *status,
         struct leat_error *err)
{
    int64_t deadline_us = leat_clock_monotonic_us() + arguments->wait_us;
    bool is_done = arguments->wait_us == 0;

    while (!is_done) {
        int64_t now_us = leat_clock_monotonic_us();
        int result = look(arguments->kinesis, stream, status, &is_done, err);

        if (result < 0 || is_done)
            return result;
        if (now_us >= deadline_us)
            return leat_error_set(err, LEAT_E_TIMEOUT,
                                  "stream \"%s\" is not %s yet: the change was asked for and goes "
                                  "on; see leat streams ls",
                                  stream, status != NULL ? status : "gone");
        (void)leat_wait(-1, now_us + LOOK_US < deadline_us ? now_us + LOOK_US : deadline_us);
    }
    return 0;
}

/* ---- saying what was done ------------------------------------------------------------------- */

static int show(struct streams_arguments *arguments, struct leat_error *err);
static int add_shard(void *context, const struct leat_kinesis_shard *shard);

/* "is split into "…2", "…3"": the children of the shard that was resharded. */
static int
say_children(struct streams_arguments *arguments, const char *done, const char *parent,
             struct leat_error *err)
{
    struct leat_shard_list list;
    const char *before = "";
    int status;

    leat_shard_list_init(&list);
    status =
        leat_kinesis_list_shards(arguments->kinesis, arguments->operands[0], add_shard, &list, err);
    if (status == 0)
        printf("stream \"%s\": %s ", arguments->operands[0], done);
    for (size_t i = 0; status == 0 && i < list.count; i++) {
        for (size_t j = 0; j < list.shards[i].parent_count; j++) {
            if (!leat_slice_is(list.shards[i].parents[j], parent))
                continue;
            leat_print(stdout, "%s%.*s", before, (int)list.shards[i].shard.size,
                       list.shards[i].shard.data);
            before = ", ";
        }
    }
    if (status == 0)
        puts("");
    leat_shard_list_release(&list);
    return status;
}

/* The change is done, or (--wait 0) asked for. parent NULL: no reshard. */
static int
say_done(struct streams_arguments *arguments, const char *done, const char *parent,
         struct leat_error *err)
{
    struct leat_kinesis_summary summary;
    int status;

    if (arguments->output == LEAT_OUTPUT_JSON)
        return show(arguments, err);
    if (arguments->is_brief)
        return 0;
    if (arguments->wait_us == 0) {
        printf("stream \"%s\": asked for, not waited for; see leat streams show %s\n",
               arguments->operands[0], arguments->operands[0]);
        return 0;
    }
    if (parent != NULL)
        return say_children(arguments, done, parent, err);
    status = leat_kinesis_describe_stream_summary(arguments->kinesis, arguments->operands[0],
                                                  &summary, err);
    if (status == 0)
        printf("stream \"%s\": %s, %s, %d open shard%s\n", arguments->operands[0], done,
               summary.status, summary.open_shards, summary.open_shards == 1 ? "" : "s");
    return status;
}

static void
say_deleted(const struct streams_arguments *arguments)
{
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    const char *state = arguments->wait_us == 0 ? "DELETING" : "DELETED";
    struct leat_json json;

    if (arguments->output == LEAT_OUTPUT_JSON) {
        leat_json_begin(&json, &line);
        leat_json_object(&json, NULL);
        leat_json_text(&json, "name", arguments->operands[0]);
        leat_json_text(&json, "status", state);
        leat_json_object_end(&json);
        puts(leat_buf_text(&line));
    } else if (!arguments->is_brief) {
        printf("stream \"%s\": %s\n", arguments->operands[0], state);
    }
}

/* ---- actions ------------------------------------------------------------------------------- */

static int
create(struct streams_arguments *arguments, struct leat_error *err)
{
    const char *stream = arguments->operands[0];
    int status =
        leat_kinesis_create_stream(arguments->kinesis, stream, (unsigned)arguments->shards, err);

    if (status == 0)
        status = wait_for(arguments, stream, "ACTIVE", err);
    return status < 0 ? status : say_done(arguments, "created", NULL, err);
}

static int
delete_stream(struct streams_arguments *arguments, struct leat_error *err)
{
    const char *stream = arguments->operands[0];
    int status = leat_kinesis_delete_stream(arguments->kinesis, stream, err);

    if (status == 0)
        status = wait_for(arguments, stream, NULL, err);
    if (status == 0)
        say_deleted(arguments);
    return status;
}

static int
add_shard(void *context, const struct leat_kinesis_shard *shard)
{
    struct leat_shard_list *list = context;
    struct leat_shard_facts facts = {
        .shard = shard->shard,
        .starting_hash_key = shard->starting_hash_key,
        .ending_hash_key = shard->ending_hash_key,
        .starting_sequence = shard->starting_sequence,
        .is_closed = shard->ending_sequence.size > 0,
    };

    if (shard->parent.size > 0)
        facts.parents[facts.parent_count++] = shard->parent;
    if (shard->adjacent_parent.size > 0)
        facts.parents[facts.parent_count++] = shard->adjacent_parent;
    if (leat_shard_list_find(list, shard->shard) == NULL)
        leat_shard_list_add(list, &facts);
    return 0;
}

/* The key at which the upper half starts. */
static int
middle_of(const struct streams_arguments *arguments, const char *stream, const char *shard,
          struct leat_buf *ret_key, struct leat_error *err)
{
    struct leat_hash_key start = {0}, end = {0};
    const struct leat_shard_facts *facts;
    struct leat_shard_list list;
    unsigned __int128 low, high, middle;
    int status;

    leat_shard_list_init(&list);
    status = leat_kinesis_list_shards(arguments->kinesis, stream, add_shard, &list, err);
    facts = leat_shard_list_find(&list, leat_slice_from(shard));
    if (status == 0 && facts == NULL)
        status = leat_error_set(err, LEAT_E_NOT_FOUND, "stream \"%s\" has no shard \"%s\"", stream,
                                shard);
    else if (status == 0 && (!leat_hash_key_parse(facts->starting_hash_key, &start) ||
                             !leat_hash_key_parse(facts->ending_hash_key, &end)))
        status = leat_error_set(err, LEAT_E_FORMAT, "shard \"%s\" tells no hash range", shard);
    leat_shard_list_release(&list);
    if (status < 0)
        return status;
    low = (unsigned __int128)start.high << 64 | start.low;
    high = (unsigned __int128)end.high << 64 | end.low;
    if (high <= low)
        return leat_error_set(err, LEAT_E_INVALID,
                              "shard \"%s\" has one hash key alone: it cannot be split", shard);
    middle = low + (high - low) / 2 + 1;
    leat_hash_key_format((struct leat_hash_key){(uint64_t)(middle >> 64), (uint64_t)middle},
                         ret_key);
    return 0;
}

static int
split(struct streams_arguments *arguments, struct leat_error *err)
{
    const char *stream = arguments->operands[0];
    char name[LEAT_SHARD_NAME_BYTES];
    const char *shard = leat_shard_name(arguments->operands[1], name);
    LEAT_AUTO_BUF at = LEAT_BUF_INIT;
    int status = 0;

    if (arguments->at != NULL)
        leat_buf_add_text(&at, arguments->at);
    else
        status = middle_of(arguments, stream, shard, &at, err);
    if (status == 0)
        status =
            leat_kinesis_split_shard(arguments->kinesis, stream, shard, leat_buf_text(&at), err);
    if (status == 0)
        status = wait_for(arguments, stream, "ACTIVE", err);
    return status < 0 ? status : say_done(arguments, "split into", shard, err);
}

static int
merge(struct streams_arguments *arguments, struct leat_error *err)
{
    const char *stream = arguments->operands[0];
    char first[LEAT_SHARD_NAME_BYTES], second[LEAT_SHARD_NAME_BYTES];
    const char *parent = leat_shard_name(arguments->operands[1], first);
    int status = leat_kinesis_merge_shards(arguments->kinesis, stream, parent,
                                           leat_shard_name(arguments->operands[2], second), err);

    if (status == 0)
        status = wait_for(arguments, stream, "ACTIVE", err);
    return status < 0 ? status : say_done(arguments, "merged into", parent, err);
}

/* ---- showing ------------------------------------------------------------------------------- */

struct names {
    struct leat_arena arena;
    const char **names;
    size_t count, capacity;
};

static int
add_name(void *context, struct leat_slice name)
{
    struct names *names = context;

    LEAT_GROW(names->names, names->count, names->capacity);
    names->names[names->count++] = (const char *)leat_arena_copy(&names->arena, name).data;
    return 0;
}

static void
add_created(struct leat_sheet *sheet, int64_t created_us)
{
    LEAT_AUTO_BUF text = LEAT_BUF_INIT;

    leat_format_time(&text, created_us);
    leat_sheet_text(sheet, leat_buf_text(&text));
}

static const struct leat_sheet_column stream_columns[] = {
    {"name"},
    {"status"},
    {"open_shards", LEAT_CELL_RAW},
    {"retention_hours", LEAT_CELL_RAW},
    {"created"},
    {"arn", LEAT_CELL_TEXT, true},
};

static int
list_details(struct streams_arguments *arguments, const struct names *names, struct leat_error *err)
{
    struct leat_sheet sheet;
    int status = 0, finished;

    leat_sheet_init(&sheet, arguments->output, stream_columns, LEAT_COUNT_OF(stream_columns),
                    stdout);
    for (size_t i = 0; status == 0 && i < names->count; i++) {
        struct leat_kinesis_summary summary;

        status = leat_kinesis_describe_stream_summary(arguments->kinesis, names->names[i], &summary,
                                                      err);
        if (status == LEAT_E_NOT_FOUND) { /* deleted since it was listed */
            status = 0;
            continue;
        }
        if (status < 0)
            break;
        leat_sheet_text(&sheet, summary.name);
        leat_sheet_text(&sheet, summary.status);
        leat_sheet_integer(&sheet, summary.open_shards);
        leat_sheet_integer(&sheet, summary.retention_hours);
        add_created(&sheet, summary.created_us);
        leat_sheet_text(&sheet, summary.arn);
    }
    finished = leat_sheet_finish(&sheet, status == 0 ? err : NULL);
    return status < 0 ? status : finished;
}

static int
list_names(struct streams_arguments *arguments, const struct names *names, struct leat_error *err)
{
    struct leat_sheet sheet;

    /* For a loop of a shell: a heading would be one more stream. */
    for (size_t i = 0; i < names->count && arguments->output != LEAT_OUTPUT_JSON; i++)
        leat_print(stdout, "%s\n", names->names[i]);
    if (arguments->output != LEAT_OUTPUT_JSON)
        return 0;
    leat_sheet_init(&sheet, arguments->output, stream_columns, 1, stdout);
    for (size_t i = 0; i < names->count; i++)
        leat_sheet_text(&sheet, names->names[i]);
    return leat_sheet_finish(&sheet, err);
}

static int
list_streams(struct streams_arguments *arguments, struct leat_error *err)
{
    struct names names = {0};
    int status;

    leat_arena_init(&names.arena);
    status = leat_kinesis_list_streams(arguments->kinesis, add_name, &names, err);
    if (status == 0)
        status = arguments->is_brief ? list_names(arguments, &names, err)
                                     : list_details(arguments, &names, err);
    free(names.names);
    leat_arena_release(&names.arena);
    return status;
}

static void
shards_json(const struct leat_kinesis_summary *summary, const struct leat_shard_list *list,
            struct leat_buf *line)
{
    LEAT_AUTO_BUF created = LEAT_BUF_INIT;
    struct leat_json json;

    leat_format_time(&created, summary->created_us);
    leat_json_begin(&json, line);
    leat_json_object(&json, NULL);
    leat_json_text(&json, "name", summary->name);
    leat_json_text(&json, "arn", summary->arn);
    leat_json_text(&json, "status", summary->status);
    leat_json_integer(&json, "open_shards", summary->open_shards);
    leat_json_integer(&json, "retention_hours", summary->retention_hours);
    leat_json_text(&json, "created", leat_buf_text(&created));
    leat_json_array(&json, "shards");
    for (size_t i = 0; i < list->count; i++) {
        const struct leat_shard_facts *shard = &list->shards[i];

        leat_json_object(&json, NULL);
        leat_json_slice(&json, "shard", shard->shard);
        leat_json_text(&json, "state", shard->is_closed ? "closed" : "open");
        leat_json_array(&json, "parents");
        for (size_t j = 0; j < shard->parent_count; j++)
            leat_json_slice(&json, NULL, shard->parents[j]);
        leat_json_array_end(&json);
        leat_json_slice(&json, "starting_hash_key", shard->starting_hash_key);
        leat_json_slice(&json, "ending_hash_key", shard->ending_hash_key);
        leat_json_slice(&json, "starting_sequence", shard->starting_sequence);
        leat_json_object_end(&json);
    }
    leat_json_array_end(&json);
    leat_json_object_end(&json);
    leat_buf_add_byte(line, '\n');
}

static int
shards_table(const struct leat_kinesis_summary *summary, const struct leat_shard_list *list,
             struct leat_error *err)
{
    static const struct leat_sheet_column columns[] = {
        {"shard"}, {"state"}, {"parents"}, {"starting_hash_key"}, {"ending_hash_key"}};
    struct leat_sheet sheet;

    leat_print(stdout, "%s: %s, %d open shards, kept for %d hours\n%s\n\n", summary->name,
               summary->status, summary->open_shards, summary->retention_hours, summary->arn);
    leat_sheet_init(&sheet, LEAT_OUTPUT_TABLE, columns, LEAT_COUNT_OF(columns), stdout);
    for (size_t i = 0; i < list->count; i++) {
        const struct leat_shard_facts *shard = &list->shards[i];
        LEAT_AUTO_BUF parents = LEAT_BUF_INIT;

        for (size_t j = 0; j < shard->parent_count; j++) {
            leat_buf_add_text(&parents, j > 0 ? " " : "");
            leat_buf_add_slice(&parents, shard->parents[j]);
        }
        leat_sheet_cell(&sheet, &shard->shard);
        leat_sheet_text(&sheet, shard->is_closed ? "closed" : "open");
        leat_sheet_text(&sheet, leat_buf_text(&parents));
        leat_sheet_cell(&sheet, &shard->starting_hash_key);
        leat_sheet_cell(&sheet, &shard->ending_hash_key);
    }
    return leat_sheet_finish(&sheet, err);
}

static int
show(struct streams_arguments *arguments, struct leat_error *err)
{
    const char *stream = arguments->operands[0];
    struct leat_kinesis_summary summary;
    LEAT_AUTO_BUF line = LEAT_BUF_INIT;
    struct leat_shard_list list;
    int status = leat_kinesis_describe_stream_summary(arguments->kinesis, stream, &summary, err);

    leat_shard_list_init(&list);
    if (status == 0)
        status = leat_kinesis_list_shards(arguments->kinesis, stream, add_shard, &list, err);
    if (status == 0 && arguments->output == LEAT_OUTPUT_JSON) {
        shards_json(&summary, &list, &line);
        fwrite(line.data, 1, line.size, stdout);
    } else if (status == 0) {
        status = shards_table(&summary, &list, err);
    }
    leat_shard_list_release(&list);
    return status;
}

/* ---- the command --------------------------------------------------------------------------- */

static const struct action actions[] = {
    {"create", "create NAME [--shards N]", 1, 1, create},
    {"ls", "ls", 0, 0, list_streams},
    {"show", "show NAME", 1, 1, show},
    {"split", "split NAME SHARD [--at HASH]", 2, 2, split},
    {"merge", "merge NAME SHARD SHARD", 3, 3, merge},
    {"delete", "delete NAME --yes", 1, 1, delete_stream},
};

static int
parse_shards(const char *text, int64_t *ret_shards)
{
    struct leat_error err;

    if (leat_parse_integer(leat_slice_from(text), ret_shards, &err) == 0 && *ret_shards > 0 &&
        *ret_shards <= MAXIMUM_SHARDS)
        return 0;
    fprintf(stderr, "leat streams: --shards wants a number from 1 to %d, not \"%s\"\n",
            MAXIMUM_SHARDS, text);
    return LEAT_EXIT_USAGE;
}

static int
parse_wait(const char *text, int64_t *ret_us)
{
    struct leat_error err;

    if (leat_parse_duration(leat_slice_from(text), ret_us, &err) == 0)
        return 0;
    fprintf(stderr, "leat streams: --wait wants a time, as 30s, not \"%s\"\n", text);
    return LEAT_EXIT_USAGE;
}

static int
parse_at(const char *text, const char **ret_at)
{
    struct leat_hash_key key;

    *ret_at = text;
    if (leat_hash_key_parse(leat_slice_from(text), &key))
        return 0;
    fprintf(stderr, "leat streams: --at wants a hash key from 1 to 2^128 - 1, not \"%s\"\n", text);
    return LEAT_EXIT_USAGE;
}

/* 0, an exit code, or -1 when help was asked for. */
static int
parse_option(int letter, struct streams_arguments *arguments)
{
    switch (letter) {
    case 's':
        return parse_shards(optarg, &arguments->shards);
    case 'a':
        return parse_at(optarg, &arguments->at);
    case 'w':
        return parse_wait(optarg, &arguments->wait_us);
    case 'y':
        arguments->is_sure = true;
        return 0;
    case 'q':
        arguments->is_brief = true;
        return 0;
    case 'o':
        return leat_output_parse("streams", optarg, &arguments->output) ? 0 : LEAT_EXIT_USAGE;
    case 'h':
        return -1;
    default:
        return leat_aws_options_take(&arguments->aws, letter, optarg) ? 0 : LEAT_EXIT_USAGE;
    }
}

static int
parse(int argc, char **argv, struct streams_arguments *arguments)
{
    static const struct option options[] = {
        {"shards", required_argument, NULL, 's'},
        {"at", required_argument, NULL, 'a'},
        {"wait", required_argument, NULL, 'w'},
        {"yes", no_argument, NULL, 'y'},
        {"quiet", no_argument, NULL, 'q'},
        {"output", required_argument, NULL, 'o'},
        {"help", no_argument, NULL, 'h'},
        LEAT_AWS_LONG_OPTIONS,
        {NULL, 0, NULL, 0},
    };
    int letter, status;

    *arguments = (struct streams_arguments){.shards = 1, .wait_us = DEFAULT_WAIT_US};
    while ((letter = getopt_long(argc, argv, LEAT_AWS_LETTERS "qo:h", options, NULL)) != -1) {
        if ((status = parse_option(letter, arguments)) != 0)
            return status;
    }
    arguments->count = argc - optind - 1;
    arguments->operands = argv + optind + 1;
    return 0;
}

/* NULL: said what is wrong. */
static const struct action *
find_action(const struct streams_arguments *arguments, const char *name)
{
    const char *names[LEAT_COUNT_OF(actions) + 1] = {0};
    const char *nearest;

    for (size_t i = 0; i < LEAT_COUNT_OF(actions); i++) {
        names[i] = actions[i].name;
        if (strcmp(actions[i].name, name) != 0)
            continue;
        if (arguments->count >= actions[i].least && arguments->count <= actions[i].most)
            return &actions[i];
        fprintf(stderr, "leat streams: usage: leat streams %s\n", actions[i].usage);
        return NULL;
    }
    nearest = leat_did_you_mean(name, names);
    fprintf(stderr, "leat streams: there is no action \"%s\"%s%s%s; see leat streams --help\n",
            name, nearest != NULL ? ", did you mean \"" : "", nearest != NULL ? nearest : "",
            nearest != NULL ? "\"?" : "");
    return NULL;
}

static int
act(struct streams_arguments *arguments, const struct action *action)
{
    int code = leat_aws_options_open(&arguments->aws, "streams"), status;
    struct leat_error err;

    if (code != LEAT_EXIT_OK)
        return code;
    arguments->kinesis = leat_kinesis_new(&arguments->aws.aws, LEAT_KINESIS_AUTO, &err);
    status = arguments->kinesis == NULL ? err.code : action->run(arguments, &err);
    leat_kinesis_free(arguments->kinesis);
    return status < 0 ? leat_command_failed("streams", &err) : LEAT_EXIT_OK;
}

static int
run(struct streams_arguments *arguments)
{
    const struct action *action;

    if (arguments->count < 0) {
        fputs("leat streams: say create, ls, show, split, merge or delete; see leat streams "
              "--help\n",
              stderr);
        return LEAT_EXIT_USAGE;
    }
    action = find_action(arguments, arguments->operands[-1]);
    if (action == NULL)
        return LEAT_EXIT_USAGE;
    if (action->run == delete_stream && !arguments->is_sure) {
        fprintf(stderr,
                "leat streams: stream \"%s\" would be deleted with all its records: say --yes\n",
                arguments->operands[0]);
        return LEAT_EXIT_USAGE;
    }
    return act(arguments, action);
}

int
leat_command_streams(int argc, char **argv)
{
    struct streams_arguments arguments;
    int status = parse(argc, argv, &arguments);

    if (status == -1) {
        help();
        status = LEAT_EXIT_OK;
    } else if (status == LEAT_EXIT_OK) {
        status = run(&arguments);
    }
    leat_aws_options_close(&arguments.aws);
    return status;
}
