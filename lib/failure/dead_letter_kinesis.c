/* One PutRecords of many letters; each is acknowledged, or refused, by name. */
#include <stdlib.h>

#include <openssl/evp.h>

#include "aws/kinesis.h"
#include "base/encoding.h"
#include "base/memory.h"
#include "failure/dead_letter_stream.h"

#define KEY_UNITS 256 /* of UTF-16, as the service counts */
#define TIMEOUT_US (15 * INT64_C(1000000))

struct kinesis_letters {
    struct leat_dead_letter_stream stream;
    struct leat_aws aws;
    struct leat_kinesis *kinesis;
    char *name;
    struct leat_kinesis_put *records;
    size_t record_capacity;
};

/* ---- keys ---------------------------------------------------------------------------------------- */

static bool
is_legal_key(struct leat_slice key)
{
    size_t units = 0;

    if (key.size == 0 || key.size > (size_t)KEY_UNITS * 3 || !leat_utf8_is_valid(key))
        return false;
    for (size_t i = 0; i < key.size; i++) {
        unsigned char byte = key.data[i];

        if (byte < 0x20 || byte == 0x7F)
            return false;
        units += ((byte & 0xC0) != 0x80) + (byte >= 0xF0);
    }
    return units <= KEY_UNITS;
}

struct leat_slice
leat_dead_letter_key(struct leat_slice partition_key, char room[65])
{
    LEAT_AUTO_BUF hex = LEAT_BUF_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE];

    if (is_legal_key(partition_key))
        return partition_key;
    if (partition_key.size == 0)
        return leat_slice_from("-");
    LEAT_ASSERT(
        EVP_Digest(partition_key.data, partition_key.size, digest, NULL, EVP_sha256(), NULL) == 1);
    leat_hex_encode(&hex, leat_slice_make(digest, 32));
    memcpy(room, leat_buf_text(&hex), 65);
    return leat_slice_make(room, 64);
}

/* ---- puts ---------------------------------------------------------------------------------------- */

/* A refusal of what is in the request, not of who asks, of the stream, or of the protocol: those are configuration. */
static bool
is_refused(const struct leat_error *err)
{
    static const char *const configuration[] = {"UnknownOperation", "UnsupportedMediaType",
                                                "Serialization", "streamName", "streamARN"};

    if (err->code != LEAT_E_INVALID && err->code != LEAT_E_LIMIT)
        return false;
    for (size_t i = 0; i < LEAT_COUNT_OF(configuration); i++) {
        if (strstr(err->text, configuration[i]) != NULL)
            return false;
    }
    return err->http_status == 400 || err->http_status == 413 || err->http_status == 422;
}

static void
tell(const struct kinesis_letters *letters, const struct leat_kinesis_put *record,
     struct leat_dead_letter *letter)
{
    letter->err = (struct leat_error){0};
    letter->is_refused = record->result == LEAT_E_INVALID;
    if (record->result == 0)
        snprintf(letter->position, sizeof letter->position, "%s:%s", record->shard,
                 record->sequence);
    else
        leat_error_set(&letter->err, record->result,
                       "kinesis PutRecords of stream \"%s\": a record was refused: %s",
                       letters->name,
                       record->error_type[0] != '\0' ? record->error_type : "no sequence number");
}

static int
put(struct leat_dead_letter_stream *stream, struct leat_dead_letter *letters, size_t count,
    bool *ret_is_refused, struct leat_error *err)
{
    struct kinesis_letters *kinesis = (struct kinesis_letters *)stream;
    int status;

    if (count > kinesis->record_capacity) {
        kinesis->records = leat_realloc(kinesis->records, count, sizeof *kinesis->records);
        kinesis->record_capacity = count;
    }
    for (size_t i = 0; i < count; i++)
        kinesis->records[i] = (struct leat_kinesis_put){
            .data = letters[i].body,
            .partition_key = letters[i].partition_key,
        };
    status = leat_kinesis_put_once(kinesis->kinesis, kinesis->name, kinesis->records, count, err);
    *ret_is_refused = status != 0 && is_refused(err);
    for (size_t i = 0; status == 0 && i < count; i++)
        tell(kinesis, &kinesis->records[i], &letters[i]);
    return status;
}

static void
interrupt(struct leat_dead_letter_stream *stream)
{
    leat_kinesis_interrupt(((struct kinesis_letters *)stream)->kinesis);
}

static void
letters_close(struct leat_dead_letter_stream *stream)
{
    struct kinesis_letters *letters = (struct kinesis_letters *)stream;

    leat_kinesis_free(letters->kinesis);
    free(letters->records);
    free(letters->name);
    free(letters);
}

/* A request is asked for with less than the service takes: others count its envelope, too. */
static const struct leat_dead_letter_ops kinesis_ops = {
    LEAT_KINESIS_PUT_RECORDS, (size_t)4 << 20, put, interrupt, letters_close,
};

int
leat_dead_letter_kinesis_open(const char *stream, const struct leat_aws *aws,
                              struct leat_dead_letter_stream **ret_stream, struct leat_error *err)
{
    struct kinesis_letters *letters = LEAT_NEW(struct kinesis_letters);

    letters->stream.ops = &kinesis_ops;
    letters->aws = *aws;
    letters->aws.retry = (struct leat_retry_policy){.maximum_attempts = 1, .budget_us = 1};
    letters->aws.timeout_us = TIMEOUT_US;
    letters->kinesis = leat_kinesis_new(&letters->aws, LEAT_KINESIS_AUTO, err);
    if (letters->kinesis == NULL) {
        free(letters);
        return err->code;
    }
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
