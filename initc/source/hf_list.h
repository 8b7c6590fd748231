/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_HF_LIST_H
#define MODELBERTH_INITC_HF_LIST_H

#include <stddef.h>

#include "initc/http.h"
#include "initc/manifest.h"
#include "source.h"

/* What the Hub's answers mean: pure. */

/*
 * Adds the files of one page of /api/models/ORG/NAME/tree/COMMIT?recursive=true. A file in LFS is
 * pinned by its sha256, another by git's sha1 of the blob. `inside` keeps what stands in that
 * directory (paths then start there) or is that file; "" keeps all.
 * Returns 0, or -1 with ERR_SOURCE.
 */
int hf_list_parse(const char *text, size_t len, const char *inside, struct manifest *out,
                  struct err *err);

/* The URL with rel="next" of a Link header, the caller's; NULL for none. */
char *hf_list_next(const char *link);

/* The "sha" of a repository's description, the caller's. Returns 0, or -1 with ERR_SOURCE. */
int hf_parse_sha(const char *text, size_t len, char **out, struct err *err);

/*
 * Why the Hub refused, told apart by X-Error-Code: gated, no such repository, no such revision, bad
 * token. Always -1 with *err: ERR_RETRY or ERR_SOURCE.
 */
int hf_explain(const struct source *s, const struct http_response *response, struct err *err);

/* `text` percent-encoded; with `keep_slash` for paths. The caller's. */
char *hf_quote(const char *text, bool keep_slash);

#endif
