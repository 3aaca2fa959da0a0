/* Tokens: big-endian fields and a hash that is seeded once per process, as base64. Changed or foreign ones do not hash. */
#include "local/kinesis_token.h"

#include "base/encoding.h"
#include "base/map.h"
#include "base/memory.h"

#define FIELDS 9
/* A zero at the end makes it a multiple of three: base64's padding has spare bits that could be changed unseen. */
#define TOKEN_BYTES (8 * (FIELDS + 1) + 1)

static uint64_t
read_be64(const unsigned char *bytes)
{
    uint64_t word = 0;

    for (int i = 0; i < 8; i++)
        word = word << 8 | bytes[i];
    return word;
}

void
leat_local_token_format(const struct leat_local_token *token, struct leat_buf *out)
{
    const uint64_t fields[FIELDS] = {
        token->kind,
        token->server,
        token->stream,
        token->shard,
        token->number,
        token->filter,
        (uint64_t)token->filter_us,
        token->page_shards,
        (uint64_t)token->issued_us,
    };
    LEAT_AUTO_BUF bytes = LEAT_BUF_INIT;

    for (size_t i = 0; i < FIELDS; i++)
        leat_buf_add_be64(&bytes, fields[i]);
    leat_buf_add_be64(&bytes, leat_hash(leat_buf_slice(&bytes)));
    leat_buf_add_byte(&bytes, 0);
    leat_base64_encode(out, leat_buf_slice(&bytes));
}

bool
leat_local_token_parse(struct leat_slice text, enum leat_local_token_kind kind, uint64_t server,
                       struct leat_local_token *ret_token)
{
    LEAT_AUTO_BUF bytes = LEAT_BUF_INIT;
    uint64_t fields[FIELDS];

    if (text.size != (TOKEN_BYTES + 2) / 3 * 4 || !leat_base64_decode(&bytes, text) ||
        bytes.size != TOKEN_BYTES || bytes.data[TOKEN_BYTES - 1] != 0 ||
        read_be64(bytes.data + 8 * FIELDS) != leat_hash(leat_slice_make(bytes.data, 8 * FIELDS)))
        return false;
    for (size_t i = 0; i < FIELDS; i++)
        fields[i] = read_be64(bytes.data + 8 * i);
    if (fields[0] != (uint64_t)kind || fields[1] != server)
        return false;
    *ret_token = (struct leat_local_token){
        .kind = kind,
        .server = server,
        .stream = fields[2],
        .shard = (uint32_t)fields[3],
        .number = fields[4],
        .filter = (uint32_t)fields[5],
        .filter_us = (int64_t)fields[6],
        .page_shards = (uint32_t)fields[7],
        .issued_us = (int64_t)fields[8],
    };
    return true;
}
