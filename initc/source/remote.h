/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_REMOTE_H
#define MODELBERTH_INITC_REMOTE_H

#include "source.h"

/* What sources over HTTP share: one ranged read, following and remembering where it was sent. */

/*
 * Says what an answer that is neither 200 nor 206 means. Returns -1 with *err.
 */
typedef int remote_explain(const struct source *s, const struct http_response *response,
                           struct err *err);

/*
 * As source_ops.read, from `url`. A link to another origin is used for the file's later ranges
 * as well; when it is refused it has expired, and the next try starts at `url` again.
 */
int remote_read(struct source *s, struct source_reader *r, const char *url,
                const struct manifest_file *file, uint64_t from, uint64_t to,
                const struct source_sink *sink, remote_explain *explain, struct err *err);

/* Pure: "bytes 5-9/10". Returns 0, or -1 when it is not of that form. */
int remote_parse_content_range(const char *text, uint64_t *from, uint64_t *to, uint64_t *total);

#endif
