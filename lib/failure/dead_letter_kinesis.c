/* One PutRecords of one record: failures are rare, and each must be acknowledged by name. */
#include <stdlib.h>

#include "aws/kinesis.h"
#include "base/memory.h"
#include "failure/dead_letter_stream.h"

struct kinesis_letters {
    struct leat_dead_letter_stream stream;
    struct leat_kinesis *kinesis;
    char *name;
};

static int
put(struct leat_dead_letter_stream *stream, struct leat_slice partition_key,
    struct leat_slice envelope, struct leat_buf *ret_position, struct leat_error *err)
{
    struct kinesis_letters *letters = (struct kinesis_letters *)stream;
    struct leat_kinesis_put record = {.data = envelope, .partition_key = partition_key};
    int status;

    if (partition_key.size == 0)
        record.partition_key = leat_slice_from("-");
    status = leat_kinesis_put_records(letters->kinesis, letters->name, &record, 1, err);
    if (status == 0)
        leat_buf_printf(ret_position, "%s:%s", record.shard, record.sequence);
    return status;
}

static void
letters_close(struct leat_dead_letter_stream *stream)
{
    struct kinesis_letters *letters = (struct kinesis_letters *)stream;

    leat_kinesis_free(letters->kinesis);
    free(letters->name);
    free(letters);
}

static const struct leat_dead_letter_ops kinesis_ops = {put, letters_close};

int
leat_dead_letter_kinesis_open(const char *stream, const struct leat_aws *aws,
                              struct leat_dead_letter_stream **ret_stream, struct leat_error *err)
{
    struct leat_kinesis *kinesis = leat_kinesis_new(aws, LEAT_KINESIS_AUTO, err);
    struct kinesis_letters *letters;

    if (kinesis == NULL)
        return err->code;
    letters = LEAT_NEW(struct kinesis_letters);
    letters->stream.ops = &kinesis_ops;
    letters->kinesis = kinesis;
    letters->name = leat_strdup(stream);
    *ret_stream = &letters->stream;
    return 0;
}

void
leat_dead_letter_stream_close(struct leat_dead_letter_stream *stream)
{
    if (stream != NULL)
        stream->ops->close(stream);
}
