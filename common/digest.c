/* SPDX-License-Identifier: Apache-2.0 */
#include "digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xalloc.h"

static const struct {
    enum digest_algo algo;
    const char *name;
    size_t bytes;
} algorithms[] = {
    {DIGEST_SHA256, "sha256", 32},
    {DIGEST_GITSHA1, "gitsha1", 20},
};

#define ALGORITHMS (sizeof algorithms / sizeof *algorithms)

size_t digest_size(enum digest_algo algo)
{
    for (size_t i = 0; i < ALGORITHMS; i++)
        if (algorithms[i].algo == algo)
            return algorithms[i].bytes;
    return 0;
}

bool digest_equal(const struct digest *a, const struct digest *b)
{
    return a->algo == b->algo && !memcmp(a->bytes, b->bytes, digest_size(a->algo));
}

const char *digest_format(const struct digest *d, char out[static DIGEST_TEXT_BYTES])
{
    const char *name = NULL;

    for (size_t i = 0; i < ALGORITHMS; i++)
        if (algorithms[i].algo == d->algo)
            name = algorithms[i].name;
    if (!name) {
        (void)snprintf(out, DIGEST_TEXT_BYTES, "none");
        return out;
    }
    int at = snprintf(out, DIGEST_TEXT_BYTES, "%s:", name);
    for (size_t i = 0; i < digest_size(d->algo); i++)
        at += snprintf(out + at, DIGEST_TEXT_BYTES - (size_t)at, "%02x", d->bytes[i]);
    return out;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

int digest_parse_hex(enum digest_algo algo, const char *hex, struct digest *out, struct err *err)
{
    struct digest d = {.algo = algo};
    size_t n = digest_size(algo);

    if (strlen(hex) != 2 * n)
        return err_set(err, ERR_INPUT, "'%.80s' is not a digest of %zu hexadecimal digits", hex,
                       2 * n);
    for (size_t i = 0; i < n; i++) {
        int high = hex_value(hex[2 * i]);
        int low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0)
            return err_set(err, ERR_INPUT, "'%.80s' is not hexadecimal", hex);
        d.bytes[i] = (uint8_t)(high << 4 | low);
    }
    *out = d;
    return 0;
}

int digest_parse(const char *text, struct digest *out, struct err *err)
{
    for (size_t i = 0; i < ALGORITHMS; i++) {
        size_t n = strlen(algorithms[i].name);
        if (!strncmp(text, algorithms[i].name, n) && text[n] == ':')
            return digest_parse_hex(algorithms[i].algo, text + n + 1, out, err);
    }
    return err_set(err, ERR_INPUT,
                   "'%.80s' is not a digest: sha256:<hex> or gitsha1:<hex> expected", text);
}

struct hasher {
    EVP_MD_CTX *ctx;
    enum digest_algo algo;
};

/* EVP fails here only without memory or without the algorithm: neither can be survived. */
static void must(int ok)
{
    if (!ok) {
        (void)fputs("OpenSSL cannot compute a digest\n", stderr);
        abort();
    }
}

struct hasher *hasher_new(enum digest_algo algo, uint64_t size)
{
    struct hasher *h = xcalloc(1, sizeof *h);

    h->algo = algo;
    h->ctx = EVP_MD_CTX_new();
    must(h->ctx != NULL);
    must(EVP_DigestInit_ex(h->ctx, algo == DIGEST_GITSHA1 ? EVP_sha1() : EVP_sha256(), NULL));
    if (algo == DIGEST_GITSHA1) {
        char header[32];
        int n = snprintf(header, sizeof header, "blob %llu", (unsigned long long)size);
        hasher_update(h, header, (size_t)n + 1);
    }
    return h;
}

void hasher_update(struct hasher *h, const void *bytes, size_t len)
{
    must(EVP_DigestUpdate(h->ctx, bytes, len));
}

void hasher_final(struct hasher *h, struct digest *out)
{
    uint8_t bytes[EVP_MAX_MD_SIZE];

    must(EVP_DigestFinal_ex(h->ctx, bytes, NULL));
    memset(out, 0, sizeof *out);
    out->algo = h->algo;
    memcpy(out->bytes, bytes, digest_size(h->algo));
}

void hasher_free(struct hasher *h)
{
    if (!h)
        return;
    EVP_MD_CTX_free(h->ctx);
    free(h);
}

void digest_bytes(enum digest_algo algo, const void *bytes, size_t len, struct digest *out)
{
    hasher_auto struct hasher *h = hasher_new(algo, len);

    hasher_update(h, bytes, len);
    hasher_final(h, out);
}
