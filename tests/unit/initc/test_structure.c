/* SPDX-License-Identifier: Apache-2.0 */
/* Headers of weights against the lengths of their files, every cut of them. */
#include "tests/unit/test.h"

#include <sys/mman.h>
#include <unistd.h>

#include "common/cleanup.h"
#include "common/json.h"
#include "initc/structure.h"

static int file_of(const void *bytes, size_t len)
{
    int fd = memfd_create("test", MFD_CLOEXEC);

    assert_int_equal(write(fd, bytes, len), len);
    return fd;
}

static size_t safetensors(char *out, const char *header, size_t data)
{
    uint64_t n = strlen(header);

    memcpy(out, &n, 8);
    memcpy(out + 8, header, n);
    memset(out + 8 + n, 'w', data);
    return 8 + n + data;
}

static int check(int (*f)(int, const char *, uint64_t, struct err *), const void *bytes, size_t len)
{
    autoclose int fd = file_of(bytes, len);
    struct err err = {0};
    int rc = f(fd, "file", len, &err);

    if (rc) {
        assert_int_equal(err.kind, ERR_MISSING);
        assert_has(err.msg, "'file'");
    }
    return rc;
}

static void a_whole_safetensors_file_passes_and_every_cut_is_found(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
        "\"data_offsets\":[4,12]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}";
    char bytes[512];
    size_t len = safetensors(bytes, header, 12);

    assert_int_equal(check(safetensors_check, bytes, len), 0);
    for (size_t cut = 0; cut < len; cut++)
        assert_int_equal(check(safetensors_check, bytes, cut), -1);
    assert_int_equal(check(safetensors_check, bytes, len + 1), -1);
}

static void offsets_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"a\":{\"data_offsets\":[4,0]}}",
        "{\"a\":{\"data_offsets\":[-4,4]}}",
        "{\"a\":{\"data_offsets\":[4]}}",
        "{\"a\":{\"data_offsets\":[0,4,8]}}",
        "{\"a\":{}}",
        "{\"a\":1}",
        "{\"a\":{\"data_offsets\":[0,3]}}",
        "{\"a\":{\"data_offsets\":[0,99999999999999999999]}}",
        "{\"a\":{\"data_offsets\":[0,4]},\"a\":{\"data_offsets\":[0,4]}}",
    };
    char bytes[512];

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        if (!check(safetensors_check, bytes, safetensors(bytes, bad[i], 4)))
            fail_msg("accepted: %s", bad[i]);
    assert_int_equal(check(safetensors_check, bytes, safetensors(bytes, "{}", 0)), 0);
}

struct writer {
    unsigned char bytes[1024];
    size_t len;
};

static void put(struct writer *w, uint64_t value, size_t bytes)
{
    memcpy(w->bytes + w->len, &value, bytes);
    w->len += bytes;
}

static void put_text(struct writer *w, const char *text)
{
    put(w, strlen(text), 8);
    memcpy(w->bytes + w->len, text, strlen(text));
    w->len += strlen(text);
}

static void gguf_header(struct writer *w, uint32_t version, uint64_t tensors, uint64_t pairs)
{
    memcpy(w->bytes, "GGUF", 4);
    w->len = 4;
    put(w, version, 4);
    put(w, tensors, 8);
    put(w, pairs, 8);
}

static void a_whole_gguf_file_passes_and_every_cut_is_found(void **state)
{
    (void)state;
    struct writer w = {0};

    gguf_header(&w, 3, 2, 3);
    put_text(&w, "general.alignment");
    put(&w, 4, 4);
    put(&w, 8, 4);
    put_text(&w, "tokens");
    put(&w, 9, 4);
    put(&w, 8, 4);
    put(&w, 2, 8);
    put_text(&w, "a");
    put_text(&w, "bc");
    put_text(&w, "numbers");
    put(&w, 9, 4);
    put(&w, 6, 4);
    put(&w, 3, 8);
    w.len += 12;
    put_text(&w, "first");
    put(&w, 1, 4);
    put(&w, 32, 8);
    put(&w, 8, 4); /* Q8_0: 32 values are 34 bytes */
    put(&w, 0, 8);
    put_text(&w, "second");
    put(&w, 2, 4);
    put(&w, 2, 8);
    put(&w, 3, 8);
    put(&w, 0, 4); /* F32 */
    put(&w, 40, 8);
    w.len = (w.len + 7) / 8 * 8 + 40 + 24;

    assert_int_equal(check(gguf_check, w.bytes, w.len), 0);
    for (size_t cut = 0; cut < w.len; cut++)
        assert_int_equal(check(gguf_check, w.bytes, cut), -1);
    assert_int_equal(check(gguf_check, w.bytes, w.len + 8), 0); /* padding at the end is usual */
}

static void gguf_headers_that_make_no_sense_are_refused(void **state)
{
    (void)state;
    struct writer w = {0};

    gguf_header(&w, 9, 0, 0);
    assert_int_equal(check(gguf_check, w.bytes, w.len), -1);
    gguf_header(&w, 3, UINT64_MAX, 0);
    assert_int_equal(check(gguf_check, w.bytes, w.len), -1);
    gguf_header(&w, 3, 0, UINT64_MAX);
    assert_int_equal(check(gguf_check, w.bytes, w.len), -1);
    gguf_header(&w, 3, 1, 0); /* sizes that overflow */
    put_text(&w, "t");
    put(&w, 2, 4);
    put(&w, UINT64_MAX, 8);
    put(&w, UINT64_MAX, 8);
    put(&w, 0, 4);
    put(&w, 0, 8);
    assert_int_equal(check(gguf_check, w.bytes, w.len), -1);
    gguf_header(&w, 3, 1, 0); /* an offset that overflows */
    put_text(&w, "t");
    put(&w, 1, 4);
    put(&w, 4, 8);
    put(&w, 0, 4);
    put(&w, UINT64_MAX - 3, 8);
    assert_int_equal(check(gguf_check, w.bytes, w.len), -1);
}

static void other_files_pass(void **state)
{
    (void)state;
    struct err err = {0};
    autoclose int fd = file_of("x", 1);

    assert_ok(structure_check_file(fd, "README.md", &err), err);
    assert_int_equal(structure_check_file(fd, "model.SafeTensors", &err), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_whole_safetensors_file_passes_and_every_cut_is_found),
        cmocka_unit_test(offsets_that_make_no_sense_are_refused),
        cmocka_unit_test(a_whole_gguf_file_passes_and_every_cut_is_found),
        cmocka_unit_test(gguf_headers_that_make_no_sense_are_refused),
        cmocka_unit_test(other_files_pass),
    };

    json_setup();
    return cmocka_run_group_tests_name("structure", tests, NULL, NULL);
}
