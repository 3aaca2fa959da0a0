#include "worker/credentials_log.h"

#include "base/log.h"
#include "base/units.h"

void
leat_credentials_log(void *context, const struct leat_credentials_event *event)
{
    LEAT_AUTO_BUF expires = LEAT_BUF_INIT;

    if (event->expires_us != 0)
        leat_format_time(&expires, event->expires_us);
    switch (event->kind) {
    case LEAT_CREDENTIALS_FOUND:
    case LEAT_CREDENTIALS_RECOVERED:
        leat_log_event(LEAT_LOG_INFO,
                       event->kind == LEAT_CREDENTIALS_FOUND
                           ? "AWS credentials found"
                           : "AWS credentials are refreshed again",
                       "source", event->source, "expires",
                       event->expires_us != 0 ? leat_buf_text(&expires) : "never", NULL);
        break;
    case LEAT_CREDENTIALS_REFRESHED:
        leat_log_event(LEAT_LOG_DEBUG, "AWS credentials refreshed", "source", event->source,
                       "expires", event->expires_us != 0 ? leat_buf_text(&expires) : "never", NULL);
        break;
    case LEAT_CREDENTIALS_FAILED:
        leat_log_event(LEAT_LOG_WARNING, "could not get AWS credentials", "error", event->err->text,
                       "serving", *event->source != '\0' ? event->source : "none", NULL);
        break;
    }
}
