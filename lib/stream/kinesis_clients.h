/*
 * The clients that all Kinesis streams of a worker share: one that reads, for the fetch thread, and blocking ones, each with one
 * thread at a time. So a stream costs no connection and no client of its own.
 */
#ifndef LEAT_STREAM_KINESIS_CLIENTS_H
#define LEAT_STREAM_KINESIS_CLIENTS_H

#include "aws/kinesis.h"

struct leat_kinesis_clients;
/* aws is borrowed for its life. NULL: err. */
struct leat_kinesis_clients *leat_kinesis_clients_new(const struct leat_aws *aws,
                                                      enum leat_kinesis_encoding encoding,
                                                      struct leat_error *err);
void leat_kinesis_clients_free(struct leat_kinesis_clients *clients); /* all were given back */
/* Any thread: blocking calls, also later ones, end with CANCELLED. */
void leat_kinesis_clients_interrupt(struct leat_kinesis_clients *clients);

struct leat_kinesis *leat_kinesis_clients_reading(struct leat_kinesis_clients *clients);
/* The fetch thread's: an answer's records, until they are copied. */
struct leat_kinesis_records *leat_kinesis_clients_scratch(struct leat_kinesis_clients *clients);
/* For the calling thread until it is given back. NULL: err. */
struct leat_kinesis *leat_kinesis_clients_take(struct leat_kinesis_clients *clients,
                                               struct leat_error *err);
void leat_kinesis_clients_give_back(struct leat_kinesis_clients *clients,
                                    struct leat_kinesis *kinesis); /* NULL is fine */

#endif
