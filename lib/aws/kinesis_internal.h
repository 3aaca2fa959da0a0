/* What the files of the Kinesis client share; nobody else includes this. */
#ifndef LEAT_AWS_KINESIS_INTERNAL_H
#define LEAT_AWS_KINESIS_INTERNAL_H

#include "aws/kinesis.h"

struct json_object;

struct leat_kinesis {
    struct leat_aws_client *client;
    enum leat_kinesis_encoding encoding; /* as asked for */
    bool is_distrusted;                  /* auto: this server gets JSON */
    bool
        is_proved; /* the server speaks real CBOR: it is AWS's own, or has sent tag-1 times or byte strings */
    struct leat_kinesis_call *calls; /* started, under way */
};

/* A request's body: written once, for either encoding. */
typedef void (*leat_kinesis_write_fn)(struct leat_wire *wire, const void *context);

struct leat_kinesis_action {
    const char *name; /* "ListShards" */
    const char *kind; /* "stream", NULL */
    struct leat_slice subject;
    leat_kinesis_write_fn write;
    const void *context;
    bool is_put; /* CBOR only where it is proved */
};

/* Blocking; ret_root NULL: the answer is thrown away. The caller's: json_object_put. */
int leat_kinesis_run(struct leat_kinesis *kinesis, const struct leat_kinesis_action *action,
                     struct json_object **ret_root, struct leat_error *err);

/* Headers of an action: two lines into `lines`, their pointers into ret_headers. */
void leat_kinesis_headers(const char *action, enum leat_wire_encoding encoding,
                          struct leat_buf *lines, const char *ret_headers[2]);
/* Does this refusal say that the server does not know CBOR? Then JSON from now on; true: send again. */
bool leat_kinesis_lacks_cbor(struct leat_kinesis *kinesis, enum leat_wire_encoding spoken,
                             const struct leat_fault *fault);

/* The two parsers behind leat_kinesis_records_parse. */
int leat_kinesis_records_parse_cbor(unsigned char *bytes, size_t size,
                                    struct leat_kinesis_records *records, struct leat_error *err);
int leat_kinesis_records_parse_json(unsigned char *bytes, size_t size,
                                    struct leat_kinesis_records *records, struct leat_error *err);
/* The next free record, zeroed; NULL: more than an answer may hold. */
struct leat_kinesis_record *leat_kinesis_records_add(struct leat_kinesis_records *records);

#endif
