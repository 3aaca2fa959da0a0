/* Answers to ListShards, ListStreams and DescribeStreamSummary, in both encodings: no list is told beyond its bounds. */
#include <stdint.h>

/* The readers of pages are nobody else's: the file is a part of this one. */
#include "lib/aws/kinesis.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
each_shard(void *context, const struct leat_kinesis_shard *shard)
{
    LEAT_ASSERT(shard->shard.size > 0 && shard->shard.size <= NAME_MAXIMUM_BYTES);
    LEAT_ASSERT(shard->parent.size <= NAME_MAXIMUM_BYTES);
    LEAT_ASSERT(shard->ending_sequence.size <= LEAT_KINESIS_SEQUENCE_BYTES);
    LEAT_ASSERT(shard->starting_hash_key.size <= LEAT_KINESIS_HASH_KEY_BYTES);
    return 0;
}

static int
each_stream(void *context, const struct leat_kinesis_summary *summary)
{
    LEAT_ASSERT(is_name(leat_slice_from(summary->name)));
    LEAT_ASSERT(strlen(summary->arn) <= LEAT_KINESIS_ARN_BYTES);
    return 0;
}

static void
read_all(struct json_object *root)
{
    struct shards shards = {.each = each_shard, .is_checked = true};
    struct streams streams = {each_stream, NULL, 0};
    struct leat_kinesis_summary summary = {0};
    struct page page = {.stream = "s"};
    struct leat_error err;
    bool is_last;

    leat_pages_begin(&page.pages, &page_limits, 0);
    /* Twice: the second page has the token of the first one. */
    for (int i = 0; i < 2; i++)
        (void)read_shards_page(root, &page, &shards, &is_last, &err);
    leat_pages_release(&page.pages);
    leat_pages_begin(&page.pages, &page_limits, 0);
    for (int i = 0; i < 2; i++)
        (void)read_streams_page(root, &page, &streams, &is_last, &err);
    leat_pages_release(&page.pages);
    if (read_description(leat_json_get(root, "StreamDescriptionSummary"), &summary, &err) == 0)
        LEAT_ASSERT(summary.arn[0] != '\0' && summary.open_shards >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    for (int encoding = 0; encoding < 2; encoding++) {
        unsigned char *bytes = leat_alloc(size + 1);
        struct json_object *root = NULL;

        if (size > 0)
            memcpy(bytes, data, size);
        if (leat_wire_parse(bytes, size, (enum leat_wire_encoding)encoding, &root, NULL, NULL) ==
            0) {
            read_all(root);
            json_object_put(root);
        }
        free(bytes);
    }
    return 0;
}
