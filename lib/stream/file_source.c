/*
 * Reads a file in pieces of whole lines. The answer is made at once (a local file) and told by a timer of the loop, so that
 * `done` never comes from inside `read`. Owned by the fetch thread but for open, describe and list_shards.
 */
#include "stream/file_source.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "aws/http.h"
#include "base/clock.h"
#include "base/memory.h"
#include "base/units.h"

#define PIECE_BYTES ((size_t)512 << 10)
#define MAXIMUM_LINES 10000
#define MINIMUM_LINES 16 /* also where a long line takes all that was reserved */
#define RETRY_US (1 * LEAT_SECOND_US)

struct file_source {
    struct leat_source source;
    char *path;
    bool follow;
    ino_t inode;
};

struct leat_reader {
    struct file_source *source;
    struct leat_event_loop *loop;
    struct leat_loop_timer *timer; /* of an answer that waits to be told */
    int fd;
    int64_t offset;  /* of the next line, or of the one to skip */
    bool skips_line; /* the line at offset is done */
    bool is_at_end;  /* SHARD_END was the position */
    struct leat_read_result result;
    leat_read_done_fn done;
    void *context;
};

struct file_chunk {
    struct leat_chunk chunk;
    unsigned char *bytes;
    size_t mapped_bytes;
    char *numbers; /* the sequence numbers' texts */
};

static void
chunk_release(struct leat_chunk *chunk)
{
    struct file_chunk *owner = chunk->owner;

    munmap(owner->bytes, owner->mapped_bytes);
    free(owner->numbers);
    free(chunk->records);
    free(owner);
}

static struct file_chunk *
chunk_new(size_t bytes)
{
    struct file_chunk *owner = LEAT_NEW(struct file_chunk);

    owner->mapped_bytes = bytes;
    owner->bytes = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (owner->bytes == MAP_FAILED)
        leat_out_of_memory(bytes);
    owner->chunk.owner = owner;
    owner->chunk.release = chunk_release;
    owner->chunk.reference_count = 1;
    owner->chunk.behind_ms = -1;
    owner->chunk.arrived_at_us = leat_clock_monotonic_us();
    return owner;
}

#define NUMBER_BYTES 20
#define LINE_BYTES (sizeof(struct leat_raw_record) + NUMBER_BYTES)

/* How many records may be made of a piece: a line of one letter costs 84 bytes beside it. */
static size_t
lines_for(size_t reservation_bytes, size_t piece_bytes)
{
    size_t lines = reservation_bytes > piece_bytes ? (reservation_bytes - piece_bytes) / LINE_BYTES
                                                   : 0;

    return lines < MINIMUM_LINES ? MINIMUM_LINES : lines > MAXIMUM_LINES ? MAXIMUM_LINES : lines;
}

/* Lines at most, counted to the limit: the last one may have no end. */
static size_t
count_lines(const unsigned char *bytes, size_t size, size_t limit)
{
    size_t count = 1;

    for (const unsigned char *end = bytes + size;
         count < limit && (bytes = memchr(bytes, '\n', (size_t)(end - bytes))) != NULL; bytes++)
        count++;
    return count;
}

static void
add_record(struct file_chunk *owner, int64_t offset, struct leat_slice line)
{
    struct leat_chunk *chunk = &owner->chunk;
    char *number = owner->numbers + chunk->count * NUMBER_BYTES;

    if (line.size > 0 && line.data[line.size - 1] == '\r')
        line.size--;
    if (line.size == 0)
        return;
    snprintf(number, NUMBER_BYTES, "%lld", (long long)offset);
    chunk->records[chunk->count++] = (struct leat_raw_record){
        .data = line,
        .partition_key = leat_slice_from(number),
        .sequence = leat_slice_from(number),
    };
}

/* Whole lines become records, at most so many; returns how many bytes were used. is_last: the rest is a line, too. */
static size_t
split(struct leat_reader *reader, struct file_chunk *owner, size_t size, size_t limit, bool is_last)
{
    size_t lines = count_lines(owner->bytes, size, limit), used = 0;

    owner->chunk.records = LEAT_NEW_ARRAY(struct leat_raw_record, lines);
    owner->numbers = leat_alloc(lines * NUMBER_BYTES);
    while (used < size && owner->chunk.count < lines) {
        const unsigned char *start = owner->bytes + used;
        const unsigned char *end = memchr(start, '\n', size - used);
        size_t length = end != NULL ? (size_t)(end - start) : size - used;

        if (end == NULL && !is_last)
            break;
        if (!reader->skips_line)
            add_record(owner, reader->offset + (int64_t)used, leat_slice_make(start, length));
        reader->skips_line = false;
        used += length + (end != NULL);
    }
    return used;
}

static void
set_failed(struct leat_reader *reader, enum leat_read_outcome outcome)
{
    reader->result.outcome = outcome;
    reader->result.retry_at_us = leat_clock_monotonic_us() + RETRY_US;
}

/* Opens the file, or finds that it is not the one that this stream is. */
static bool
is_ready(struct leat_reader *reader, struct stat *facts)
{
    const char *path = reader->source->path;

    if (reader->fd < 0)
        reader->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (reader->fd < 0 || fstat(reader->fd, facts) != 0) {
        leat_error_set(&reader->result.err, LEAT_E_UNAVAILABLE, "could not read file \"%s\": %s",
                       path, strerror(errno));
        set_failed(reader, errno == ENOENT ? LEAT_READ_GONE : LEAT_READ_AGAIN);
        return false;
    }
    if (facts->st_ino == reader->source->inode && facts->st_size >= reader->offset)
        return true;
    leat_error_set(&reader->result.err, LEAT_E_INVALID, "file \"%s\" was %s while it was read",
                   path, facts->st_ino != reader->source->inode ? "replaced" : "cut");
    set_failed(reader, LEAT_READ_INVALID);
    return false;
}

static void
set_too_long(struct leat_reader *reader, size_t asked)
{
    if (asked < LEAT_FILE_LINE_BYTES) {
        set_failed(reader, LEAT_READ_TOO_LARGE);
        reader->result.needed_bytes = asked * 2 < LEAT_FILE_LINE_BYTES ? asked * 2
                                                                       : LEAT_FILE_LINE_BYTES;
        leat_error_set(&reader->result.err, LEAT_E_LIMIT, "a line is longer than %zu bytes", asked);
        return;
    }
    set_failed(reader, LEAT_READ_BLOCKED);
    leat_error_set(
        &reader->result.err, LEAT_E_LIMIT,
        "file \"%s\" has a line of more than 10 MiB at byte %lld: a record cannot be that large; "
        "split it",
        reader->source->path, (long long)reader->offset);
}

static void
set_chunk(struct leat_reader *reader, struct file_chunk *owner, bool is_end)
{
    owner->chunk.is_shard_end = is_end;
    owner->chunk.held_bytes = owner->mapped_bytes + owner->chunk.count * LINE_BYTES;
    reader->result.outcome = LEAT_READ_OK;
    reader->result.chunk = &owner->chunk;
}

static void
read_piece(struct leat_reader *reader, size_t reservation_bytes, const struct stat *facts)
{
    size_t left = (size_t)(facts->st_size - reader->offset);
    size_t asked = reservation_bytes < PIECE_BYTES ? reservation_bytes : PIECE_BYTES;
    struct file_chunk *owner;
    ssize_t got;
    size_t used;
    bool is_end;

    if (reader->result.needed_bytes > asked)
        asked = reader->result.needed_bytes <= reservation_bytes ? reader->result.needed_bytes
                                                                 : reservation_bytes;
    owner = chunk_new(asked > 0 ? asked : 1);
    got = pread(reader->fd, owner->bytes, asked < left ? asked : left, reader->offset);
    if (got < 0) {
        leat_error_set(&reader->result.err, LEAT_E_UNAVAILABLE, "could not read file \"%s\": %s",
                       reader->source->path, strerror(errno));
        set_failed(reader, LEAT_READ_AGAIN);
        chunk_release(&owner->chunk);
        return;
    }
    is_end = (size_t)got == left && !reader->source->follow;
    used = split(reader, owner, (size_t)got, lines_for(reservation_bytes, asked), is_end);
    is_end = is_end && used == (size_t)got;
    if (used == 0 && (size_t)got == asked && left > asked) {
        set_too_long(reader, asked);
        chunk_release(&owner->chunk);
        return;
    }
    reader->result.needed_bytes = 0;
    reader->offset += (int64_t)used;
    set_chunk(reader, owner, is_end);
}

static void
tell(void *context)
{
    struct leat_reader *reader = context;
    struct leat_read_result result = reader->result;

    reader->timer = NULL;
    reader->result.chunk = NULL;
    reader->done(reader->context, &result);
}

static void
reader_read(struct leat_reader *reader, size_t reservation_bytes, leat_read_done_fn done,
            void *context)
{
    size_t needed_bytes = reader->result.needed_bytes;
    struct stat facts;

    LEAT_ASSERT(reader->timer == NULL);
    reader->result = (struct leat_read_result){.needed_bytes = needed_bytes};
    reader->done = done;
    reader->context = context;
    if (reader->is_at_end)
        set_chunk(reader, chunk_new(1), true);
    else if (is_ready(reader, &facts))
        read_piece(reader, reservation_bytes, &facts);
    reader->timer = leat_event_loop_timer(reader->loop, 0, tell, reader);
}

static void
reader_reposition(struct leat_reader *reader, const struct leat_position *position)
{
    LEAT_ASSERT(reader->timer == NULL);
    reader->is_at_end = position->kind == LEAT_POSITION_SHARD_END;
    reader->offset = 0;
    reader->skips_line = false;
    reader->result.needed_bytes = 0;
    if (position->kind != LEAT_POSITION_SEQUENCE)
        return; /* a file knows no times: the configuration refuses any other start than its begin */
    if (leat_parse_integer(leat_slice_from(position->sequence), &reader->offset, NULL) != 0)
        reader->offset = INT64_MAX; /* not a file's sequence number: told as invalid by the read */
    reader->skips_line = position->sub_sequence < 0;
}

static struct leat_reader *
reader_open(struct leat_source *source, struct leat_event_loop *loop, struct leat_slice shard,
            const struct leat_position *position)
{
    struct leat_reader *reader = LEAT_NEW(struct leat_reader);

    reader->source = (struct file_source *)source;
    reader->loop = loop;
    reader->fd = -1;
    reader_reposition(reader, position);
    return reader;
}

static void
reader_close(struct leat_reader *reader)
{
    leat_loop_timer_cancel(reader->loop, reader->timer);
    leat_chunk_unref(reader->result.chunk);
    if (reader->fd >= 0)
        close(reader->fd);
    free(reader);
}

static int
describe(struct leat_source *source, struct leat_source_facts *ret_facts, struct leat_error *err)
{
    const struct file_source *file = (struct file_source *)source;
    struct stat facts;

    if (stat(file->path, &facts) != 0)
        return leat_error_set(err, LEAT_E_NOT_FOUND, "could not find file \"%s\": %s", file->path,
                              strerror(errno));
    *ret_facts = source->facts;
    return 0;
}

static int
list_shards(struct leat_source *source, struct leat_shard_list *list, struct leat_error *err)
{
    struct leat_shard_facts facts = {.shard = leat_slice_from(LEAT_FILE_SHARD)};

    leat_shard_list_add(list, &facts);
    return 0;
}

static int
now(struct leat_source *source, int64_t *ret_us, struct leat_error *err)
{
    *ret_us = leat_clock_wall_us();
    return 0;
}

static void
source_close(struct leat_source *source)
{
    struct file_source *file = (struct file_source *)source;

    free(file->path);
    free(file);
}

static const struct leat_source_ops file_ops = {
    .kind = "file",
    .describe = describe,
    .list_shards = list_shards,
    .now = now,
    .reader_open = reader_open,
    .read = reader_read,
    .reposition = reader_reposition,
    .reader_close = reader_close,
    .close = source_close,
};

int
leat_file_source_open(const char *name, const char *path, bool follow,
                      struct leat_source **ret_source, struct leat_error *err)
{
    char *absolute = realpath(path, NULL);
    struct file_source *file;
    struct stat facts;

    if (absolute == NULL || stat(absolute, &facts) != 0) {
        leat_error_set(err, LEAT_E_NOT_FOUND, "could not open file \"%s\": %s", path,
                       strerror(errno));
        free(absolute);
        return LEAT_E_NOT_FOUND;
    }
    if (!S_ISREG(facts.st_mode)) {
        leat_error_set(err, LEAT_E_INVALID,
                       "\"%s\" is not a regular file: a pipe or a folder cannot be read again",
                       path);
        free(absolute);
        return LEAT_E_INVALID;
    }
    file = LEAT_NEW(struct file_source);
    file->source.ops = &file_ops;
    file->path = absolute;
    file->follow = follow;
    file->inode = facts.st_ino;
    file->source.facts.created_us = (int64_t)facts.st_mtim.tv_sec * LEAT_SECOND_US;
    snprintf(file->source.facts.name, sizeof file->source.facts.name, "%s", name);
    snprintf(file->source.facts.arn, sizeof file->source.facts.arn, "file:%s", absolute);
    snprintf(file->source.facts.stream_id, sizeof file->source.facts.stream_id, "file:%.470s#%llu",
             absolute, (unsigned long long)facts.st_ino);
    *ret_source = &file->source;
    return 0;
}
