/* SPDX-License-Identifier: Apache-2.0 */
#ifndef MODELBERTH_PATH_H
#define MODELBERTH_PATH_H

#include "err.h"

/*
 * Paths that come from outside. One checker for all of them, so that no source
 * and no annotation can name anything outside the directory it belongs to.
 */

#define PATH_TEXT_MAX_BYTES 4096
#define PATH_SEGMENT_MAX_BYTES 255

/*
 * Accepts a relative path of '/'-separated segments: no leading '/', no empty,
 * "." or ".." segment, no control character and no backslash, lengths as above.
 * `what` names the value in the message. Returns 0, or -1 with ERR_INPUT.
 */
int path_check_relative(const char *what, const char *path, struct err *err);

/*
 * As path_check_relative(), for a file of a model: also refuses the two names
 * that modelberth keeps for itself at the top of a model directory (".modelberth" and
 * ".download-complete"), in any case.
 */
int path_check_model_file(const char *path, struct err *err);

/*
 * As path_check_relative(), for the directory of a model in its volume: no segment may be
 * ".modelberth", where staging and locks of other models are.
 */
int path_check_model_directory(const char *what, const char *path, struct err *err);

/* Accepts an absolute path whose segments are as above; "/" alone is refused. */
int path_check_absolute(const char *what, const char *path, struct err *err);

#endif
