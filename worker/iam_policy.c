/*
 * Statements of a policy: who may do what, to which streams and letters. A name is an ARN of the region and account; a pattern is one,
 * too: IAM reads `*` and `?` as leat does. What is listed is listed for the whole account: Kinesis has no smaller right to it.
 */
#include "worker/iam_policy.h"

#include <stdlib.h>

#include "aws/partition.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "failure/archive.h"
#include "stream/spec.h"
#include "worker/matches.h"

struct names {
    char **names;
    size_t count, capacity;
};

/* Once each, in the order in which they came. */
static void
names_add(struct names *names, struct leat_buf *name)
{
    for (size_t i = 0; i < names->count; i++) {
        if (strcmp(names->names[i], leat_buf_text(name)) == 0)
            return;
    }
    LEAT_GROW(names->names, names->count, names->capacity);
    names->names[names->count++] = leat_strdup(leat_buf_text(name));
}

static void
names_release(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->names[i]);
    free(names->names);
    *names = (struct names){0};
}

struct policy {
    const struct leat_config *config;
    const struct leat_iam_place *place;
    const char *partition;
    struct names streams, dead_letters, letters, buckets;
    struct leat_buf *out;
    size_t statement_count;
};

/* ---- resources ------------------------------------------------------------------------------- */

static void
add_stream(const struct policy *policy, const char *spec, struct names *ret_names)
{
    LEAT_AUTO_BUF arn = LEAT_BUF_INIT;

    if (strncmp(spec, "arn:", 4) == 0)
        leat_buf_add_text(&arn, spec);
    else
        leat_buf_printf(&arn, "arn:%s:kinesis:%s:%s:stream/%s", policy->partition,
                        policy->place->region,
                        policy->place->account != NULL ? policy->place->account : "*", spec);
    names_add(ret_names, &arn);
}

/* IAM reads * and ? as patterns and ${ as a variable; this text means itself. */
static void
add_literal(struct leat_buf *arn, struct leat_slice text)
{
    for (size_t i = 0; i < text.size; i++) {
        if (strchr("*?$", text.data[i]) != NULL && text.data[i] != '\0')
            leat_buf_printf(arn, "${%c}", text.data[i]);
        else
            leat_buf_add_byte(arn, text.data[i]);
    }
}

/* Letters lie in BUCKET/PREFIX/APPLICATION/STREAM/…: those of other applications are none of this one's. */
static void
add_archive(struct policy *policy)
{
    const char *url = policy->config->archive_url;
    const char *bucket, *prefix;
    LEAT_AUTO_BUF arn = LEAT_BUF_INIT;
    LEAT_AUTO_BUF name = LEAT_BUF_INIT;
    size_t size;

    if (url == NULL || strncmp(url, "s3://", 5) != 0)
        return;
    bucket = url + 5;
    size = strcspn(bucket, "/");
    prefix = bucket + size + (bucket[size] == '/');
    leat_buf_printf(&arn, "arn:%s:s3:::%.*s", policy->partition, (int)size, bucket);
    names_add(&policy->buckets, &arn);
    leat_buf_add_byte(&arn, '/');
    size = strcspn(prefix, "{");
    add_literal(&arn, leat_slice_make(prefix, size));
    if (size > 0 && prefix[size - 1] != '/')
        leat_buf_add_byte(&arn, '/');
    leat_archive_name(leat_slice_from(policy->config->application), leat_slice_from("s"), "", "",
                      &name);
    leat_buf_printf(&arn, "%.*s/*", (int)strcspn(leat_buf_text(&name), "/"), leat_buf_text(&name));
    names_add(&policy->letters, &arn);
}

static void
collect(struct policy *policy)
{
    const struct leat_config *config = policy->config;

    for (size_t i = 0; i < config->stream_count; i++) {
        if (config->streams[i].file == NULL)
            add_stream(policy, config->streams[i].name, &policy->streams);
    }
    if (config->dead_letter_stream != NULL)
        add_stream(policy, config->dead_letter_stream, &policy->dead_letters);
    add_archive(policy);
}

/* ---- statements ------------------------------------------------------------------------------ */

static void
add_list(struct leat_buf *out, const char *key, const char *const *texts, size_t count)
{
    leat_buf_printf(out, ",\n      \"%s\": [", key);
    for (size_t i = 0; i < count; i++) {
        leat_buf_printf(out, "%s\n        \"", i > 0 ? "," : "");
        leat_json_escape(out, leat_slice_from(texts[i]));
        leat_buf_add_byte(out, '"');
    }
    leat_buf_add_text(out, "\n      ]");
}

/* Without a resource there is nothing to allow. actions end with NULL. */
static void
allow(struct policy *policy, const char *sid, const char *const *actions,
      const struct names *resources)
{
    size_t count = 0;

    if (resources->count == 0)
        return;
    while (actions[count] != NULL)
        count++;
    leat_buf_printf(policy->out, "%s\n    {\n      \"Sid\": \"%s\",\n      \"Effect\": \"Allow\"",
                    policy->statement_count++ > 0 ? "," : "", sid);
    add_list(policy->out, "Action", actions, count);
    add_list(policy->out, "Resource", (const char *const *)resources->names, resources->count);
    leat_buf_add_text(policy->out, "\n    }");
}

static void
allow_everywhere(struct policy *policy, const char *sid, const char *const *actions)
{
    char all[] = "*", *names[] = {all};

    allow(policy, sid, actions, &(struct names){names, 1, 1});
}

static const char *const reading[] = {"kinesis:DescribeStreamSummary", "kinesis:ListShards",
                                      "kinesis:GetShardIterator", "kinesis:GetRecords", NULL};
static const char *const listing[] = {"kinesis:ListStreams", NULL};
static const char *const putting[] = {"kinesis:ListShards", "kinesis:PutRecords", NULL};
static const char *const changing[] = {"kinesis:CreateStream", "kinesis:DeleteStream",
                                       "kinesis:SplitShard", "kinesis:MergeShards", NULL};
static const char *const diverting[] = {"kinesis:PutRecords", NULL};
static const char *const storing[] = {"s3:PutObject", NULL};
static const char *const fetching[] = {"s3:GetObject", NULL};
static const char *const looking[] = {"s3:ListBucket", NULL}; /* HeadBucket asks for it, too */

static void
allow_worker(struct policy *policy)
{
    if (leat_has_patterns(policy->config))
        allow_everywhere(policy, "FindStreams", listing);
    allow(policy, "ReadStreams", reading, &policy->streams);
    allow(policy, "PutDeadLetters", diverting, &policy->dead_letters);
    allow(policy, "StoreLetters", storing, &policy->letters);
}

static void
allow_operator(struct policy *policy)
{
    struct names streams = {0};

    for (size_t i = 0; i < policy->streams.count + policy->dead_letters.count; i++) {
        LEAT_AUTO_BUF name = LEAT_BUF_INIT;

        leat_buf_add_text(&name, i < policy->streams.count
                                     ? policy->streams.names[i]
                                     : policy->dead_letters.names[i - policy->streams.count]);
        names_add(&streams, &name);
    }
    if (streams.count > 0)
        allow_everywhere(policy, "FindStreams", listing);
    allow(policy, "ReadStreams", reading, &streams);
    allow(policy, "ChangeStreams", changing, &streams);
    allow(policy, "FetchLetters", fetching, &policy->letters);
    allow(policy, "LookAtArchive", looking, &policy->buckets);
    names_release(&streams);
}

bool
leat_iam_policy(const struct leat_config *config, enum leat_iam_role role,
                const struct leat_iam_place *place, struct leat_buf *out)
{
    struct policy policy = {.config = config,
                            .place = place,
                            .partition = leat_partition_of(place->region)->name,
                            .out = out};

    collect(&policy);
    leat_buf_add_text(out, "{\n  \"Version\": \"2012-10-17\",\n  \"Statement\": [");
    if (role == LEAT_IAM_WORKER)
        allow_worker(&policy);
    else if (role == LEAT_IAM_PUT)
        allow(&policy, "PutRecords", putting, &policy.streams);
    else
        allow_operator(&policy);
    leat_buf_add_text(out, "\n  ]\n}\n");
    names_release(&policy.streams);
    names_release(&policy.dead_letters);
    names_release(&policy.letters);
    names_release(&policy.buckets);
    return policy.statement_count > 0;
}
