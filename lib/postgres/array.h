/* Binary Postgres arrays as parameters, built element by element. Pure. */
#ifndef LEAT_POSTGRES_ARRAY_H
#define LEAT_POSTGRES_ARRAY_H

#include "base/buf.h"

/* Type oids of pg_type.dat that leat sends; they are part of Postgres' wire contract. */
enum leat_pg_oid {
    LEAT_PG_BOOL = 16,
    LEAT_PG_BYTEA = 17,
    LEAT_PG_INT8 = 20,
    LEAT_PG_TEXT = 25,
    LEAT_PG_FLOAT8 = 701,
    LEAT_PG_TIMESTAMPTZ = 1184,
    LEAT_PG_BOOL_ARRAY = 1000,
    LEAT_PG_BYTEA_ARRAY = 1001,
    LEAT_PG_TEXT_ARRAY = 1009,
    LEAT_PG_INT8_ARRAY = 1016,
    LEAT_PG_FLOAT8_ARRAY = 1022,
    LEAT_PG_TIMESTAMPTZ_ARRAY = 1185
};

#define LEAT_PG_EPOCH_US INT64_C(946684800000000) /* 2000-01-01, from 1970 */

/* One dimension, lower bound 1. The element count is known beforehand. */
void leat_pg_array_begin(struct leat_buf *array, enum leat_pg_oid element, size_t count);
void leat_pg_array_null(struct leat_buf *array);
void leat_pg_array_int8(struct leat_buf *array, int64_t number);
void leat_pg_array_float8(struct leat_buf *array, double number);
void leat_pg_array_bool(struct leat_buf *array, bool is_true);
void leat_pg_array_bytes(struct leat_buf *array, struct leat_slice bytes); /* text, bytea */
void leat_pg_array_timestamp(struct leat_buf *array, int64_t us);          /* since 1970 */
enum leat_pg_oid leat_pg_array_of(enum leat_pg_oid element);

/* Decoding of binary results: eight bytes, network order. */
int64_t leat_pg_int8(const char *value);
int32_t leat_pg_int4(const char *value);

#endif
