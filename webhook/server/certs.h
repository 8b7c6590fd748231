/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_CERTS_H
#define MODELBERTH_CERTS_H

#include <gnutls/abstract.h>
#include <gnutls/gnutls.h>
#include <stdint.h>

#include "common/err.h"

/*
 * The serving certificate. There is one in the process, since GnuTLS's
 * callback takes no argument of ours.
 *
 * The main thread loads and polls; handshakes in any thread take the pair that
 * is current at their start. A pair that was replaced stays in memory until no handshake can
 * use it any more.
 */

/* How long a replaced pair is kept: far longer than any handshake may take. */
#define CERTS_KEEP_MS (60 * 1000)

/* Loads the first pair from PEM files. Returns 0, or -1 with *err that names the file. */
int certs_load(const char *certificate_file, const char *key_file, struct err *err);

/*
 * Reads the files again when their content has changed, however they were
 * changed: Secret volumes swap a symbolic link two levels up, which no
 * watch on the file sees.
 *
 * Returns 1 when there is a new pair, 0 when there is nothing to say, -1 with
 * *err when the files are of no use; the old pair stays, and the same trouble is returned only
 * once.
 */
int certs_poll(int64_t now_ms, struct err *err);

/* When the current certificate ends, in seconds since 1970. Thread-safe. */
int64_t certs_expiry(void);

/* The callback for MHD_OPTION_HTTPS_CERT_CALLBACK2; thread-safe. */
gnutls_certificate_retrieve_function3 certs_retrieve;

/* Frees everything. No handshake may be under way. */
void certs_release(void);

#endif
