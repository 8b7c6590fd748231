/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/unit/test.h"

#include "common/source_uri.h"

#define SHA "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define COMMIT "0123456789abcdef0123456789abcdef01234567"

static void the_spellings_of_the_hub_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *text, *version, *name, *revision, *path;
        bool dataset, immutable;
    } cases[] = {
        {"hf://acme/tiny", NULL, "acme/tiny", NULL, "", false, false},
        {"hf://acme/tiny", "", "acme/tiny", NULL, "", false, false},
        {"hf://acme/tiny@main", NULL, "acme/tiny", "main", "", false, false},
        {"hf://acme/tiny:v1.0", NULL, "acme/tiny", "v1.0", "", false, false},
        {"hf://acme/tiny@" COMMIT, NULL, "acme/tiny", COMMIT, "", false, true},
        {"hf://acme/tiny", COMMIT, "acme/tiny", COMMIT, "", false, true},
        {"hf://acme/tiny@v1", "v1", "acme/tiny", "v1", "", false, false},
        {"hf://datasets/acme/set@v1/train/a.json", NULL, "acme/set", "v1", "train/a.json", true,
         false},
        {"hf://acme/tiny/sub/dir", NULL, "acme/tiny", NULL, "sub/dir", false, false},
        {"hf://acme/tiny@refs%2Fpr%2F1", NULL, "acme/tiny", "refs/pr/1", "", false, false},
        {"hf://acme/tiny", "refs/pr/1", "acme/tiny", "refs/pr/1", "", false, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        source_uri_auto struct source_uri s = {0};
        assert_ok(source_uri_parse(cases[i].text, cases[i].version, &s, &err), err);
        assert_int_equal(s.scheme, SOURCE_HF);
        assert_string_equal(s.name, cases[i].name);
        assert_string_equal(s.path, cases[i].path);
        assert_int_equal(s.dataset, cases[i].dataset);
        assert_int_equal(source_uri_is_immutable(&s), cases[i].immutable);
        if (cases[i].revision)
            assert_string_equal(s.revision, cases[i].revision);
        else
            assert_null(s.revision);
    }
}

static void a_url_is_one_file_pinned_by_its_digest(void **state)
{
    (void)state;
    struct err err = {0};
    source_uri_auto struct source_uri pinned = {0};
    source_uri_auto struct source_uri beside = {0};
    source_uri_auto struct source_uri loose = {0};

    assert_ok(source_uri_parse("https://host/a/b.gguf?x=1#sha256=" SHA, NULL, &pinned, &err), err);
    assert_string_equal(pinned.name, "https://host/a/b.gguf?x=1");
    assert_string_equal(pinned.path, "b.gguf");
    assert_true(source_uri_is_immutable(&pinned));
    assert_ok(source_uri_parse("https://host/b", "sha256=" SHA, &beside, &err), err);
    assert_true(source_uri_is_immutable(&beside));
    assert_ok(source_uri_parse("https://host/b", NULL, &loose, &err), err);
    assert_false(source_uri_is_immutable(&loose));
}

static void a_claim_and_a_path_are_taken_apart(void **state)
{
    (void)state;
    struct err err = {0};
    source_uri_auto struct source_uri s = {0};

    assert_ok(source_uri_parse("pvc://base-models/meta/llama", NULL, &s, &err), err);
    assert_string_equal(s.name, "base-models");
    assert_string_equal(s.path, "meta/llama");
}

static void what_is_not_a_source_is_refused_with_a_reason(void **state)
{
    (void)state;
    static const struct {
        const char *text, *version, *part;
    } cases[] = {
        {"", NULL, "no scheme"},
        {"acme/tiny", NULL, "no scheme"},
        {"ftp://x/y", NULL, "scheme 'ftp' is not supported"},
        {"s3://bucket/x", NULL, "scheme 's3' is not supported"},
        {"http://host/x", NULL, "scheme 'http' is not supported"},
        {"hf://tiny", NULL, "hf://org/name"},
        {"hf:///tiny", NULL, "hf://org/name"},
        {"hf://../tiny", NULL, "hf://org/name"},
        {"hf://acme/", NULL, "hf://org/name"},
        {"hf://acme/tiny@", NULL, "not a revision"},
        {"hf://acme/tiny@a..b", NULL, "not a revision"},
        {"hf://acme/tiny@a b", NULL, "not a revision"},
        {"hf://acme/tiny@v1", "v2", "give one of them"},
        {"hf://acme/tiny@v1/../x", NULL, "'..' segment"},
        {"https://", NULL, "https://host/path"},
        {"https://user:pw@host/x", NULL, "without user or password"},
        {"https://host/", NULL, "names no file"},
        {"https://host/dir/..", NULL, "'..' segment"},
        {"https://host/.modelberth", NULL, "reserved"},
        {"https://host/a b", NULL, "spaces"},
        {"https://host/x#md5=1", NULL, "sha256=<hex> expected"},
        {"https://host/x#sha256=12", NULL, "64 hexadecimal"},
        {"https://host/x", "v1", "sha256=<hex> expected"},
        {"pvc://", NULL, "pvc://claim/path"},
        {"pvc://Bad_Name/x", NULL, "pvc://claim/path"},
        {"pvc://ns:claim/x", NULL, "another namespace"},
        {"pvc://claim//x", NULL, "must be relative"},
        {"pvc://claim/x", "v1", "no version"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct err err = {0};
        struct source_uri s = {0};
        if (!source_uri_parse(cases[i].text, cases[i].version, &s, &err))
            fail_msg("'%s' was accepted", cases[i].text);
        assert_int_equal(err.kind, ERR_INPUT);
        assert_has(err.msg, cases[i].part);
        assert_null(s.name);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_spellings_of_the_hub_are_understood),
        cmocka_unit_test(a_url_is_one_file_pinned_by_its_digest),
        cmocka_unit_test(a_claim_and_a_path_are_taken_apart),
        cmocka_unit_test(what_is_not_a_source_is_refused_with_a_reason),
    };

    return cmocka_run_group_tests_name("source_uri", tests, NULL, NULL);
}
