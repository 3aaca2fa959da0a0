/*
 * Where log lines leave the process. Before leat_log_writer_start() each is one write(2) of the caller's. After it they
 * wait in a bounded queue for a thread that does nothing but write: a reader that stands still, a full disk or a file
 * server that hangs holds up that thread alone. What does not fit is dropped and counted; the count is a line of its
 * own as soon as there is room again. The descriptor's flags are never changed: others may share it.
 *
 * Threads: any, except where it says otherwise.
 */
#ifndef LEAT_BASE_LOG_WRITER_H
#define LEAT_BASE_LOG_WRITER_H

#include "base/buf.h"

/* Appends a finished line that tells of `lines` lost ones; reason NULL: nobody read the log. */
typedef void (*leat_log_loss_fn)(struct leat_buf *out, int64_t lines, const char *reason);

/* Where lines go from now on, and who tells of lost ones. */
void leat_log_writer_setup(int fd, leat_log_loss_fn tell_loss);
/* From here on nobody waits for the log but the thread made here. Once; without a thread lines are written as before. */
int leat_log_writer_start(struct leat_error *err);
/* One line with its newline. Errors and warnings (important) may fill all of the queue, the rest three quarters. */
void leat_log_writer_line(struct leat_slice line, bool is_important);
/*
 * Until all is written, or the log has stood still for patience_us, or four times that is over. false: not all.
 * Nothing to do before the start.
 */
bool leat_log_writer_drain(int64_t patience_us);
/* Drains and ends the thread; one that hangs in its write is left behind. */
void leat_log_writer_end(int64_t patience_us);
/* Lines that nobody will see, so far. */
int64_t leat_log_writer_lost(void);

/*
 * For a process that is about to die: what is queued gets a moment, then these bytes are written, without waiting for
 * a reader that stands still. Async-signal-safe.
 */
void leat_log_last_words(const char *text, size_t size);

#endif
