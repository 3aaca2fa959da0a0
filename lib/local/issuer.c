/* Whose key is it? */
#include "local/issuer.h"

bool
leat_local_issuer_find(const struct leat_local_issuer *issuer,
                       const struct leat_sign_request *request, int64_t now_us,
                       struct leat_credentials *ret_credentials, bool *ret_is_expired)
{
    struct leat_slice access_key_id;

    return issuer->find != NULL && leat_sign_access_key(request, &access_key_id) &&
           issuer->find(issuer->context, access_key_id, now_us, ret_credentials, ret_is_expired);
}
