/* What the providers share with each other and with endpoint.c. Inside aws/ only. */
#ifndef LEAT_AWS_CREDENTIALS_INSIDE_H
#define LEAT_AWS_CREDENTIALS_INSIDE_H

#include "base/buf.h"

/* Without the blanks at its ends; NULL: not set, or blank. The caller's. */
char *leat_variable(const char *name);

/* relative wins; NULL: not set. *ret_is_near: by http, so that only near hosts may be asked. Pure. */
int leat_credentials_container_url(const char *relative, const char *full, struct leat_buf *url,
                                   bool *ret_is_near, struct leat_error *err);
/* Where the instance's metadata service is; both as the environment or the profile says, NULL: it does not. Pure. */
int leat_credentials_instance_url(const char *endpoint, const char *mode, struct leat_buf *url,
                                  struct leat_error *err);

/* The region of the EC2 instance. Blocks: three seconds where nothing answers, six at most. */
int leat_credentials_instance_region(const char *profile, char ret_region[64]);

#endif
