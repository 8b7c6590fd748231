/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_INITC_HTTP_URL_H
#define MODELBERTH_INITC_HTTP_URL_H

#include "common/err.h"

/*
 * Refuses what may never be asked: other schemes than http and https, user and password in the URL,
 * a host that is a forbidden address as text (a proxy would resolve it for us). Returns 0, or -1
 * with ERR_SOURCE.
 */
int http_check_url(const char *url, struct err *err);

#endif
