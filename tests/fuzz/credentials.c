/* What containers, instances, programs and STS answer, of unknown make: the first byte says which document it is taken for. */
#include <stdint.h>

#include "aws/credentials_json.h"
#include "aws/sts.h"
#include "base/memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct leat_credentials credentials = {0};
    struct leat_error err = {0};
    struct leat_slice text;
    int result;

    if (size == 0)
        return 0;
    text = leat_slice_make(data + 1, size - 1);
    result = data[0] % 4 == 3
                 ? leat_sts_parse(text, &credentials, &err)
                 : leat_credentials_json_parse(text, (enum leat_credentials_document)(data[0] % 4),
                                               &credentials, &err);
    if (result == 0) {
        LEAT_ASSERT(credentials.access_key_id != NULL && credentials.access_key_id[0] != '\0');
        LEAT_ASSERT(credentials.secret_access_key != NULL);
        LEAT_ASSERT(strlen(credentials.secret_access_key) <= size);
    } else {
        LEAT_ASSERT(credentials.access_key_id == NULL && err.text[0] != '\0');
    }
    leat_credentials_release(&credentials);
    return 0;
}
