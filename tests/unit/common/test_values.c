/* SPDX-License-Identifier: Apache-2.0 */
/* The small modules of common/: paths, digests, durations, lists, buffers, files. */
#include "tests/unit/test.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/digest.h"
#include "common/duration.h"
#include "common/file.h"
#include "common/path.h"
#include "common/strbuf.h"
#include "common/strlist.h"

static void only_clean_relative_paths_are_accepted(void **state)
{
    (void)state;
    static const char *const good[] = {"a", "a/b/c.bin", "..a/b..", "a b", "\xc3\xbc"};
    static const char *const bad[] = {"",       "/a",  "a/",   "a//b", "..",
                                      "a/../b", "./a", "a\nb", "a\\b"};
    struct err err = {0};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        assert_ok(path_check_relative("path", good[i], &err), err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(path_check_relative("path", bad[i], &err), -1);
}

static void reserved_names_are_refused_in_any_case(void **state)
{
    (void)state;
    struct err err = {0};

    assert_int_equal(path_check_model_file(".modelberth/receipt.json", &err), -1);
    assert_int_equal(path_check_model_file(".MODELBERTH", &err), -1);
    assert_int_equal(path_check_model_file(".download-complete", &err), -1);
    assert_ok(path_check_model_file("a/.modelberth", &err), err);
    assert_ok(path_check_model_file(".modelberth2", &err), err);
}

static void a_mount_path_is_absolute_and_not_the_root(void **state)
{
    (void)state;
    struct err err = {0};

    assert_ok(path_check_absolute("path", "/mnt/models", &err), err);
    assert_int_equal(path_check_absolute("path", "mnt", &err), -1);
    assert_int_equal(path_check_absolute("path", "/", &err), -1);
    assert_int_equal(path_check_absolute("path", "/a/../b", &err), -1);
}

/* git hash-object of "hello\n", and sha256sum of the same */
static void digests_are_those_of_git_and_sha256sum(void **state)
{
    (void)state;
    struct digest d;
    struct digest back;
    struct err err = {0};
    char text[DIGEST_TEXT_BYTES];

    digest_bytes(DIGEST_GITSHA1, "hello\n", 6, &d);
    assert_string_equal(digest_format(&d, text),
                        "gitsha1:ce013625030ba8dba906f756967f9e9ca394464a");
    digest_bytes(DIGEST_SHA256, "hello\n", 6, &d);
    assert_string_equal(digest_format(&d, text),
                        "sha256:5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    assert_ok(digest_parse(text, &back, &err), err);
    assert_true(digest_equal(&d, &back));
    assert_int_equal(digest_parse("sha256:12", &back, &err), -1);
    assert_int_equal(digest_parse("md5:12", &back, &err), -1);
    assert_int_equal(
        digest_parse_hex(DIGEST_GITSHA1, "zz013625030ba8dba906f756967f9e9ca394464a", &back, &err),
        -1);
}

static void durations_are_those_of_go(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds;
    } good[] = {{"90s", 90}, {"15m", 900}, {"1h30m", 5400}, {"3600", 3600}};
    static const char *const bad[] = {"",    "0",    "0s",   "h",          "1d",
                                      "-1s", "1.5h", "1h30", "9999999999s"};
    struct err err = {0};
    int64_t seconds = 0;

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_ok(duration_parse(good[i].text, &seconds, &err), err);
        assert_int_equal(seconds, good[i].seconds);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!duration_parse(bad[i], &seconds, &err))
            fail_msg("'%s' was accepted", bad[i]);
}

static void lists_are_split_at_commas_and_trimmed(void **state)
{
    (void)state;
    struct strlist list = {0};

    strlist_split(&list, " a, b ,,c d,");
    assert_int_equal(list.n, 3);
    assert_string_equal(list.v[1], "b");
    assert_string_equal(list.v[2], "c d");
    assert_true(strlist_has(&list, "a"));
    assert_false(strlist_has(&list, ""));
    strlist_release(&list);
}

static void a_buffer_never_passes_its_maximum(void **state)
{
    (void)state;
    strbuf_auto struct strbuf b = STRBUF_INIT(8);

    assert_string_equal(strbuf_text(&b), "");
    strbuf_addf(&b, "%d", 1234);
    strbuf_adds(&b, "5678");
    assert_false(b.overflow);
    strbuf_adds(&b, "9");
    assert_true(b.overflow);
    assert_string_equal(strbuf_text(&b), "12345678");
}

static void a_replaced_file_is_whole_and_a_large_one_is_refused(void **state)
{
    (void)state;
    char directory[] = "/tmp/modelberth-test-XXXXXX";
    struct err err = {0};
    autofree char *text = NULL;
    size_t len = 0;

    assert_non_null(mkdtemp(directory));
    autoclose int dir = open(directory, O_RDONLY | O_DIRECTORY);
    assert_ok(file_replace(dir, "f", "one", 3, 0644, &err), err);
    assert_ok(file_replace(dir, "f", "three", 5, 0644, &err), err);
    assert_ok(file_read(dir, "f", 5, &text, &len, &err), err);
    assert_string_equal(text, "three");
    assert_int_equal(len, 5);
    assert_int_equal(file_read(dir, "f", 4, &text, &len, &err), -1);
    assert_has(err.msg, "larger than 4 bytes");
    assert_int_equal(file_read(dir, "absent", 4, &text, &len, &err), -1);
    assert_int_equal(err.kind, ERR_MISSING);
    assert_int_equal(err.os_errno, ENOENT);
    assert_int_equal(unlinkat(dir, "f", 0), 0);
    assert_int_equal(rmdir(directory), 0); /* no temporary file is left */
}

static void wrapping_keeps_kind_and_cause(void **state)
{
    (void)state;
    struct err err = {0};

    (void)err_errno(&err, ENOSPC, "cannot write '%s'", "x");
    assert_int_equal(err_wrap(&err, "model '%s'", "m"), -1);
    assert_int_equal(err.kind, ERR_NOSPACE);
    assert_string_equal(err.msg, "model 'm': cannot write 'x': No space left on device");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_clean_relative_paths_are_accepted),
        cmocka_unit_test(reserved_names_are_refused_in_any_case),
        cmocka_unit_test(a_mount_path_is_absolute_and_not_the_root),
        cmocka_unit_test(digests_are_those_of_git_and_sha256sum),
        cmocka_unit_test(durations_are_those_of_go),
        cmocka_unit_test(lists_are_split_at_commas_and_trimmed),
        cmocka_unit_test(a_buffer_never_passes_its_maximum),
        cmocka_unit_test(a_replaced_file_is_whole_and_a_large_one_is_refused),
        cmocka_unit_test(wrapping_keeps_kind_and_cause),
    };

    return cmocka_run_group_tests_name("values", tests, NULL, NULL);
}
