"""What a fresh hub holds: a tiny real model, its gated and private siblings, a dataset, plain files.

The same bytes and commit ids every time: random numbers come from seeded generators.
"""

import json
import random
import struct

from hubstore import Store

MODEL = "acme/tiny-llama"
GATED = "acme/gated-llama"
PRIVATE = "acme/private-llama"
DATASET = "acme/tiny-set"
PLAIN_FILE = "tiny/model.safetensors"

LAYERS, HIDDEN, INTERMEDIATE, VOCABULARY = 2, 128, 256, 512
GITATTRIBUTES = "".join(f"*.{suffix} filter=lfs diff=lfs merge=lfs -text\n"
                        for suffix in ("safetensors", "bin", "gguf", "parquet")).encode()
# bfloat16, little endian: keep sign and mantissa bits, set the exponent so that every value is small and finite
_HIGH_BYTE = bytes((byte & 0x80) | 0x3C for byte in range(256))
_PIECE = 4 << 20


def tensor_bytes(name: str, count: int, seed: str) -> bytes:
    """`count` bfloat16 values that depend only on the name and the seed."""
    raw = bytearray(random.Random(f"{seed}/{name}").randbytes(2 * count))
    raw[1::2] = bytes(raw[1::2]).translate(_HIGH_BYTE)
    return bytes(raw)


def safetensors_header(shapes: dict[str, list[int]]) -> bytes:
    header: dict = {"__metadata__": {"format": "pt"}}
    offset = 0
    for name, shape in shapes.items():
        size = 2
        for dimension in shape:
            size *= dimension
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text


def safetensors(shapes: dict[str, list[int]], seed: str) -> bytes:
    values = []
    for name, shape in shapes.items():
        count = 1
        for dimension in shape:
            count *= dimension
        values.append(tensor_bytes(name, count, seed))
    return safetensors_header(shapes) + b"".join(values)


def llama_shards() -> list[dict[str, list[int]]]:
    """Tensor shapes of a Llama small enough for a test, in two shards."""
    def layer(number: int) -> dict[str, list[int]]:
        prefix = f"model.layers.{number}"
        shapes = {f"{prefix}.self_attn.{p}_proj.weight": [HIDDEN, HIDDEN] for p in "qkvo"}
        shapes |= {f"{prefix}.mlp.{p}_proj.weight": [INTERMEDIATE, HIDDEN] for p in ("gate", "up")}
        shapes[f"{prefix}.mlp.down_proj.weight"] = [HIDDEN, INTERMEDIATE]
        shapes |= {f"{prefix}.{p}.weight": [HIDDEN] for p in ("input_layernorm", "post_attention_layernorm")}
        return shapes

    first = {"model.embed_tokens.weight": [VOCABULARY, HIDDEN], **layer(0)}
    second = {**layer(1), "model.norm.weight": [HIDDEN], "lm_head.weight": [VOCABULARY, HIDDEN]}
    return [first, second]


def _json(value) -> bytes:
    return (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode()


def _index(names: list[str], shards: list[dict], total: int) -> bytes:
    weight_map = {tensor: name for name, shard in zip(names, shards) for tensor in shard}
    return _json({"metadata": {"total_size": total}, "weight_map": weight_map})


def _config(positions: int) -> bytes:
    return _json({
        "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": HIDDEN,
        "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS, "num_attention_heads": 4,
        "num_key_value_heads": 4, "vocab_size": VOCABULARY, "max_position_embeddings": positions,
        "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "torch_dtype": "bfloat16",
        "bos_token_id": 1, "eos_token_id": 2,
    })


def _tokenizer() -> bytes:
    words = ["<unk>", "<s>", "</s>"] + [f"w{number}" for number in range(VOCABULARY - 3)]
    return _json({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [], "normalizer": None,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": None, "decoder": None,
        "model": {"type": "WordLevel", "vocab": {word: n for n, word in enumerate(words)}, "unk_token": "<unk>"},
    })


def _llama(positions: int, seed: str, note: str) -> dict[str, bytes]:
    shards = llama_shards()
    names = [f"model-{n + 1:05}-of-00002.safetensors" for n in range(2)]
    # the second shard is the one that a new version changes
    weights = [safetensors(shards[0], "v1"), safetensors(shards[1], seed)]
    total = sum(len(w) - 8 - struct.unpack("<Q", w[:8])[0] for w in weights)
    return {
        ".gitattributes": GITATTRIBUTES,
        "README.md": f"---\nlicense: apache-2.0\n---\n# Tiny Llama\n\nA tiny random Llama. {note}\n".encode(),
        "config.json": _config(positions),
        "tokenizer.json": _tokenizer(),
        "merges.txt": b"",
        "model.safetensors.index.json": _index(names, shards, total),
        "original/params.json": _json({"dim": HIDDEN, "n_layers": LAYERS, "n_heads": 4}),
        "original/notes/büro + 100%.txt": "A name that has to be percent-encoded.\n".encode(),
        **dict(zip(names, weights)),
    }


def seed_default(store: Store) -> list[dict]:
    """The repositories that tests and the demo count on."""
    first = _llama(256, "v1", "First version.")
    store.commit(MODEL, first, title="First version", tags=("v1",), fresh=True)
    store.commit(MODEL, first, ref="refs/pr/1", title="Same files, proposed again")
    store.commit(MODEL, _llama(512, "v2", "Second version."), title="Second version")
    shard = "model-00001-of-00002.safetensors"
    small = {"config.json": first["config.json"], "model.safetensors": first[shard]}
    store.commit(GATED, small, title="Gated", gated="manual", fresh=True)
    store.commit(PRIVATE, small, title="Private", private=True, fresh=True)
    rows = b"".join(_json({"n": n}).replace(b"\n", b"") + b"\n" for n in range(1000))
    numbers = random.Random("tiny-set").randbytes(64 << 10)
    store.commit(DATASET, {"README.md": b"# Tiny set\n", "data/train.jsonl": rows, "data/train.bin": numbers},
                 kind="dataset", title="First version", fresh=True)
    store.write(store.root / "files" / PLAIN_FILE, first[shard])
    store.write(store.root / "files" / "tiny" / "hello.txt", b"hello\n")
    return [describe(store, kind, name) for kind, name in
            (("model", MODEL), ("model", GATED), ("model", PRIVATE), ("dataset", DATASET))]


def seed_big(store: Store, repo_id: str, size: int, shards: int) -> list[dict]:
    """A model of `size` bytes of weights in `shards` files, made at disk speed."""
    if shards < 1 or size < shards * 4096:
        raise ValueError("a shard needs at least 4096 bytes")
    names = [f"model-{n + 1:05}-of-{shards:05}.safetensors" for n in range(shards)]
    shapes, files = [], {"config.json": _config(256), "tokenizer.json": _tokenizer()}
    for number, name in enumerate(names):
        values = (size // shards + (number < size % shards)) // 2
        shape = {f"shard.{number}.weight": [values]}
        files[name] = store.add_stream(_stream(shape, values * 2, f"{repo_id}/{number}"), f"seed-{number}")
        shapes.append(shape)
    files["model.safetensors.index.json"] = _index(names, shapes, size)
    store.commit(repo_id, files, title="First version", tags=("v1",), fresh=True)
    return [describe(store, "model", repo_id)]


def _stream(shape: dict, size: int, seed: str):
    """One random piece, rotated by another amount for each repeat: no two ranges look the same."""
    yield safetensors_header(shape)
    piece = tensor_bytes("piece", _PIECE // 2, seed)
    for number in range((size + _PIECE - 1) // _PIECE):
        turn = number * 40_986 % _PIECE
        yield (piece[turn:] + piece[:turn])[:min(_PIECE, size - number * _PIECE)]


def describe(store: Store, kind: str, repo_id: str) -> dict:
    repo = store.repo(kind, repo_id)
    commit = repo.resolve("main")
    return {"type": kind, "repo": repo_id, "refs": repo.refs, "files": len(commit.files),
            "bytes": sum(entry.size for entry in commit.files.values())}
