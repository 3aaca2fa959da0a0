/* What a service (or whoever stands there) says when it refuses, and S3's XML. */
#include <stdint.h>

#include "aws/refusal.h"
#include "aws/xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
begin(void *context, struct leat_slice name, unsigned depth)
{
    *(unsigned *)context = depth;
}

static void
end(void *context, struct leat_slice name, unsigned depth, struct leat_slice text)
{
    *(unsigned *)context = depth;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct leat_xml_events events = {begin, end};
    static const char *const types[] = {"", "application/x-amz-cbor-1.1", "application/json"};
    unsigned depth;

    for (size_t i = 0; i < 3; i++) {
        LEAT_AUTO_BUF body = LEAT_BUF_INIT;
        struct leat_refusal refusal;
        struct leat_fault fault;
        struct leat_fault_subject subject = {"s3", "PutObject", "bucket", leat_slice_from("b")};
        struct leat_error err;

        leat_buf_add(&body, data, size);
        leat_refusal_parse(&body, leat_slice_from(types[i]), &refusal);
        leat_fault_classify(400, leat_slice_from(refusal.type), &fault);
        leat_fault_error(&fault, &subject, leat_slice_from(refusal.message), &err);
    }
    leat_xml_parse(leat_slice_make(data, size), &events, &depth, NULL);
    return 0;
}
