/* Stream records are foreign bytes: whatever they hold, taking them apart ends and stays inside its memory. */
#include "stream/deaggregate.h"

#include <openssl/evp.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile unsigned char seen; /* so that the bytes are really read */

static void
take_apart(struct leat_slice data)
{
    static const struct leat_expand_limits limits = {.limit_bytes = 1 << 20, .ratio = 50};
    struct leat_hash_key start = {0, 0}, end = {UINT64_MAX / 2, 0};
    struct leat_deaggregator *deaggregator = leat_deaggregator_new(&limits, &start, &end);
    struct leat_raw_record raw = {
        .data = data, .partition_key = leat_slice_from("key"), .sequence = leat_slice_from("1")};
    struct leat_user_record record;

    leat_deaggregator_begin(deaggregator, &raw);
    while (leat_deaggregator_next(deaggregator, &record)) {
        for (size_t i = 0; i < record.record.data.size; i++)
            seen ^= record.record.data.data[i];
    }
    leat_deaggregator_free(deaggregator);
}

/* As it is, and as the protobuf of a KPL record with a right MD5: a fuzzer does not guess one. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    LEAT_AUTO_BUF sealed = LEAT_BUF_INIT;
    unsigned char digest[EVP_MAX_MD_SIZE];

    take_apart(leat_slice_make(data, size));
    EVP_Digest(data, size, digest, NULL, EVP_md5(), NULL);
    leat_buf_add(&sealed, "\xF3\x89\x9A\xC2", 4);
    leat_buf_add(&sealed, data, size);
    leat_buf_add(&sealed, digest, 16);
    take_apart(leat_buf_slice(&sealed));
    return 0;
}
