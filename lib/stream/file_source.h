/*
 * A file of JSON lines as a stream of one shard, "file-0": a plugin runs without any stream server.
 *
 * A line is a record, without its end (LF or CR LF); empty lines are none. The sequence number is the line's byte offset,
 * the partition key the same text. The end of the file is SHARD_END, unless `follow`: then it is read on as it grows, and a
 * last line without an end waits for it. The stream is named file:PATH#INODE: a file that was replaced is another stream.
 * It knows no times: a start other than TRIM_HORIZON is refused in the configuration, and is its begin here.
 * A file that became shorter than what was read is LEAT_READ_INVALID; a line above 10 MiB blocks, by name and offset.
 */
#ifndef LEAT_STREAM_FILE_SOURCE_H
#define LEAT_STREAM_FILE_SOURCE_H

#include "stream/source.h"

#define LEAT_FILE_SHARD "file-0"
#define LEAT_FILE_LINE_BYTES ((size_t)10 << 20)

int leat_file_source_open(const char *name, const char *path, bool follow,
                          struct leat_source **ret_source, struct leat_error *err);

#endif
