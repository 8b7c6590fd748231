/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_DIGEST_H
#define MODELBERTH_DIGEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "err.h"

/*
 * Digests of file content, computed by OpenSSL. Written as "<algorithm>:<hex>":
 *
 *   sha256:...    SHA-256 of the bytes
 *   gitsha1:...   SHA-1 over "blob <length>\0" and the bytes: git's object id, which
 *                 the Hugging Face Hub gives for files outside LFS
 */
enum digest_algo { DIGEST_NONE, DIGEST_SHA256, DIGEST_GITSHA1 };

#define DIGEST_MAX_BYTES 32
#define DIGEST_TEXT_BYTES 80 /* "gitsha1:" or "sha256:", hex, terminator */

struct digest {
    enum digest_algo algo; /* DIGEST_NONE: nothing is known */
    uint8_t bytes[DIGEST_MAX_BYTES];
};

/* Bytes of the algorithm's result: 32, 20 or 0. */
size_t digest_size(enum digest_algo algo);
bool digest_equal(const struct digest *a, const struct digest *b);

/* Writes "<algorithm>:<hex>", or "none", into `out` and returns it. */
const char *digest_format(const struct digest *d, char out[static DIGEST_TEXT_BYTES]);

/* Parses what digest_format() writes. Returns 0, or -1 with ERR_INPUT. */
int digest_parse(const char *text, struct digest *out, struct err *err);

/* Parses bare lower or upper case hex of the algorithm's length. Returns 0, or -1 with ERR_INPUT.
 */
int digest_parse_hex(enum digest_algo algo, const char *hex, struct digest *out, struct err *err);

/*
 * Hashing as the bytes come:
 *
 *     struct hasher *h = hasher_new(DIGEST_SHA256, size);
 *     hasher_update(h, bytes, n);         any number of times
 *     hasher_final(h, &digest);
 *     hasher_free(h);
 *
 * `size` is the whole content's length in bytes: git's blob header needs it
 * in advance, SHA-256 ignores it. Thread-safe as long as one hasher stays with
 * one thread at a time.
 */
struct hasher;

struct hasher *hasher_new(enum digest_algo algo, uint64_t size);
void hasher_update(struct hasher *h, const void *bytes, size_t len);
void hasher_final(struct hasher *h, struct digest *out);
void hasher_free(struct hasher *h);

static inline void hasher_cleanup(struct hasher **h)
{
    hasher_free(*h);
}
#define hasher_auto __attribute__((cleanup(hasher_cleanup)))

/* The digest of bytes in memory. */
void digest_bytes(enum digest_algo algo, const void *bytes, size_t len, struct digest *out);

#endif
