/*
 * A file as a stream: each line that is not empty is one record, in order, wherever the pieces are cut; and the array of a
 * piece's records stays within what was reserved.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "aws/http.h"
#include "base/clock.h"
#include "base/memory.h"
#include "stream/file_source.h"

#define RESERVATION 4096

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct reading {
    struct leat_slice rest; /* of the file: what has not been told yet */
    size_t needed_bytes;
    bool is_done;
};

/* The next line that is not empty, taken off the rest. */
static struct leat_slice
next_line(struct leat_slice *rest)
{
    while (rest->size > 0) {
        const unsigned char *feed = memchr(rest->data, '\n', rest->size);
        size_t length = feed != NULL ? (size_t)(feed - rest->data) : rest->size;
        struct leat_slice line = leat_slice_make(rest->data, length);

        length += feed != NULL;
        *rest = leat_slice_make(rest->data + length, rest->size - length);
        if (line.size > 0 && line.data[line.size - 1] == '\r')
            line.size--;
        if (line.size > 0)
            return line;
    }
    return leat_slice_make("", 0);
}

static void
done(void *context, const struct leat_read_result *result)
{
    struct reading *reading = context;
    struct leat_chunk *chunk = result->chunk;

    if (result->outcome != LEAT_READ_OK) {
        LEAT_ASSERT(result->outcome == LEAT_READ_TOO_LARGE && result->needed_bytes > RESERVATION);
        reading->needed_bytes = result->needed_bytes;
        return;
    }
    LEAT_ASSERT(chunk->held_bytes <=
                (reading->needed_bytes > RESERVATION ? reading->needed_bytes : RESERVATION) +
                    16 * 84);
    reading->needed_bytes = 0;
    for (size_t i = 0; i < chunk->count; i++)
        LEAT_ASSERT(leat_slice_equals(chunk->records[i].data, next_line(&reading->rest)));
    reading->is_done = chunk->is_shard_end;
    leat_chunk_unref(chunk);
}

static void
read_all(struct leat_event_loop *loop, struct leat_source *source, struct reading *reading)
{
    struct leat_position start = {.kind = LEAT_POSITION_TRIM_HORIZON, .sub_sequence = -1};
    struct leat_reader *reader =
        source->ops->reader_open(source, loop, leat_slice_from(LEAT_FILE_SHARD), &start);

    while (!reading->is_done) {
        size_t bytes = reading->needed_bytes > RESERVATION ? reading->needed_bytes : RESERVATION;

        source->ops->read(reader, bytes, done, reading);
        leat_event_loop_run_once(loop, 0);
    }
    source->ops->reader_close(reader);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct leat_event_loop *loop;
    static int file = -1;
    static char path[64];
    struct reading reading = {.rest = leat_slice_make(data, size)};
    struct leat_source *source;
    struct leat_error err;

    if (file < 0) {
        snprintf(path, sizeof path, "/tmp/leat-fuzz-XXXXXX");
        file = mkstemp(path);
        loop = leat_event_loop_new(NULL, &err);
        LEAT_ASSERT(file >= 0 && loop != NULL);
    }
    LEAT_ASSERT(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    LEAT_ASSERT(leat_file_source_open("f", path, false, &source, &err) == 0);
    read_all(loop, source, &reading);
    LEAT_ASSERT(next_line(&reading.rest).size == 0);
    leat_source_unref(source);
    return 0;
}
