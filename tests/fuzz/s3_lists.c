/* A page of ListObjectsV2. Keys are told whole, or not at all. */
#include <stdint.h>

/* The readers of a page are nobody else's: the file is a part of this one. */
#include "lib/aws/s3.c"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int
each(void *context, const struct leat_s3_object *object)
{
    LEAT_ASSERT(object->key.size > 0);
    return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct leat_xml_events events = {list_begin, list_end};
    struct listing listing = {.each = each};
    struct leat_pages pages;
    struct leat_error err;

    leat_buf_init(&listing.key, SIZE_MAX);
    leat_buf_init(&listing.token, SIZE_MAX);
    leat_pages_begin(&pages, &page_limits, 0);
    for (int i = 0; i < 2; i++) {
        if (leat_xml_parse(leat_slice_make(data, size), &events, &listing, &err) == 0 &&
            listing.has_more)
            (void)list_next(&listing, &pages, "bucket", &err);
    }
    leat_pages_release(&pages);
    leat_buf_release(&listing.key);
    leat_buf_release(&listing.token);
    return 0;
}
