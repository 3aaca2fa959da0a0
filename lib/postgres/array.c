/* Arrays in Postgres' binary format: dimensions, has-nulls flag, element oid, count, lower bound, elements. */
#include "postgres/array.h"

void
leat_pg_array_begin(struct leat_buf *array, enum leat_pg_oid element, size_t count)
{
    leat_buf_clear(array);
    leat_buf_add_be32(array, count > 0);
    leat_buf_add_be32(array, 1); /* may hold nulls */
    leat_buf_add_be32(array, (uint32_t)element);
    if (count > 0) {
        leat_buf_add_be32(array, (uint32_t)count);
        leat_buf_add_be32(array, 1);
    }
}

void
leat_pg_array_null(struct leat_buf *array)
{
    leat_buf_add_be32(array, UINT32_MAX);
}

void
leat_pg_array_int8(struct leat_buf *array, int64_t number)
{
    leat_buf_add_be32(array, 8);
    leat_buf_add_be64(array, (uint64_t)number);
}

void
leat_pg_array_float8(struct leat_buf *array, double number)
{
    uint64_t bits;

    memcpy(&bits, &number, sizeof bits);
    leat_buf_add_be32(array, 8);
    leat_buf_add_be64(array, bits);
}

void
leat_pg_array_bool(struct leat_buf *array, bool is_true)
{
    leat_buf_add_be32(array, 1);
    leat_buf_add_byte(array, is_true);
}

void
leat_pg_array_bytes(struct leat_buf *array, struct leat_slice bytes)
{
    leat_buf_add_be32(array, (uint32_t)bytes.size);
    leat_buf_add_slice(array, bytes);
}

void
leat_pg_array_timestamp(struct leat_buf *array, int64_t us)
{
    int64_t since_2000;

    /* Beyond what Postgres can hold the largest is sent, and refused there as out of range. */
    if (__builtin_sub_overflow(us, LEAT_PG_EPOCH_US, &since_2000))
        since_2000 = INT64_MIN + 2;
    leat_pg_array_int8(array, since_2000);
}

enum leat_pg_oid
leat_pg_array_of(enum leat_pg_oid element)
{
    switch (element) {
    case LEAT_PG_BOOL:
        return LEAT_PG_BOOL_ARRAY;
    case LEAT_PG_BYTEA:
        return LEAT_PG_BYTEA_ARRAY;
    case LEAT_PG_INT8:
        return LEAT_PG_INT8_ARRAY;
    case LEAT_PG_FLOAT8:
        return LEAT_PG_FLOAT8_ARRAY;
    case LEAT_PG_TIMESTAMPTZ:
        return LEAT_PG_TIMESTAMPTZ_ARRAY;
    default:
        return LEAT_PG_TEXT_ARRAY;
    }
}

int64_t
leat_pg_int8(const char *value)
{
    uint64_t number;

    memcpy(&number, value, sizeof number);
    return (int64_t)__builtin_bswap64(number);
}

int32_t
leat_pg_int4(const char *value)
{
    uint32_t number;

    memcpy(&number, value, sizeof number);
    return (int32_t)__builtin_bswap32(number);
}
