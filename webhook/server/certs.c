/* SPDX-License-Identifier: Apache-2.0 */
#include "webhook/server/certs.h"

#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/cleanup.h"
#include "common/digest.h"
#include "common/file.h"
#include "common/xalloc.h"

#define PEM_MAX_BYTES (256 * 1024)
#define CHAIN_MAX 8
#define KEY_ID_BYTES 32

struct pair {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned n;
    gnutls_privkey_t key;
    int64_t expiry;
    int64_t retired_ms;
    struct pair *next; /* in the list of retired ones */
};

/* The two files as they were read last, with the key in memory for as long as needed. */
struct files {
    char *certificate;
    size_t certificate_len;
    char *key;
    size_t key_len;
    struct digest digest;
};

/* What handshakes read. */
static _Atomic(struct pair *) current;

/* The main thread's own. */
static char *certificate_path;
static char *key_path;
static struct digest seen; /* content that was tried last; DIGEST_NONE: unreadable */
static struct pair *retired;

static void pair_free(struct pair *pair)
{
    if (!pair)
        return;
    for (unsigned i = 0; i < pair->n; i++)
        gnutls_pcert_deinit(&pair->chain[i]);
    if (pair->key)
        gnutls_privkey_deinit(pair->key);
    free(pair);
}

static void pair_cleanup(struct pair **pair)
{
    pair_free(*pair);
}
#define pair_auto __attribute__((cleanup(pair_cleanup)))

static void files_release(struct files *files)
{
    if (files->key)
        explicit_bzero(files->key, files->key_len);
    free(files->certificate);
    free(files->key);
}
#define files_auto __attribute__((cleanup(files_release)))

static int read_files(struct files *out, struct err *err)
{
    struct hasher *h;

    if (file_read(AT_FDCWD, certificate_path, PEM_MAX_BYTES, &out->certificate,
                  &out->certificate_len, err) ||
        file_read(AT_FDCWD, key_path, PEM_MAX_BYTES, &out->key, &out->key_len, err))
        return -1;
    h = hasher_new(DIGEST_SHA256, 0);
    hasher_update(h, out->certificate, out->certificate_len);
    hasher_update(h, "", 1);
    hasher_update(h, out->key, out->key_len);
    hasher_final(h, &out->digest);
    hasher_free(h);
    return 0;
}

static int fail(struct err *err, const char *path, const char *what, int code)
{
    return err_set(err, ERR_INPUT, "'%s': %s: %s", path, what, gnutls_strerror(code));
}

static int key_id_of_key(gnutls_privkey_t key, unsigned char id[static KEY_ID_BYTES])
{
    gnutls_pubkey_t public_key;
    size_t n = KEY_ID_BYTES;
    int rc = gnutls_pubkey_init(&public_key);

    if (rc < 0)
        return rc;
    rc = gnutls_pubkey_import_privkey(public_key, key, 0, 0);
    if (rc >= 0)
        rc = gnutls_pubkey_get_key_id(public_key, GNUTLS_KEYID_USE_SHA256, id, &n);
    gnutls_pubkey_deinit(public_key);
    return rc;
}

/* The leaf's expiry, and its key's id. */
static int read_leaf(struct pair *pair, unsigned char id[static KEY_ID_BYTES])
{
    gnutls_x509_crt_t leaf;
    size_t n = KEY_ID_BYTES;
    int rc = gnutls_pcert_export_x509(&pair->chain[0], &leaf);

    if (rc < 0)
        return rc;
    pair->expiry = gnutls_x509_crt_get_expiration_time(leaf);
    rc = gnutls_x509_crt_get_key_id(leaf, GNUTLS_KEYID_USE_SHA256, id, &n);
    gnutls_x509_crt_deinit(leaf);
    return rc;
}

static int parse_pair(const struct files *files, struct pair **out, struct err *err)
{
    pair_auto struct pair *pair = xcalloc(1, sizeof *pair);
    const gnutls_datum_t certificate = {.data = (unsigned char *)files->certificate,
                                        .size = (unsigned)files->certificate_len};
    const gnutls_datum_t key = {.data = (unsigned char *)files->key,
                                .size = (unsigned)files->key_len};
    unsigned char certificate_id[KEY_ID_BYTES] = {0};
    unsigned char key_id[KEY_ID_BYTES] = {0};
    unsigned n = CHAIN_MAX;

    int rc = gnutls_pcert_list_import_x509_raw(pair->chain, &n, &certificate, GNUTLS_X509_FMT_PEM,
                                               GNUTLS_X509_CRT_LIST_FAIL_IF_UNSORTED);
    if (rc < 0)
        return fail(err, certificate_path, "not a PEM certificate chain", rc);
    pair->n = n;
    if ((rc = gnutls_privkey_init(&pair->key)) < 0 ||
        (rc = gnutls_privkey_import_x509_raw(pair->key, &key, GNUTLS_X509_FMT_PEM, NULL, 0)) < 0)
        return fail(err, key_path, "not a PEM key without password", rc);
    if ((rc = read_leaf(pair, certificate_id)) < 0)
        return fail(err, certificate_path, "cannot read the certificate", rc);
    if ((rc = key_id_of_key(pair->key, key_id)) < 0)
        return fail(err, key_path, "cannot read the key", rc);
    if (memcmp(certificate_id, key_id, KEY_ID_BYTES) != 0)
        return err_set(err, ERR_INPUT, "'%s' is not the key of '%s'", key_path, certificate_path);
    *out = take(pair);
    return 0;
}

int certs_load(const char *certificate_file, const char *key_file, struct err *err)
{
    files_auto struct files files = {0};
    struct pair *pair = NULL;

    certificate_path = xstrdup(certificate_file);
    key_path = xstrdup(key_file);
    if (read_files(&files, err) || parse_pair(&files, &pair, err))
        return err_wrap(err, "no serving certificate");
    seen = files.digest;
    atomic_store(&current, pair);
    return 0;
}

static void free_retired(int64_t before_ms)
{
    struct pair **link = &retired;

    while (*link) {
        struct pair *pair = *link;
        if (pair->retired_ms > before_ms) {
            link = &pair->next;
            continue;
        }
        *link = pair->next;
        pair_free(pair);
    }
}

int certs_poll(int64_t now_ms, struct err *err)
{
    files_auto struct files files = {0};
    struct pair *pair = NULL;

    free_retired(now_ms - CERTS_KEEP_MS);
    if (read_files(&files, err)) {
        bool known = seen.algo == DIGEST_NONE;
        seen = (struct digest){0};
        return known ? 0 : -1;
    }
    if (digest_equal(&files.digest, &seen))
        return 0;
    seen = files.digest;
    if (parse_pair(&files, &pair, err))
        return -1;
    struct pair *old = atomic_exchange(&current, pair);
    old->retired_ms = now_ms;
    old->next = retired;
    retired = old;
    return 1;
}

int64_t certs_expiry(void)
{
    const struct pair *pair = atomic_load(&current);

    return pair ? pair->expiry : 0;
}

int certs_retrieve(gnutls_session_t session, const struct gnutls_cert_retr_st *info,
                   gnutls_pcert_st **certs, unsigned int *certs_length, gnutls_ocsp_data_st **ocsp,
                   unsigned int *ocsp_length, gnutls_privkey_t *privkey, unsigned int *flags)
{
    struct pair *pair = atomic_load(&current);

    (void)session;
    (void)info;
    *certs = pair->chain;
    *certs_length = pair->n;
    *ocsp = NULL;
    *ocsp_length = 0;
    *privkey = pair->key;
    *flags = 0; /* they stay ours */
    return 0;
}

void certs_release(void)
{
    free_retired(INT64_MAX);
    pair_free(atomic_exchange(&current, NULL));
    free(certificate_path);
    free(key_path);
    certificate_path = key_path = NULL;
    seen = (struct digest){0};
}
