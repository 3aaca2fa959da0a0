/* A program that prints credentials: `credential_process` of a profile. Inside aws/ only. */
#ifndef LEAT_AWS_CREDENTIALS_PROCESS_H
#define LEAT_AWS_CREDENTIALS_PROCESS_H

#include "aws/credentials.h"

#define LEAT_CREDENTIALS_PROCESS_TIMEOUT_US (INT64_C(60) * 1000 * 1000)

/*
 * Runs the command by /bin/sh, reads at most 64 KiB of what it prints within timeout_us (0: a minute), and ends it and what it started
 * where it takes longer or prints more. Its standard input is empty, what it says on standard error is not shown: it may hold a secret.
 */
int leat_credentials_process_run(const struct leat_credentials_context *context,
                                 const char *command, int64_t timeout_us,
                                 struct leat_credentials *ret_credentials, struct leat_error *err);

#endif
